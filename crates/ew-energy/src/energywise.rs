//! The profile of CISCO-ENERGYWISE-MIB: what the entities of a switch use.

use crate::name::part_names;
use crate::sum::watts;
use crate::{Agent, EnergyError, EntityReading, Oid, Sum, Value, Walk};
use ew_core::Quality;

/// `cewDomainName.0`: the domain the switch is in.
const DOMAIN_NAME: &[u32] = &[1, 3, 6, 1, 4, 1, 9, 9, 683, 1, 3, 0];
/// `cewEntEntry`; below it stand column and `entPhysicalIndex`.
const ENT_ENTRY: &[u32] = &[1, 3, 6, 1, 4, 1, 9, 9, 683, 1, 6, 1];
/// The columns read, in order of [`Row::new`]: `cewEntName`, `cewEntEnergyUnits`, `cewEntEnergyUsage`,
/// `cewEntEnergyUsageCaliber`, `cewEntImportanceInt`, `cewEntEnergyUsageCategory` (since 2009-10).
const COLUMNS: [u32; 6] = [NAME, 7, 8, 9, IMPORTANCE, 20];
/// `cewEntName`.
const NAME: u32 = 4;
/// `cewEntImportanceInt`.
const IMPORTANCE: u32 = 12;
/// No entity may be more important.
const IMPORTANCE_MAX: u32 = 100;
/// The MIB's bound of `cewEntEnergyUsage`; above it lies what agents make of "I do not know".
const USAGE_MAX: i64 = 0x7fff_ffff;

/// What to ask a switch for.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// `cewDomainName.0` must be exactly this; none: it is not asked.
    pub domain: Option<&'a str>,
    /// Only entities whose `cewEntImportanceInt` is not above it count.
    pub importance: u32,
    /// Rows asked for by one request, at most.
    pub repetitions: u32,
    /// Whether the entities' names are wanted; without, they are called by their index.
    pub names: bool,
}

/// What a switch uses.
#[derive(Debug, Clone, PartialEq)]
pub struct Usage {
    /// Sum of its consumers, watts.
    pub watts: f64,
    /// The worst of theirs, `partial` where a row had to be left out, `trusted` where none counts.
    pub quality: Quality,
    /// Consumers and producers of the importance asked for, by index. Producers are not in the sum.
    pub entities: Vec<EntityReading>,
    /// Rows left out that should have counted, each with its reason.
    pub skipped: Vec<String>,
}

/// What tells that an agent may have EnergyWise.
pub(crate) fn probe() -> Oid {
    Oid::new(ENT_ENTRY)
}

/// Reads the switch behind an agent.
///
/// `cewDeviceTotalUsage` is never read: it is the same power once more. So are meters.
pub fn read(agent: &mut dyn Agent, query: &Query<'_>) -> Result<Usage, EnergyError> {
    let entry = Oid::new(ENT_ENTRY);
    let places = query.places();
    let columns: Vec<Oid> = places.iter().map(|place| entry.child(COLUMNS[*place])).collect();
    let mut walk = Walk::new(&columns, query.repetitions, "cewEntTable");
    if let Some(domain) = query.domain {
        let object = "cewDomainName.0";
        let found = walk.start(agent, &[Oid::new(DOMAIN_NAME)], object)?.pop().unwrap_or(Value::Absent);
        check_domain(agent.peer(), found, domain, object)?;
    }
    let table: Vec<Row> = walk
        .finish(agent)?
        .into_iter()
        .filter_map(|(index, cells)| match index[..] {
            [index] => Row::new(index, &spread(cells, &places)),
            _ => None,
        })
        .collect();
    if table.is_empty() {
        return Err(EnergyError::NoEntities { peer: agent.peer().to_owned() });
    }
    let named: Vec<(&str, &[u32])> =
        table.iter().map(|row| (row.name.as_str(), std::slice::from_ref(&row.index))).collect();
    let parts = part_names(&named);
    let mut usage =
        Usage { watts: 0.0, quality: Quality::Trusted, entities: Vec::new(), skipped: Vec::new() };
    let mut sum = Sum::new();
    let asked_for = |row: &Row| row.category != Some(METER) && row.importance <= i64::from(query.importance);
    let counted = table.iter().zip(parts).filter(|(row, _)| asked_for(row));
    for (row, part) in counted {
        let watts = match row.watts() {
            Ok(watts) => watts,
            Err(reason) => {
                usage.skipped.push(format!("entity {} {reason}", row.index));
                continue;
            }
        };
        let producer = row.category == Some(PRODUCER);
        if !producer {
            sum.add(watts);
            usage.quality = usage.quality.max(row.quality);
        }
        usage.entities.push(EntityReading { index: row.index, part, watts, quality: row.quality, producer });
    }
    usage.watts = sum.value();
    match usage.skipped.first() {
        Some(first) if usage.entities.is_empty() => Err(EnergyError::NoUsableRows {
            peer: agent.peer().to_owned(),
            rows: usage.skipped.len(),
            first: first.clone(),
        }),
        Some(_) => Ok(Usage { quality: Quality::Partial, ..usage }),
        None => Ok(usage),
    }
}

/// `cewDomainName`, where the agent has one.
pub(crate) fn domain_name(agent: &mut dyn Agent) -> Result<Option<String>, EnergyError> {
    Ok(match agent.get(&Oid::new(DOMAIN_NAME), "cewDomainName.0")? {
        Value::Text(found) => Some(String::from_utf8_lossy(&found).into_owned()),
        _ => None,
    })
}

impl Query<'_> {
    /// The places in [`COLUMNS`] of those needed: each costs agent and net as much as the usage itself.
    fn places(&self) -> Vec<usize> {
        let needed = |column| match column {
            NAME => self.names,
            // With the highest there is, every row counts.
            IMPORTANCE => self.importance < IMPORTANCE_MAX,
            _ => true,
        };
        (0..COLUMNS.len()).filter(|place| needed(COLUMNS[*place])).collect()
    }
}

/// Cells of the columns at these places as a row of all columns.
fn spread(cells: Vec<Option<Value>>, places: &[usize]) -> [Option<Value>; COLUMNS.len()] {
    let mut row = [const { None }; COLUMNS.len()];
    for (cell, place) in cells.into_iter().zip(places) {
        row[*place] = cell;
    }
    row
}

fn check_domain(peer: &str, found: Value, expected: &str, object: &str) -> Result<(), EnergyError> {
    match found {
        Value::Text(found) if found == expected.as_bytes() => Ok(()),
        Value::Text(found) => Err(EnergyError::WrongDomain {
            peer: peer.to_owned(),
            found: String::from_utf8_lossy(&found).into_owned(),
            expected: expected.to_owned(),
        }),
        Value::Absent => Err(EnergyError::NoDomainName { peer: peer.to_owned() }),
        _ => Err(EnergyError::Breach {
            peer: peer.to_owned(),
            object: object.to_owned(),
            cause: "the value is no text".into(),
        }),
    }
}

/// `cewEntEnergyUsageCategory`: gives power.
const PRODUCER: i64 = 2;
/// `cewEntEnergyUsageCategory`: measures the power of others.
const METER: i64 = 3;

/// One row of `cewEntTable`.
struct Row {
    /// `entPhysicalIndex`.
    index: u32,
    name: String,
    units: Option<i64>,
    usage: Option<Value>,
    quality: Quality,
    importance: i64,
    category: Option<i64>,
}

impl Row {
    /// From the cells in order of [`COLUMNS`]; none where none of them holds a value.
    fn new(index: u32, cells: &[Option<Value>]) -> Option<Row> {
        let cell = |place: usize| cells.get(place).cloned().flatten().filter(|value| *value != Value::Absent);
        let number = |place: usize| match cell(place) {
            Some(Value::Integer(number)) => Some(number),
            _ => None,
        };
        (0..COLUMNS.len()).any(|place| cell(place).is_some()).then(|| Row {
            index,
            name: match cell(0) {
                Some(Value::Text(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
                _ => String::new(),
            },
            units: number(1),
            usage: cell(2),
            quality: match number(3) {
                Some(1) => Quality::Max,
                Some(2) => Quality::Presumed,
                Some(4) => Quality::Actual,
                Some(5) => Quality::Trusted,
                _ => Quality::Unknown,
            },
            // The MIB's default is 1.
            importance: number(4).unwrap_or(1),
            category: number(5),
        })
    }

    /// Power, or what is wrong with the row.
    fn watts(&self) -> Result<f64, String> {
        let usage = match self.usage {
            Some(Value::Integer(usage)) => usage,
            Some(_) => return Err("has a usage that is no number".into()),
            None => return Err("has no usage".into()),
        };
        let usage = u32::try_from(usage)
            .ok()
            .filter(|_| usage <= USAGE_MAX)
            .ok_or_else(|| format!("has the usage {usage}, outside 0 to {USAGE_MAX}"))?;
        let Some(units) = self.units else { return Err("has no units".into()) };
        let units = i8::try_from(units)
            .ok()
            .filter(|_| (-24..=24).contains(&units))
            .ok_or_else(|| format!("has the units {units}, outside -24 to 24"))?;
        Ok(watts(usage, units))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::walk::tests::Fake;
    use ew_core::Exit;

    /// name, units, usage, caliber, importance, category; `-` leaves a cell out.
    fn agent(rows: &[(u32, [&str; 6])]) -> Fake {
        let entry = Oid::new(ENT_ENTRY);
        let mut objects = vec![(Oid::new(DOMAIN_NAME), Value::Text(b"com.a".to_vec()))];
        for (index, cells) in rows {
            for (column, text) in COLUMNS.into_iter().zip(cells) {
                let value = match text.parse() {
                    Ok(number) if column != 4 => Value::Integer(number),
                    _ => Value::Text(text.as_bytes().to_vec()),
                };
                if *text != "-" {
                    objects.push((entry.child(column).child(*index), value));
                }
            }
        }
        Fake::new(objects)
    }

    const QUERY: Query<'_> = Query { domain: Some("com.a"), importance: 100, repetitions: 25, names: true };

    fn usage(rows: &[(u32, [&str; 6])]) -> Usage {
        read(&mut agent(rows), &QUERY).unwrap()
    }

    #[test]
    fn sums_entities_of_all_units() {
        let mut agent = agent(&[
            (1, ["a", "0", "120", "4", "1", "-"]),
            (7, ["b", "3", "2", "2", "1", "-"]),
            (1001, ["c", "-3", "15400", "5", "1", "-"]),
        ]);
        let usage = read(&mut agent, &QUERY).unwrap();
        assert_eq!((usage.watts, usage.quality), (2135.4, Quality::Presumed));
        assert_eq!(agent.requests, 2);
        let readings: Vec<_> = usage.entities.iter().map(|e| (e.part.as_str(), e.watts, e.quality)).collect();
        let expect =
            [("a", 120.0, Quality::Actual), ("b", 2000.0, Quality::Presumed), ("c", 15.4, Quality::Trusted)];
        assert_eq!(readings, expect);
    }

    #[test]
    fn a_row_that_cannot_be_read_is_left_out_and_said_so() {
        for (row, reason) in [
            (["x", "-", "5", "4", "1", "1"], "entity 2 has no units"),
            (["x", "25", "5", "4", "1", "1"], "entity 2 has the units 25, outside -24 to 24"),
            (["x", "0", "-", "4", "1", "1"], "entity 2 has no usage"),
            (["x", "0", "lots", "4", "1", "1"], "entity 2 has a usage that is no number"),
            (
                ["x", "0", "4294967295", "4", "1", "1"],
                "entity 2 has the usage 4294967295, outside 0 to 2147483647",
            ),
            (["x", "0", "-1", "4", "1", "1"], "entity 2 has the usage -1, outside 0 to 2147483647"),
        ] {
            let usage = usage(&[(1, ["a", "0", "10", "4", "1", "1"]), (2, row)]);
            assert_eq!((usage.watts, usage.quality), (10.0, Quality::Partial), "{reason}");
            assert_eq!(usage.skipped, [reason]);
            let error = read(&mut agent(&[(2, row)]), &QUERY).unwrap_err();
            assert!(matches!(&error, EnergyError::NoUsableRows { rows: 1, first, .. } if first == reason));
        }
    }

    #[test]
    fn importance_meters_and_producers() {
        let rows = [
            (1, ["a", "0", "10", "4", "1", "1"]),
            (2, ["b", "0", "20", "4", "50", "-"]),
            (3, ["m", "-", "30", "1", "1", "3"]),
            (4, ["p", "0", "40", "1", "1", "2"]),
            (5, ["n", "0", "5", "4", "-", "1"]),
        ];
        let ask = |importance| read(&mut agent(&rows), &Query { importance, ..QUERY }).unwrap();
        assert_eq!((ask(100).watts, ask(100).quality), (35.0, Quality::Actual));
        assert_eq!((ask(49).watts, ask(49).quality), (15.0, Quality::Actual));
        let names: Vec<_> = ask(1).entities.into_iter().map(|e| (e.part, e.producer)).collect();
        assert_eq!(names, [("a".into(), false), ("p".into(), true), ("n".into(), false)]);
        let none = read(&mut agent(&rows[1..2]), &Query { importance: 1, ..QUERY }).unwrap();
        assert_eq!((none.watts, none.quality, none.skipped.len()), (0.0, Quality::Trusted, 0));
    }

    #[test]
    fn calibers() {
        for (caliber, quality) in [
            ("1", Quality::Max),
            ("2", Quality::Presumed),
            ("3", Quality::Unknown),
            ("4", Quality::Actual),
            ("5", Quality::Trusted),
            ("6", Quality::Unknown),
            ("-", Quality::Unknown),
        ] {
            assert_eq!(usage(&[(1, ["a", "0", "10", caliber, "1", "-"])]).quality, quality);
        }
    }

    #[test]
    fn names_that_are_missing_or_not_unique() {
        let cells = |name| [name, "0", "1", "4", "1", "-"];
        let rows = [(1, "a.b"), (2, "a_b"), (3, "c"), (4, ""), (5, "-"), (6, "#4"), (7, "Gi1.0/1")];
        let usage = usage(&rows.map(|(index, name)| (index, cells(name))));
        let parts: Vec<_> = usage.entities.into_iter().map(|e| e.part).collect();
        assert_eq!(parts, ["#1", "#2", "c", "#4", "#5", "#6", "Gi1_0/1"]);
    }

    #[test]
    fn wrong_domain_no_domain_no_entities() {
        let mut fake = agent(&[]);
        let ask = |fake: &mut Fake, domain| read(fake, &Query { domain, ..QUERY }).unwrap_err();
        let wrong = ask(&mut fake, Some("COM.a"));
        assert_eq!(wrong.to_string(), r#"fake:161 is in the EnergyWise domain "com.a", not in "COM.a""#);
        let empty = ask(&mut fake, None);
        assert_eq!(empty.to_string(), "fake:161 has no EnergyWise entities");
        fake.objects.clear();
        let off = ask(&mut fake, Some("com.a"));
        assert!(off.to_string().contains("cewDomainName.0: it has no such object"), "{off}");
        for error in [wrong, empty, off] {
            assert_eq!(error.exit(), Exit::Protocol);
        }
    }
}
