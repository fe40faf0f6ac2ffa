//! Reading a table: several columns at once, by few wide requests.

use crate::{Agent, EnergyError, Oid, Value};
use std::collections::BTreeMap;

/// The most rows that a table may have: beyond it an agent is held to be out of order.
pub const ROWS_MAX: usize = 20_000;

/// The rows of a table by their index; a row has one place per column that was asked for.
pub type Rows = BTreeMap<Vec<u32>, Vec<Option<Value>>>;

/// Reads the columns of a table, `repetitions` rows a request, fewer where the agent says `tooBig`.
///
/// A column that the agent does not have is empty. `object` names the table in messages.
pub fn walk(
    agent: &mut dyn Agent,
    columns: &[Oid],
    repetitions: u32,
    object: &str,
) -> Result<Rows, EnergyError> {
    let mut rows = Rows::new();
    let mut repetitions = repetitions.max(1);
    // Where each column stands; none when it is read to its end.
    let mut cursors: Vec<Option<Oid>> = columns.iter().cloned().map(Some).collect();
    loop {
        let open: Vec<usize> = (0..columns.len()).filter(|c| cursors[*c].is_some()).collect();
        let after: Vec<Oid> = cursors.iter().flatten().cloned().collect();
        if after.is_empty() {
            return Ok(rows);
        }
        let varbinds = match agent.get_bulk(&after, repetitions, object) {
            Err(EnergyError::Device { status: "tooBig", .. }) if repetitions > 1 => {
                repetitions /= 2;
                continue;
            }
            varbinds => varbinds?,
        };
        for (varbind, column) in varbinds.into_iter().zip(open.into_iter().cycle()) {
            let Some(cursor) = &cursors[column] else { continue };
            let index = match varbind.oid.below(&columns[column]) {
                Some(index) if varbind.value != Value::EndOfView => index.to_vec(),
                _ => {
                    cursors[column] = None;
                    continue;
                }
            };
            if varbind.oid <= *cursor {
                return Err(breach(agent, object, format!("{} does not follow {cursor}", varbind.oid)));
            }
            cursors[column] = Some(varbind.oid);
            rows.entry(index).or_insert_with(|| vec![None; columns.len()])[column] = Some(varbind.value);
            if rows.len() > ROWS_MAX {
                return Err(breach(agent, object, format!("it has more than {ROWS_MAX} rows")));
            }
        }
    }
}

fn breach(agent: &dyn Agent, object: &str, cause: String) -> EnergyError {
    EnergyError::Breach { peer: agent.peer().to_owned(), object: object.to_owned(), cause }
}

/// An agent of a list of objects.
#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::VarBind;

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
