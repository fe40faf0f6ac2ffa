//! What the child's lines mean.

use std::collections::{BTreeMap, BTreeSet};

/// Stands for unused, as a group and as an application.
const UNUSED: u8 = 255;

/// What a scan found, by network and unit.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) units: BTreeMap<(String, u8), Seen>,
    /// Lines that were not understood, each with the reason.
    pub(super) odd: Vec<(String, String)>,
}

/// What the lines of one unit say.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// None: no line of it told.
    pub(super) applications: Option<BTreeSet<u8>>,
    pub(super) groups: BTreeSet<u8>,
}

impl Scan {
    /// Reads the reply to `D`. A line that is not understood is kept as such and changes nothing else.
    pub(super) fn of(lines: &[String]) -> Scan {
        let mut scan = Scan::default();
        for line in lines {
            if let Err(why) = scan.add(line) {
                scan.odd.push((line.clone(), why));
            }
        }
        scan
    }

    /// `unit:INT,network:PATH[,groups:1,2 | ,apps:56]`.
    fn add(&mut self, line: &str) -> Result<(), String> {
        if !is_text(line) {
            return Err("it is no UTF-8".into());
        }
        let mut fields = line.splitn(3, ',');
        let mut value = |what: &str| {
            let field = fields.next().ok_or_else(|| format!("it has no {what}"))?;
            field.split_once(':').ok_or_else(|| format!("its {what} has no colon"))
        };
        let (_, unit) = value("unit")?;
        let unit: u8 = unit.trim().parse().map_err(|_| format!("{unit:?} is no unit address"))?;
        let (_, network) = value("network")?;
        let network = network.trim();
        if network.is_empty() {
            return Err("its network is empty".into());
        }
        let list = fields.next().map(list).transpose()?;
        let seen = self.units.entry((network.to_owned(), unit)).or_default();
        match list {
            None => Ok(()),
            Some(("groups", groups)) => {
                seen.groups.extend(groups);
                Ok(())
            }
            Some(("apps", applications)) => {
                seen.applications.get_or_insert_default().extend(applications);
                Ok(())
            }
            Some((key, _)) => Err(format!("{key:?} is neither groups nor apps; the unit counts")),
        }
    }

    /// The networks in the order of their numbers.
    pub(super) fn networks(&self) -> Vec<&str> {
        let mut networks: Vec<&str> = self.units.keys().map(|(network, _)| network.as_str()).collect();
        networks.dedup();
        networks.sort_by_key(|network| crate::network_order(network));
        networks
    }

    /// The units of a network with their addresses.
    pub(super) fn units<'a>(&'a self, network: &'a str) -> impl Iterator<Item = (u8, &'a Seen)> {
        self.units.iter().filter(move |((of, _), _)| of == network).map(|((_, unit), seen)| (*unit, seen))
    }
}

/// `groups:1,2,255`: the key and its numbers without 255, the one that stands for unused. Of another key, no numbers.
fn list(field: &str) -> Result<(&str, Vec<u8>), String> {
    let (key, numbers) = field.split_once(':').ok_or("its third field has no colon")?;
    let key = key.trim();
    if !["groups", "apps"].contains(&key) {
        return Ok((key, Vec::new()));
    }
    let number =
        |text: &str| text.trim().parse::<u8>().map_err(|_| format!("{text:?} is no address in {key}"));
    let numbers = numbers.split(',').filter(|text| !text.trim().is_empty()).map(number);
    Ok((key, numbers.filter(|number| *number != Ok(UNUSED)).collect::<Result<_, _>>()?))
}

/// What was no UTF-8 has come as replacement characters. No word of the dialect has one.
fn is_text(line: &str) -> bool {
    !line.contains(char::REPLACEMENT_CHARACTER)
}

/// A level from `NAME:INT`, the first line of the reply to `Ga=`.
pub(super) fn level(lines: &[String]) -> Result<u8, String> {
    let line = lines.first().ok_or("the reply is empty")?;
    let bad = || format!("the reply {line:?} is no level");
    let (_, level) = line.split_once(':').filter(|_| is_text(line)).ok_or_else(bad)?;
    level.trim().parse().map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scan(text: &str) -> Scan {
        Scan::of(&text.lines().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn units_keep_their_groups_and_networks() {
        let scan = scan(
            "unit:1,network:00,apps:56,255\nunit:1,network:00,groups:1,2,255,255\nunit:5,network:00,groups:2,7\n\
             unit:9,network:00\nunit:5,network:254,groups:\n",
        );
        assert!(scan.odd.is_empty(), "{:?}", scan.odd);
        assert_eq!(scan.networks(), ["00", "254"]);
        let found: Vec<_> = scan
            .units("00")
            .map(|(unit, seen)| {
                (unit, seen.applications.clone(), seen.groups.iter().copied().collect::<Vec<_>>())
            })
            .collect();
        assert_eq!(found, [(1, Some([56].into()), vec![1, 2]), (5, None, vec![2, 7]), (9, None, vec![])]);
    }

    #[test]
    fn a_line_that_is_not_understood_is_told_and_the_others_count() {
        for odd in [
            "garbage",
            "unit:1",
            "unit:x,network:00",
            "unit:256,network:00",
            "unit:1,network:",
            "unit:1,network:00,groups:1,b",
            "unit:1,network:00,groups:1:2",
            "unit:1,network:00,groups:1,256",
            "unit:1,network:00,groups",
        ] {
            let scan = scan(&format!("{odd}\nunit:2,network:00,groups:3"));
            assert_eq!(scan.odd.len(), 1, "{odd}");
            assert_eq!(scan.units.len(), 1, "{odd}");
        }
        let other = scan("unit:1,network:00,foo:1");
        assert_eq!((other.odd.len(), other.units.len()), (1, 1));
    }

    #[test]
    fn levels() {
        let level = |text: &str| level(&text.lines().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(level("level:128"), Ok(128));
        assert_eq!(level("level: 7 "), Ok(7));
        assert_eq!(level("level:3\nlevel:4"), Ok(3));
        for bad in
            ["", "nolevel", "a:b:c", "level:1:2", "level:", "level:1.5", "level:256", "level:-1", "error"]
        {
            assert!(level(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_reply_makes_it_panic(lines in proptest::collection::vec(".{0,40}|unit:[0-9x]{0,4},network:.{0,3}(,(groups|apps):[0-9,:]{0,9})?", 0..8)) {
            let _ = (Scan::of(&lines), level(&lines));
        }
    }
}
