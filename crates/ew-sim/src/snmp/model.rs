//! The rows of a made-up EnergyWise switch: entPhysicalIndex 1001 is the switch itself, 1002 and up what hangs
//! on it. CISCO-ENERGYWISE-MIB of 2009-01, with units of 1 W, 0.1 W and 1 mW mixed.

use super::drift::scramble;
use super::mib::{DOMAIN_NAME, ENERGYWISE, Mib, SYS_NAME, SYS_UP_TIME, SYSTEM};
use super::oid::Oid;
use super::value::Value;
use std::collections::BTreeMap;

/// What a made-up switch is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Model<'a> {
    /// cewDomainName.
    pub(crate) domain: &'a str,
    /// Entities besides the switch itself.
    pub(crate) children: u32,
    /// Other seeds have other usage; 0 is the plain series.
    pub(crate) seed: u64,
}

/// One row of cewEntTable with its rows of cewLevelTable.
struct Entity {
    /// 0 is the switch itself.
    number: u32,
    name: String,
    /// Power of ten of a watt.
    units: i32,
    usage: u32,
    /// Most that the entity may draw at its present level, in the same units.
    provisioned: u32,
}

type Rows = BTreeMap<Oid, Value>;

/// The name of switch `number`, from 1: sw0001.
pub(crate) fn switch_name(number: u16) -> String {
    format!("sw{number:04}")
}

impl Model<'_> {
    /// All rows of switch `number`, from 1.
    pub(crate) fn switch(&self, number: u16) -> Mib {
        let name = switch_name(number);
        let device_id = format!("WS-C3750E-24PD:V02:FDO{number:08}");
        let mut rows = Rows::new();

        let description = format!("Simulated EnergyWise switch {number:04} (WS-C3750E, IOS 12.2(53)SE2)");
        rows.insert(Oid::below(SYSTEM, &[1, 0]), Value::text(&description));
        let product = Oid::below(&[1, 3, 6, 1, 4, 1, 9, 1], &[516]);
        rows.insert(Oid::below(SYSTEM, &[2, 0]), Value::Oid(product));
        rows.insert(Oid::below(SYS_UP_TIME, &[]), Value::TimeTicks(123_456 + u32::from(number)));
        rows.insert(Oid::below(SYS_NAME, &[]), Value::text(&name));

        // cewDeviceId, cewDeviceNeighborCount, cewDomainName, cewMaxImportance, cewMaxImportanceId.
        rows.insert(Oid::below(ENERGYWISE, &[1, 0]), Value::text(&device_id));
        rows.insert(Oid::below(ENERGYWISE, &[2, 0]), Value::Unsigned32(1));
        rows.insert(Oid::below(DOMAIN_NAME, &[]), Value::text(self.domain));
        rows.insert(Oid::below(ENERGYWISE, &[4, 0]), Value::Unsigned32(100));
        rows.insert(Oid::below(ENERGYWISE, &[5, 0]), Value::text(&device_id));

        for k in 0..=self.children {
            let entity = self.entity(number, &name, k);
            self.describe(&entity, &device_id, &mut rows);
            levels(&entity, &mut rows);
        }
        Mib::new(rows)
    }

    fn entity(&self, switch: u16, name: &str, k: u32) -> Entity {
        let (units, usage, provisioned) = match k {
            0 => (0, 75 + u32::from(switch) % 25, 435),
            _ => match k % 3 {
                0 => (-3, 6300 + 100 * k, 15_400),
                1 => (-1, 63 + k, 154),
                _ => (0, 6 + k % 4, 15),
            },
        };
        let name = if k == 0 { name.to_owned() } else { format!("{name}-p{k:02}") };
        Entity { number: k, name, units, usage: self.reseeded(usage, switch, k), provisioned }
    }

    /// Within a tenth of `usage`, by the seed.
    fn reseeded(&self, usage: u32, switch: u16, k: u32) -> u32 {
        if self.seed == 0 {
            return usage;
        }
        let percent = 90 + (scramble([self.seed, u64::from(switch), u64::from(k)]) % 21) as u32;
        (usage * percent + 50) / 100
    }

    /// The rows of cewEntTable.
    fn describe(&self, entity: &Entity, parent_id: &str, rows: &mut Rows) {
        let Entity { number: k, ref name, units, usage, provisioned } = *entity;
        let (parent, odd) = (k == 0, k % 2 == 1);
        let role = match (parent, odd) {
            (true, _) => "Switch",
            (_, true) => "IP Phone",
            (_, false) => "IP Camera",
        };
        let nanny_vector: &[u8] = if parent { &[0xff, 0xff] } else { &[0xe0, 0x06] };
        let columns = [
            (1, Value::Octets(nanny_vector.into())),
            (2, Value::Unsigned32(k + 1)),
            (3, Value::text(if odd { "building,lobby" } else { "" })),
            (4, Value::text(name)),
            (5, Value::text(role)),
            (6, Value::text(&format!("{}.{role}.{name}", self.domain))),
            (7, Value::Integer(units)),
            (8, Value::Unsigned32(usage)),
            // Caliber: mostly actual, each fourth presumed.
            (9, Value::Integer(if k % 4 == 0 { 2 } else { 4 })),
            // Level: full, but one entity is shut.
            (10, Value::Integer(if k == 5 { 1 } else { 11 })),
            (11, Value::Unsigned32(provisioned)),
            (12, Value::Unsigned32(if parent { 100 } else { 1 + 10 * k % 100 })),
            (13, Value::Unsigned32(100)),
            (14, Value::Unsigned32(if parent { 100 } else { (1 + k).min(100) })),
            (15, Value::text("")),
            (16, Value::text(if parent { "" } else { parent_id })),
            (17, Value::Integer(1)),
            // Operation: up, but one entity is in error.
            (18, Value::Integer(if k == 7 { 3 } else { 1 })),
        ];
        for (column, value) in columns {
            rows.insert(Oid::below(ENERGYWISE, &[6, 1, column, 1001 + k]), value);
        }
    }
}

/// The rows of cewLevelTable: most that each level draws, and the distance of present usage from it.
fn levels(entity: &Entity, rows: &mut Rows) {
    for level in 1..=11 {
        let most = entity.provisioned * (level - 1) / 10;
        // Both are small, so the difference fits; a saturated one would still be a valid row.
        let delta = i32::try_from(i64::from(entity.usage) - i64::from(most)).unwrap_or(i32::MAX);
        let columns =
            [(2, Value::Unsigned32(most)), (3, Value::Integer(delta)), (4, Value::Integer(entity.units))];
        for (column, value) in columns {
            rows.insert(Oid::below(ENERGYWISE, &[7, 1, column, 1001 + entity.number, level]), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const PLAIN: Model<'_> = Model { domain: "com.cisco.bldg19", children: 10, seed: 0 };

    #[test]
    fn the_plain_model_is_the_fixture() {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/energywise/switch.snmprec");
        assert_eq!(PLAIN.switch(1), super::super::snmprec::read(&fixture).unwrap());
    }

    #[test]
    fn a_seed_gives_the_same_numbers_again_and_another_seed_others() {
        let seeded = Model { seed: 7, ..PLAIN };
        assert_eq!(seeded.switch(3), seeded.switch(3));
        assert_ne!(seeded.switch(3), PLAIN.switch(3));
        assert_ne!(seeded.switch(3), Model { seed: 8, ..PLAIN }.switch(3));
    }

    #[test]
    fn many_entities_stay_inside_the_mib() {
        let mib = Model { children: 1000, ..PLAIN }.switch(9999);
        let relative = mib.get(&[ENERGYWISE, &[6, 1, 14, 2001]].concat());
        assert_eq!(relative, Ok(&Value::Unsigned32(100)));
    }
}
