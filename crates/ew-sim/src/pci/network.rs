//! The simulated network: units and what their outputs are at.

use super::wire::level_bytes;

/// Address of the interface.
pub(super) const INTERFACE: u8 = 16;

/// A unit.
pub(super) struct Unit {
    pub(super) address: u8,
    /// Eight characters, blanks at the end.
    kind: &'static str,
    firmware: &'static str,
    applications: [u8; 2],
    serial: [u8; 4],
    /// The raw reading of its supply.
    volts: u8,
    groups: &'static [u8],
}

/// 56 and 57 are lighting, 202 triggers, 228 measurement; 255 is unused.
const UNITS: [Unit; 8] = [
    unit(1, "RELDN12 ", "2.5.00  ", [56, 255], 0x0001, 153, &[1, 2]),
    unit(3, "DIMDN8  ", "1.2.66  ", [56, 255], 0x0003, 164, &[10, 11, 12, 13]),
    unit(4, "DIMDN4  ", "2.1.00  ", [56, 57], 0x0004, 160, &[20, 21]),
    unit(5, "KEYGL5  ", "5.4.00  ", [56, 255], 0x0005, 158, &[1, 10, 40]),
    unit(6, "PCLOCAL4", "4.1.00  ", [202, 255], 0x0006, 161, &[7]),
    unit(7, "RELAY4  ", "1.0.04  ", [56, 255], 0x0007, 150, &[30]),
    unit(9, "SENTEMP ", "1.1.00  ", [228, 255], 0x0009, 162, &[]),
    unit(INTERFACE, "PC_CNIED", "5.5.00  ", [255, 255], 0x0010, 164, &[]),
];

const fn unit(
    address: u8,
    kind: &'static str,
    firmware: &'static str,
    applications: [u8; 2],
    serial: u16,
    volts: u8,
    groups: &'static [u8],
) -> Unit {
    let [high, low] = serial.to_be_bytes();
    Unit { address, kind, firmware, applications, serial: [0x18, 0xB3, high, low], volts, groups }
}

/// A group as the outputs of the network have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Output {
    /// One level.
    At(u8),
    /// Two units of different levels.
    Between(u8, u8),
    /// A unit of a firmware that tells on and off only.
    Switched(bool),
    /// A level that noise destroys each time.
    Noisy,
}

/// Units, and the groups that have outputs.
pub(super) struct Network {
    outputs: Vec<(u8, u8, Output)>,
}

impl Network {
    pub(super) fn new() -> Network {
        Network {
            outputs: vec![
                (56, 1, Output::At(255)),
                (56, 2, Output::At(0)),
                (56, 10, Output::At(128)),
                (56, 11, Output::At(0x57)),
                (56, 12, Output::Between(255, 0)),
                (56, 13, Output::Noisy),
                (56, 20, Output::At(1)),
                (56, 30, Output::Switched(true)),
                (56, 254, Output::At(99)),
                (57, 21, Output::At(64)),
                (202, 7, Output::Switched(false)),
            ],
        }
    }

    pub(super) fn unit(address: u8) -> Option<&'static Unit> {
        UNITS.iter().find(|unit| unit.address == address)
    }

    /// Two bits for each of 256 groups, or units for application 255.
    pub(super) fn switches(&self, application: u8) -> Vec<u8> {
        const OFF: u8 = 0b10;
        const ON: u8 = 0b01;
        const ERROR: u8 = 0b11;
        let mut codes = vec![0; 256];
        let mut put = |address: u8, code: u8| {
            if let Some(cell) = codes.get_mut(usize::from(address)) {
                *cell = code;
            }
        };
        if application == 255 {
            UNITS.iter().for_each(|unit| put(unit.address, ON));
        }
        for (_, group, output) in self.outputs.iter().filter(|(of, ..)| *of == application) {
            let code = match output {
                Output::At(0) | Output::Switched(false) => OFF,
                Output::At(_) | Output::Switched(true) | Output::Noisy => ON,
                Output::Between(..) => ERROR,
            };
            put(*group, code);
        }
        codes
    }

    /// Two bytes for each of the 32 groups from `block` on; outputs of one group lie over each other.
    pub(super) fn levels(&self, application: u8, block: u8) -> Vec<u8> {
        (block..=block.saturating_add(31)).flat_map(|group| self.level(application, group)).collect()
    }

    fn level(&self, application: u8, group: u8) -> [u8; 2] {
        let output = self.outputs.iter().find(|(of, its, _)| (*of, *its) == (application, group));
        match output.map(|(.., output)| *output) {
            None | Some(Output::Switched(_)) => [0, 0],
            Some(Output::At(level)) => level_bytes(level),
            Some(Output::Between(one, other)) => {
                let ([a, b], [c, d]) = (level_bytes(one), level_bytes(other));
                [a | c, b | d]
            }
            // Nibbles of too few bits.
            Some(Output::Noisy) => [0x8A, 0xA1],
        }
    }

    /// A lighting command (APP/02 2.6); groups without an output take no notice.
    pub(super) fn command(&mut self, application: u8, command: &[u8]) {
        let (group, level) = match command {
            [0x79, group, ..] => (*group, 255),
            [0x01, group, ..] => (*group, 0),
            // Ramps of any rate are at once.
            [rate, group, level, ..] if rate & 0x87 == 0x02 => (*group, *level),
            _ => return,
        };
        for (of, its, output) in &mut self.outputs {
            if (*of, *its) == (application, group) {
                *output = match output {
                    Output::Switched(_) => Output::Switched(level > 0),
                    _ => Output::At(level),
                };
            }
        }
    }
}

impl Unit {
    /// What follows the attribute in the reply to an identify (SIUG 7.2).
    pub(super) fn attribute(&self, attribute: u8) -> Option<Vec<u8>> {
        match attribute {
            0x01 => Some(self.kind.into()),
            0x02 => Some(self.firmware.into()),
            0x04 => {
                let [first, second] = self.applications;
                let [s1, s2, s3, s4] = self.serial;
                Some(vec![first, second, 0xFF, 0, 0, s1, s2, s3, s4, self.volts, 0, 0])
            }
            0x0A => {
                let mut groups = self.groups.to_vec();
                groups.resize(16, 0xFF);
                Some(groups)
            }
            _ => None,
        }
    }

    /// Parameters from one on (SIUG 10.2); the rest of its memory reads as unused.
    pub(super) fn parameters(&self, first: u8, count: u8) -> Vec<u8> {
        let parameter = |at: u8| {
            let of = |from: u8, bytes: &[u8]| {
                at.checked_sub(from).and_then(|i| bytes.get(usize::from(i)).copied())
            };
            of(0x21, &self.applications).or_else(|| of(0xF3, &self.serial)).unwrap_or(0xFF)
        };
        (0..count.min(16)).map(|i| parameter(first.wrapping_add(i))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_move_what_is_there() {
        let mut network = Network::new();
        network.command(56, &[0x79, 2]);
        assert_eq!(network.level(56, 2), [0x55, 0x55]);
        network.command(56, &[0x0A, 2, 0x57]);
        assert_eq!(network.level(56, 2), [0x95, 0x99]);
        network.command(56, &[0x01, 2]);
        assert_eq!(network.level(56, 2), [0xAA, 0xAA]);
        network.command(56, &[0x79, 99]);
        assert_eq!(network.level(56, 99), [0, 0]);
    }

    #[test]
    fn outputs_that_disagree_lie_over_each_other() {
        assert_eq!(Network::new().level(56, 12), [0xFF, 0xFF]);
    }
}
