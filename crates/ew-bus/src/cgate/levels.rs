//! What `GET //P/N/A/* level` told. Pure.

use super::reply::{Reply, Row, assignment};
use super::tree::UNUSED;

/// What was told of one group.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// 0..255.
    Level(u8),
    /// It has none, as a trigger has none.
    NoLevel(String),
    /// It has one that cannot be had now.
    Fault(Row),
}

/// What was told of an application.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Application {
    /// Groups in the order they were told.
    pub(crate) groups: Vec<(u8, Told)>,
    /// The application as a whole was refused.
    pub(crate) fault: Option<Row>,
    /// Rows of no sense.
    pub(crate) odd: Vec<Row>,
}

impl Application {
    /// A group that is told twice, and not the same, has no level: which one it is nobody knows.
    fn add(&mut self, group: u8, told: Told, row: &Row) {
        match self.groups.iter_mut().find(|(there, _)| *there == group) {
            None => self.groups.push((group, told)),
            Some((_, first)) if *first == told => {}
            Some((_, first)) => {
                let text = format!("{}, and something else before", row.text);
                *first = Told::Fault(Row { code: row.code, text });
            }
        }
    }
}

/// Of an application such as `//HOME/254/56`. 401 to the whole: it has no groups; 402: no levels. Neither is a fault.
pub(crate) fn of(reply: &Reply, application: &str) -> Application {
    let mut told = Application::default();
    for row in &reply.rows {
        let group = group_in(&row.text, application);
        match (row.code, group) {
            (_, Some(UNUSED)) => {}
            (300, Some(group)) => match level_in(&row.text) {
                Some(level) => told.add(group, Told::Level(level), row),
                None => told.add(group, Told::Fault(row.clone()), row),
            },
            (402, Some(group)) => told.add(group, Told::NoLevel(row.words()), row),
            (400..=599, Some(group)) => told.add(group, Told::Fault(row.clone()), row),
            (401 | 402, None) => {}
            (400..=599, None) => told.fault = Some(row.clone()),
            _ => told.odd.push(row.clone()),
        }
    }
    told
}

/// The level in `//HOME/254/56/1: level=255`.
pub(crate) fn level_in(text: &str) -> Option<u8> {
    let (_, name, value) = assignment(text)?;
    if name.eq_ignore_ascii_case("level") { value.parse().ok() } else { None }
}

/// The group of an application `//HOME/254/56` that a row is about, by its address `//HOME/254/56/1`.
pub(crate) fn group_in(text: &str, application: &str) -> Option<u8> {
    let at = text.find("//")?;
    let (of, group) = text[at..].split([' ', ':', '(', ')']).next()?.rsplit_once('/')?;
    if of.eq_ignore_ascii_case(application) { group.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reply(rows: &[(u16, &str)]) -> Reply {
        let rows: Vec<Row> =
            rows.iter().map(|(code, text)| Row { code: *code, text: (*text).into() }).collect();
        Reply { last: rows.last().unwrap().clone(), rows, xml: String::new() }
    }

    #[test]
    fn levels_and_what_stands_between_them() {
        let fault =
            Row { code: 408, text: "Operation failed: //HOME/254/56/2 (Can not get parameter)".into() };
        let told = of(
            &reply(&[
                (300, "//HOME/254/56/1: Level=255"),
                (408, &fault.text),
                (300, "//HOME/254/56/3: level=0"),
                (300, "//HOME/254/56/4: level=on"),
                (300, "//HOME/253/56/5: level=1"),
                (300, "//ANNEX/254/56/1: level=7"),
                (408, "Operation failed: //ANNEX/254/56/6 (Can not get parameter)"),
                (300, "//HOME/254/56/255: level=0"),
            ]),
            "//HOME/254/56",
        );
        let no_level = Row { code: 300, text: "//HOME/254/56/4: level=on".into() };
        assert_eq!(
            told.groups,
            [(1, Told::Level(255)), (2, Told::Fault(fault)), (3, Told::Level(0)), (4, Told::Fault(no_level))]
        );
        let twice = reply(&[
            (300, "//HOME/254/56/1: level=5"),
            (300, "//HOME/254/56/1: level=5"),
            (300, "//HOME/254/56/2: level=5"),
            (300, "//HOME/254/56/2: level=6"),
        ]);
        let at_odds = Row { code: 300, text: "//HOME/254/56/2: level=6, and something else before".into() };
        assert_eq!(of(&twice, "//HOME/254/56").groups, [(1, Told::Level(5)), (2, Told::Fault(at_odds))]);
        let odd: Vec<&str> = told.odd.iter().map(|row| row.text.as_str()).collect();
        assert_eq!(odd, ["//HOME/253/56/5: level=1", "//ANNEX/254/56/1: level=7"]);
        let elsewhere =
            Row { code: 408, text: "Operation failed: //ANNEX/254/56/6 (Can not get parameter)".into() };
        assert_eq!(told.fault, Some(elsewhere));
    }

    #[test]
    fn no_groups_and_no_levels_are_no_faults_but_a_refusal_is() {
        let none = of(
            &reply(&[(401, "Bad object or device ID: //HOME/254/56/* (Object not found)")]),
            "//HOME/254/56",
        );
        assert_eq!(none, Application::default());
        let text = "Operation not supported by: //HOME/254/202/7 (Parameter name not found)";
        let trigger = of(&reply(&[(402, text)]), "//HOME/254/202");
        assert_eq!(trigger.groups, [(7, Told::NoLevel(format!("402 {text}")))]);
        let refused = of(&reply(&[(420, "Access denied.")]), "//HOME/254/56");
        assert_eq!(refused.fault.unwrap().code, 420);
    }

    proptest! {
        #[test]
        fn takes_anything(
            code in prop::sample::select(vec![200, 300, 401, 402, 408, 420, 500]),
            text in "(//|HOME|/|254|56|255|300|level|=|:|,| |\\(|\\)|\\*|-1|ä){0,30}",
        ) {
            let told = of(&reply(&[(code, &text)]), "//HOME/254/56");
            prop_assert!(told.groups.iter().all(|(group, _)| *group != UNUSED));
            let _ = super::super::measure::reading(&text);
        }
    }
}
