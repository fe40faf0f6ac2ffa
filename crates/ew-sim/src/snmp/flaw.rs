//! What a faulty agent answers: the only place where an answer is altered before it is bytes.

use super::message::{Operation, Request};
use super::mib::{DOMAIN_NAME, Mib};
use super::oid::Oid;
use super::value::Value;

/// How an agent fails to go forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disorder {
    /// Gives the row that was asked from.
    Repeat,
    /// Gives the row before it.
    Back,
}

/// The flaws of one agent; none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Flaws {
    /// Its cewDomainName, whatever its rows say.
    pub(crate) domain: Option<String>,
    /// How it goes wrong from the second row of a table's column on. The first is given as it should be, or no
    /// client would ever meet the fault: what it asks from at first need not be a row.
    pub(crate) disorder: Option<Disorder>,
    /// Most repetitions of a GETBULK, or names of another request.
    pub(crate) rows_max: Option<usize>,
}

impl Flaws {
    /// Alters the rows themselves.
    pub(crate) fn falsify(&self, mib: &mut Mib) {
        if let Some(domain) = &self.domain {
            mib.replace(DOMAIN_NAME, Value::text(domain));
        }
    }

    /// Whether the answer to a request is said to be too big, however small it would be.
    pub(crate) fn refuses(&self, request: &Request<'_>) -> bool {
        let rows = match request.operation {
            Operation::GetBulk { max_repetitions, .. } => max_repetitions,
            Operation::Get | Operation::GetNext | Operation::Set => request.names.len(),
        };
        self.rows_max.is_some_and(|most| rows > most)
    }

    /// The wrong row that is given as the one after `name`, if it is this name's turn.
    pub(crate) fn astray<'m>(&self, mib: &'m Mib, name: &Oid) -> Option<(&'m Oid, &'m Value)> {
        let disorder = self.disorder?;
        let [before, here] = mib.with_predecessor(name.arcs())?;
        let column = |row: &'m Oid| row.arcs().split_last().map(|(_, column)| column);
        if column(before.0) != column(here.0) {
            return None;
        }
        Some(match disorder {
            Disorder::Repeat => here,
            Disorder::Back => before,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::Model;
    use super::*;

    #[test]
    fn only_rows_from_the_second_of_a_column_on_lead_astray() {
        let mib = Model { domain: "d", children: 3, seed: 0 }.switch(1);
        let usage = |rest: &str| format!("1.3.6.1.4.1.9.9.683.1.6.1.8{rest}").parse::<Oid>().unwrap();
        let next = |disorder, rest: &str| {
            let flaws = Flaws { disorder: Some(disorder), ..Flaws::default() };
            flaws.astray(&mib, &usage(rest)).map(|(row, _)| row.clone())
        };
        assert_eq!(next(Disorder::Repeat, ""), None);
        assert_eq!(next(Disorder::Repeat, ".1001"), None);
        assert_eq!(next(Disorder::Repeat, ".1002"), Some(usage(".1002")));
        assert_eq!(next(Disorder::Back, ".1004"), Some(usage(".1003")));
        assert_eq!(next(Disorder::Back, ".1005"), None);
        assert_eq!(Flaws::default().astray(&mib, &usage(".1002")), None);
    }
}
