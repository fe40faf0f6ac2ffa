//! The rows of one switch in the order of GETNEXT, and the names this simulator knows.

use super::oid::Oid;
use super::value::{Answer, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// ciscoEnergywiseMIBObjects.
pub(crate) const ENERGYWISE: &[u32] = &[1, 3, 6, 1, 4, 1, 9, 9, 683, 1];
/// cewDomainName.0.
pub(crate) const DOMAIN_NAME: &[u32] = &[1, 3, 6, 1, 4, 1, 9, 9, 683, 1, 3, 0];
/// cewEntEnergyUsage, Unsigned32 in units of 10^cewEntEnergyUnits watt; below it entPhysicalIndex.
pub(crate) const USAGE: &[u32] = &[1, 3, 6, 1, 4, 1, 9, 9, 683, 1, 6, 1, 8];
/// The system group of SNMPv2-MIB.
pub(crate) const SYSTEM: &[u32] = &[1, 3, 6, 1, 2, 1, 1];
/// sysUpTime.0.
pub(crate) const SYS_UP_TIME: &[u32] = &[1, 3, 6, 1, 2, 1, 1, 3, 0];
/// sysName.0.
pub(crate) const SYS_NAME: &[u32] = &[1, 3, 6, 1, 2, 1, 1, 5, 0];

/// The rows of one switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mib {
    /// Ascending and distinct; shared between switches, which mostly have the same.
    names: Arc<[Oid]>,
    /// One for each name.
    values: Vec<Value>,
}

impl Mib {
    /// Of these rows.
    pub(crate) fn new(rows: BTreeMap<Oid, Value>) -> Mib {
        let (names, values): (Vec<Oid>, Vec<Value>) = rows.into_iter().unzip();
        Mib { names: names.into(), values }
    }

    /// Drops its own names for those of `other` where they are the same, which saves most of the memory.
    pub(crate) fn share_names(&mut self, other: &Mib) {
        if self.names == other.names {
            self.names = Arc::clone(&other.names);
        }
    }

    /// Replaces the value of a row, if there is that row.
    pub(crate) fn replace(&mut self, name: &[u32], value: Value) {
        let place = self.place(name).ok();
        if let Some(slot) = place.and_then(|i| self.values.get_mut(i)) {
            *slot = value;
        }
    }

    /// The value of a row, or why there is none.
    pub(crate) fn get(&self, name: &[u32]) -> Result<&Value, Answer> {
        match self.place(name) {
            Ok(place) => self.values.get(place).ok_or(Answer::NoSuchInstance),
            Err(place) => {
                // The instances of an object stand together, so one of them would be a neighbour.
                let neighbours = [Some(place), place.checked_sub(1)];
                let known = neighbours
                    .into_iter()
                    .flatten()
                    .filter_map(|i| self.names.get(i))
                    .any(|row| name.starts_with(object(row.arcs())));
                Err(if known { Answer::NoSuchInstance } else { Answer::NoSuchObject })
            }
        }
    }

    /// The rows after a name, which itself need not be there.
    pub(crate) fn after(&self, name: &[u32]) -> impl Iterator<Item = (&Oid, &Value)> {
        let start = match self.place(name) {
            Ok(place) => place + 1,
            Err(place) => place,
        };
        self.names.iter().zip(&self.values).skip(start)
    }

    /// The row of this name, if there is one, after the row before it.
    pub(crate) fn with_predecessor(&self, name: &[u32]) -> Option<[(&Oid, &Value); 2]> {
        let place = self.place(name).ok()?;
        let row = |i: usize| self.names.get(i).zip(self.values.get(i));
        Some([row(place.checked_sub(1)?)?, row(place)?])
    }

    fn place(&self, name: &[u32]) -> Result<usize, usize> {
        self.names.binary_search_by(|row| row.arcs().cmp(name))
    }
}

/// The part of a row's name that names the object rather than its instance.
///
/// A `.snmprec` file does not tell; EnergyWise tables are known to be at `table.1.column`, and of other rows
/// all but the last arc is taken, which is right for scalars and for tables with one index.
fn object(row: &[u32]) -> &[u32] {
    let length = match row.strip_prefix(ENERGYWISE) {
        Some([_, 1, _, _, ..]) => ENERGYWISE.len() + 3,
        _ => row.len().saturating_sub(1),
    };
    row.get(..length).unwrap_or(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mib(names: &[&str]) -> Mib {
        Mib::new(
            names.iter().enumerate().map(|(i, n)| (n.parse().unwrap(), Value::Integer(i as i32))).collect(),
        )
    }

    fn arcs(text: &str) -> Vec<u32> {
        text.parse::<Oid>().unwrap().arcs().to_vec()
    }

    #[test]
    fn rows_come_in_numeric_order() {
        let mib = mib(&["1.3.10.0", "1.3.2.0", "1.3.9.1.1", "1.3.9.1", "1.3.100.0"]);
        let order: Vec<String> = mib.after(&[0, 0]).map(|(n, _)| n.to_string()).collect();
        assert_eq!(order, ["1.3.2.0", "1.3.9.1", "1.3.9.1.1", "1.3.10.0", "1.3.100.0"]);
        let next = |name: &str| mib.after(&arcs(name)).next().map(|(n, _)| n.to_string());
        assert_eq!(next("1.3.9"), Some("1.3.9.1".into()));
        assert_eq!(next("1.3.9.1"), Some("1.3.9.1.1".into()));
        assert_eq!(next("1.3.9.2"), Some("1.3.10.0".into()));
        assert_eq!(next("1.3.100.0"), None);
        assert_eq!(next("2.0"), None);
    }

    #[test]
    fn a_missing_instance_is_told_from_a_missing_object() {
        let mib = mib(&[
            "1.3.6.1.2.1.1.5.0",
            "1.3.6.1.4.1.9.9.683.1.3.0",
            "1.3.6.1.4.1.9.9.683.1.6.1.8.1001",
            "1.3.6.1.4.1.9.9.683.1.7.1.2.1001.1",
        ]);
        let cases = [
            ("1.3.6.1.2.1.1.5.1", Answer::NoSuchInstance),
            ("1.3.6.1.2.1.1.5", Answer::NoSuchInstance),
            ("1.3.6.1.2.1.1.6.0", Answer::NoSuchObject),
            ("1.3.6.1.4.1.9.9.683.1.6.1.8.9999", Answer::NoSuchInstance),
            ("1.3.6.1.4.1.9.9.683.1.6.1.8.1", Answer::NoSuchInstance),
            ("1.3.6.1.4.1.9.9.683.1.6.1.19.1001", Answer::NoSuchObject),
            ("1.3.6.1.4.1.9.9.683.1.7.1.2.9999.1", Answer::NoSuchInstance),
            ("1.3.6.1.4.1.9.9.683.1.25.0", Answer::NoSuchObject),
        ];
        for (name, answer) in cases {
            assert_eq!(mib.get(&arcs(name)), Err(answer), "{name}");
        }
        assert_eq!(mib.get(SYS_NAME), Ok(&Value::Integer(0)));
    }

    #[test]
    fn equal_names_are_kept_once() {
        let first = mib(&["1.3.1", "1.3.2"]);
        let mut second = mib(&["1.3.1", "1.3.2"]);
        second.replace(&[1, 3, 2], Value::Null);
        second.share_names(&first);
        assert!(Arc::ptr_eq(&first.names, &second.names));
        assert_eq!(second.get(&[1, 3, 2]), Ok(&Value::Null));
        let mut third = mib(&["1.3.1", "1.3.3"]);
        third.share_names(&first);
        assert!(!Arc::ptr_eq(&first.names, &third.names));
    }
}
