//! What goes wrong on purpose, as the command line has it: `KIND[=ARG]`.

use std::str::FromStr;

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Says `!` to so many commands for the bus.
    Reject(u32),
    /// Confirms so many commands for the bus with this sign, and does not send them.
    Outcome(char, u32),
    /// Loses so many confirmations.
    Unconfirmed(u32),
    /// Confirms after the reply in place of before it.
    LateConfirmation,
    /// Headers of statuses count so many bytes too many or too few.
    Header(i8),
    /// Before each status comes that of another client, with other values.
    ForeignStatus,
    /// The lines of a status come last first.
    Disorder,
    /// So many binary statuses have a group and a unit too many.
    Ghost(u32),
    /// The first line of so many replies has a wrong checksum.
    Garble(u32),
    /// The first `+` of the power-up sign is lost.
    LostPlus,
    /// `null` stands before each reply.
    Null,
    /// This unit calls itself a bridge.
    Bridge(u8),
    /// This unit is there and does not answer.
    SilentUnit(u8),
    /// Never says anything.
    Mute,
    /// Acknowledges options 1 and does not take them.
    Stubborn,
    /// Is powered up anew at the so manieth command for the bus.
    PowerCycle(u32),
    /// Closes so many connections at once.
    HangUp(u32),
    /// Knows neither EXSTAT nor IDMON, as before firmware 4.
    Old,
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Fault, String> {
        let (kind, argument) = match text.split_once('=') {
            Some((kind, argument)) => (kind, Some(argument)),
            None => (text, None),
        };
        let times = |argument: Option<&str>| match argument {
            None => Ok(1),
            Some(n) => n.parse().map_err(|_| format!("{kind} takes how many times, not {n:?}")),
        };
        let alone = |fault: Fault| match argument {
            None => Ok(fault),
            Some(_) => Err(format!("{kind} takes nothing")),
        };
        match kind {
            "reject" => Ok(Fault::Reject(times(argument)?)),
            "outcome" => {
                let (sign, count) = argument
                    .map(|argument| argument.split_once(':').unwrap_or((argument, "1")))
                    .ok_or("outcome needs its sign, as in outcome=unacknowledged or outcome=no-clock:3")?;
                Ok(Fault::Outcome(sign_of(sign)?, times(Some(count))?))
            }
            "unconfirmed" => Ok(Fault::Unconfirmed(times(argument)?)),
            "late-confirmation" => alone(Fault::LateConfirmation),
            "header" => match argument {
                Some("+1") => Ok(Fault::Header(1)),
                Some("-1") => Ok(Fault::Header(-1)),
                _ => Err("header is off by +1 or -1".into()),
            },
            "foreign-status" => alone(Fault::ForeignStatus),
            "disorder" => alone(Fault::Disorder),
            "ghost" => Ok(Fault::Ghost(times(argument)?)),
            "garble" => Ok(Fault::Garble(times(argument)?)),
            "lost-plus" => alone(Fault::LostPlus),
            "null" => alone(Fault::Null),
            "bridge" => match argument.map(str::parse) {
                Some(Ok(unit)) => Ok(Fault::Bridge(unit)),
                _ => Err("bridge needs a unit from 0 to 255, as in bridge=9".into()),
            },
            "silent-unit" => match argument.map(str::parse) {
                Some(Ok(unit)) => Ok(Fault::SilentUnit(unit)),
                _ => Err("silent-unit needs a unit from 0 to 255, as in silent-unit=5".into()),
            },
            "mute" => alone(Fault::Mute),
            "stubborn" => alone(Fault::Stubborn),
            "power-cycle" => Ok(Fault::PowerCycle(times(argument)?)),
            "hang-up" => Ok(Fault::HangUp(times(argument)?)),
            "old" => alone(Fault::Old),
            _ => Err(format!(
                "no fault is called {kind:?}; there are reject, outcome, unconfirmed, late-confirmation, header, \
                 foreign-status, disorder, ghost, garble, lost-plus, null, bridge, silent-unit, mute, stubborn, power-cycle, \
                 hang-up and old"
            )),
        }
    }
}

/// SIUG 4.3.3.3.
fn sign_of(word: &str) -> Result<char, String> {
    match word {
        "unacknowledged" => Ok('#'),
        "corrupted" => Ok('$'),
        "no-clock" => Ok('%'),
        "too-long" => Ok('\''),
        "bad-checksum" => Ok('!'),
        _ => Err(format!(
            "an outcome is unacknowledged, corrupted, no-clock, too-long or bad-checksum, not {word:?}"
        )),
    }
}

/// The faults of a run, with how often each is still due.
#[derive(Debug, Default)]
pub(super) struct Faults(pub(super) Vec<Fault>);

impl Faults {
    pub(super) fn has(&self, fault: &Fault) -> bool {
        self.0.contains(fault)
    }

    /// Whether a fault that counts is due, once less from then on.
    pub(super) fn is_due(&mut self, count: impl Fn(&mut Fault) -> Option<&mut u32>) -> bool {
        let left = self.0.iter_mut().find_map(count);
        match left {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }

    /// The sign that a confirmation is to have in place of a dot.
    pub(super) fn outcome(&mut self) -> Option<char> {
        let found = self.0.iter_mut().find_map(|fault| match fault {
            Fault::Outcome(sign, left) if *left > 0 => Some((*sign, left)),
            _ => None,
        });
        found.map(|(sign, left)| {
            *left -= 1;
            sign
        })
    }

    /// Whether this is the command at which the power fails.
    pub(super) fn power_fails(&mut self) -> bool {
        self.0.iter_mut().any(|fault| match fault {
            Fault::PowerCycle(left) if *left > 0 => {
                *left -= 1;
                *left == 0
            }
            _ => false,
        })
    }

    /// What is put to the count in the header of a status.
    pub(super) fn header(&self) -> i8 {
        self.0
            .iter()
            .find_map(|fault| if let Fault::Header(by) = fault { Some(*by) } else { None })
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_faults_say_what_is_wrong() {
        let cases = [
            ("loud", "no fault is called \"loud\""),
            ("outcome", "outcome needs its sign"),
            ("outcome=late", "an outcome is unacknowledged"),
            ("outcome=corrupted:x", "outcome takes how many times"),
            ("reject=often", "reject takes how many times"),
            ("header=2", "header is off by"),
            ("bridge", "bridge needs a unit"),
            ("silent-unit=256", "silent-unit needs a unit"),
            ("mute=1", "mute takes nothing"),
        ];
        for (text, start) in cases {
            let error = text.parse::<Fault>().unwrap_err();
            assert!(error.starts_with(start), "{text}: {error}");
        }
    }

    #[test]
    fn faults_end_after_their_times() {
        let mut faults =
            Faults(vec!["outcome=no-clock:2".parse().unwrap(), "power-cycle=2".parse().unwrap()]);
        assert_eq!([faults.outcome(), faults.outcome(), faults.outcome()], [Some('%'), Some('%'), None]);
        assert_eq!([faults.power_fails(), faults.power_fails(), faults.power_fails()], [false, true, false]);
    }
}
