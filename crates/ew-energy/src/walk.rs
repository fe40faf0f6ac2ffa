//! Reading a table: several columns at once, by few wide requests.

use crate::{Agent, EnergyError, Oid, Value, VarBind};
use std::collections::BTreeMap;

/// The most rows that a table may have: beyond it an agent is held to be out of order.
pub const ROWS_MAX: usize = 20_000;

/// Rows asked for first, if `repetitions` allows: most tables end within them, and the answer fits a frame.
const FIRST_ROWS: u32 = 12;
/// The most text that a table may have, bytes.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// The rows of a table by their index; a row has one place per column that was asked for.
pub type Rows = BTreeMap<Vec<u32>, Vec<Option<Value>>>;

/// Reads the columns of a table, up to `repetitions` rows a request: few by the first, and fewer where the
/// agent says `tooBig`.
///
/// A column that the agent does not have is empty. `object` names the table in messages.
pub fn walk(
    agent: &mut dyn Agent,
    columns: &[Oid],
    repetitions: u32,
    object: &str,
) -> Result<Rows, EnergyError> {
    Walk::new(columns, repetitions, object).finish(agent)
}

/// The same in two steps, of which the first reads scalars beside the first rows.
#[derive(Debug)]
pub struct Walk<'a> {
    columns: &'a [Oid],
    repetitions: u32,
    asked_before: bool,
    object: &'a str,
    /// Where each column stands; none when it is read to its end.
    cursors: Vec<Option<Oid>>,
    rows: Rows,
    text_bytes: usize,
}

impl<'a> Walk<'a> {
    /// Nothing is asked yet.
    pub fn new(columns: &'a [Oid], repetitions: u32, object: &'a str) -> Walk<'a> {
        let cursors = columns.iter().cloned().map(Some).collect();
        let repetitions = repetitions.max(1);
        Walk { columns, repetitions, asked_before: false, object, cursors, rows: Rows::new(), text_bytes: 0 }
    }

    /// The first rows, and with them a value for each of these scalars, which are instances `.0`. `object` is
    /// their name.
    pub fn start(
        &mut self,
        agent: &mut dyn Agent,
        scalars: &[Oid],
        object: &str,
    ) -> Result<Vec<Value>, EnergyError> {
        self.step(agent, scalars, object)
    }

    /// All rows.
    pub fn finish(mut self, agent: &mut dyn Agent) -> Result<Rows, EnergyError> {
        while self.cursors.iter().any(Option::is_some) {
            self.step(agent, &[], self.object)?;
        }
        Ok(self.rows)
    }

    fn step(
        &mut self,
        agent: &mut dyn Agent,
        scalars: &[Oid],
        object: &str,
    ) -> Result<Vec<Value>, EnergyError> {
        let open: Vec<usize> = (0..self.columns.len()).filter(|c| self.cursors[*c].is_some()).collect();
        let after: Vec<Oid> = self.cursors.iter().flatten().cloned().collect();
        let (values, varbinds) = loop {
            let repetitions =
                if self.asked_before { self.repetitions } else { self.repetitions.min(FIRST_ROWS) };
            let answer = match scalars.is_empty() {
                true => agent.get_bulk(&after, repetitions, object).map(|rows| (Vec::new(), rows)),
                false => agent.get_with_bulk(scalars, &after, repetitions, object),
            };
            match answer {
                Err(EnergyError::Device { status: "tooBig", .. }) if repetitions > 1 => {
                    self.repetitions = repetitions / 2;
                }
                answer => break answer?,
            }
        };
        self.asked_before = true;
        for (varbind, column) in varbinds.into_iter().zip(open.into_iter().cycle()) {
            self.take(varbind, column).map_err(|cause| EnergyError::Breach {
                peer: agent.peer().to_owned(),
                object: self.object.to_owned(),
                cause,
            })?;
        }
        Ok(values)
    }

    /// The next cell of a column, or its end; what is wrong with it.
    fn take(&mut self, varbind: VarBind, column: usize) -> Result<(), String> {
        let Some(cursor) = &self.cursors[column] else { return Ok(()) };
        if varbind.value == Value::EndOfView {
            self.cursors[column] = None;
            return Ok(());
        }
        if varbind.oid <= *cursor {
            return Err(format!("{} does not follow {cursor}", varbind.oid));
        }
        let Some(index) = varbind.oid.below(&self.columns[column]).map(<[u32]>::to_vec) else {
            self.cursors[column] = None;
            return Ok(());
        };
        if let Value::Text(text) = &varbind.value {
            self.text_bytes += text.len();
        }
        self.cursors[column] = Some(varbind.oid);
        let columns = self.columns.len();
        self.rows.entry(index).or_insert_with(|| vec![None; columns])[column] = Some(varbind.value);
        match () {
            () if self.rows.len() > ROWS_MAX => Err(format!("it has more than {ROWS_MAX} rows")),
            () if self.text_bytes > TEXT_BYTES_MAX => {
                Err(format!("it has more than {TEXT_BYTES_MAX} bytes of text"))
            }
            () => Ok(()),
        }
    }
}

/// An agent of a list of objects.
#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Answers from its objects as SNMPv2c has it, at most `fits` values an answer.
    pub(crate) struct Fake {
        pub(crate) objects: BTreeMap<Oid, Value>,
        pub(crate) fits: usize,
        pub(crate) too_big_above: u32,
        pub(crate) requests: u32,
    }

    impl Fake {
        pub(crate) fn new(objects: impl IntoIterator<Item = (Oid, Value)>) -> Fake {
            let objects = objects.into_iter().collect();
            Fake { objects, fits: usize::MAX, too_big_above: u32::MAX, requests: 0 }
        }
    }

    impl Agent for Fake {
        fn get(&mut self, oid: &Oid, _: &str) -> Result<Value, EnergyError> {
            self.requests += 1;
            Ok(self.objects.get(oid).cloned().unwrap_or(Value::Absent))
        }

        fn get_bulk(&mut self, after: &[Oid], reps: u32, object: &str) -> Result<Vec<VarBind>, EnergyError> {
            self.requests += 1;
            if reps > self.too_big_above {
                let (peer, object) = (self.peer().to_owned(), object.to_owned());
                return Err(EnergyError::Device { peer, object, status: "tooBig" });
            }
            let mut at = after.to_vec();
            let mut answer = Vec::new();
            for _ in 0..reps {
                for oid in &mut at {
                    let after = (std::ops::Bound::Excluded(oid.clone()), std::ops::Bound::Unbounded);
                    let (next, value) = match self.objects.range(after).next() {
                        Some((next, value)) => (next.clone(), value.clone()),
                        None => (oid.clone(), Value::EndOfView),
                    };
                    *oid = next.clone();
                    answer.push(VarBind { oid: next, value });
                }
            }
            answer.truncate(self.fits);
            Ok(answer)
        }

        fn requests(&self) -> u32 {
            self.requests
        }

        fn peer(&self) -> &str {
            "fake:161"
        }
    }

    fn table() -> (Oid, Fake) {
        let entry = Oid::new(&[1, 3, 9]);
        let mut objects = Vec::new();
        for column in [2, 3, 5] {
            for row in 1..=10 {
                if (column, row) != (3, 4) {
                    objects.push((entry.child(column).child(row), Value::Integer(i64::from(row))));
                }
            }
        }
        (entry, Fake::new(objects))
    }

    #[test]
    fn columns_of_one_table_in_few_requests() {
        let (entry, mut agent) = table();
        // 4 is not there, 5 is the last of the whole view.
        let columns: Vec<Oid> = [2, 3, 4, 5].map(|c| entry.child(c)).to_vec();
        let rows = walk(&mut agent, &columns, 25, "t").unwrap();
        assert_eq!((rows.len(), agent.requests), (10, 1));
        assert_eq!(rows[&vec![4]], [Some(Value::Integer(4)), None, None, Some(Value::Integer(4))]);
        for (repetitions, fits, too_big_above) in
            [(1, 99, 99), (3, 99, 99), (25, 5, 99), (25, 1, 99), (25, 99, 2)]
        {
            let (_, fresh) = table();
            let mut agent = Fake { fits, too_big_above, ..fresh };
            assert_eq!(walk(&mut agent, &columns, repetitions, "t").unwrap(), rows, "{repetitions} {fits}");
        }
    }

    #[test]
    fn an_agent_that_goes_in_circles_is_stopped() {
        struct Loop(Fake);
        impl Agent for Loop {
            fn get(&mut self, oid: &Oid, object: &str) -> Result<Value, EnergyError> {
                self.0.get(oid, object)
            }
            fn get_bulk(&mut self, after: &[Oid], _: u32, object: &str) -> Result<Vec<VarBind>, EnergyError> {
                let start = Oid::new(&after[0].numbers()[..4]);
                self.0.get_bulk(&[start], 2, object)
            }
            fn requests(&self) -> u32 {
                self.0.requests()
            }
            fn peer(&self) -> &str {
                self.0.peer()
            }
        }
        let (entry, agent) = table();
        let error = walk(&mut Loop(agent), &[entry.child(2)], 2, "t").unwrap_err();
        assert_eq!(error.exit(), ew_core::Exit::Protocol);
        assert!(error.to_string().contains("1.3.9.2.1 does not follow 1.3.9.2.2"), "{error}");
    }
}
