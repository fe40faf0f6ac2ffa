//! What goes wrong on purpose, as the command line has it: `KIND=SWITCH[:ARG]`.
//!
//! A fault is either a [flaw](super::flaw) of the agent, which gives a wrong answer, or a matter of the
//! [wire](super::wire), which changes, delays or loses the finished datagram.

use super::drift::scramble;
use super::flaw::{Disorder, Flaws};
use super::wire::{Percent, Wire};
use ew_core::Span;
use std::str::FromStr;
use std::time::Duration;

/// What `wrong-domain` says without another name.
const WRONG_DOMAIN: &str = "com.example.wrong";
/// What `too-big` still answers without another number.
const ROWS_MAX: usize = 10;

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// Never answers.
    Silent,
    /// Answers this much later.
    Slow(Duration),
    /// Never gets so many of the requests.
    Lossy(Percent),
    /// Answers twice so often.
    Duplicating(Percent),
    /// Sends half a datagram so often.
    Truncated(Percent),
    /// Flips bytes of so many datagrams.
    Corrupt(Percent),
    /// Says that it is of this domain.
    WrongDomain(String),
    /// Does not go forward in GETNEXT and GETBULK.
    NonIncreasing(Disorder),
    /// Refuses more than so many repetitions, or names.
    TooBig(usize),
}

impl Kind {
    fn parse(kind: &str, argument: Option<&str>) -> Result<Kind, String> {
        // How often: each time, unless told.
        let often = || argument.map_or(Ok(Percent::ALL), str::parse);
        match (kind, argument) {
            ("silent", None) => Ok(Kind::Silent),
            ("silent", Some(_)) => Err("silent takes nothing after the switch".into()),
            ("slow", Some(delay)) => Ok(Kind::Slow(delay.parse::<Span>()?.0)),
            ("slow", None) => Err("slow needs a delay, as in slow=sw0001:500ms".into()),
            ("lossy", Some(percent)) => Ok(Kind::Lossy(percent.parse()?)),
            ("lossy", None) => Err("lossy needs a percentage, as in lossy=sw0001:30".into()),
            ("duplicating", _) => Ok(Kind::Duplicating(often()?)),
            ("truncated", _) => Ok(Kind::Truncated(often()?)),
            ("corrupt", _) => Ok(Kind::Corrupt(often()?)),
            ("wrong-domain", name) => Ok(Kind::WrongDomain(name.unwrap_or(WRONG_DOMAIN).to_owned())),
            ("non-increasing", None | Some("repeat")) => Ok(Kind::NonIncreasing(Disorder::Repeat)),
            ("non-increasing", Some("back")) => Ok(Kind::NonIncreasing(Disorder::Back)),
            ("non-increasing", Some(other)) => {
                Err(format!("non-increasing goes `repeat` or `back`, not {other:?}"))
            }
            ("too-big", None) => Ok(Kind::TooBig(ROWS_MAX)),
            ("too-big", Some(number)) => {
                let error = |_| format!("too-big needs a number of repetitions, not {number:?}");
                number.parse().map(Kind::TooBig).map_err(error)
            }
            _ => Err(format!(
                "no fault is called {kind:?}; there are silent, slow, lossy, duplicating, truncated, corrupt, \
                 wrong-domain, non-increasing and too-big"
            )),
        }
    }
}

/// A fault and whom it concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FaultSpec {
    kind: Kind,
    /// The name of a switch; none is all of them.
    switch: Option<String>,
    /// As written, for messages.
    text: String,
}

impl FromStr for FaultSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<FaultSpec, String> {
        let (kind, rest) =
            text.split_once('=').ok_or("not KIND=SWITCH[:ARG], as in silent=sw0001 or slow=all:500ms")?;
        let (switch, argument) = match rest.split_once(':') {
            Some((switch, argument)) => (switch, Some(argument)),
            None => (rest, None),
        };
        let kind = Kind::parse(kind, argument)?;
        if switch.is_empty() {
            return Err("no switch named; `all` is every switch".into());
        }
        let switch = (switch != "all").then(|| switch.to_owned());
        Ok(FaultSpec { kind, switch, text: text.to_owned() })
    }
}

impl FaultSpec {
    /// Refuses a switch that is none of `names`.
    pub(crate) fn check(&self, names: &[String]) -> Result<(), String> {
        match (&self.switch, names) {
            (Some(switch), [first, .., last]) if !names.contains(switch) => {
                Err(format!("--fault {}: no switch {switch}; there are {first} to {last}", self.text))
            }
            (Some(switch), [only]) if switch != only => {
                Err(format!("--fault {}: no switch {switch}; there is only {only}", self.text))
            }
            _ => Ok(()),
        }
    }
}

/// Those of `specs` that concern the switch of this name, which is the `number`th. Of two of a kind the later
/// one counts.
pub(crate) fn faults_of(name: &str, number: u16, seed: u64, specs: &[FaultSpec]) -> (Flaws, Wire) {
    let mut flaws = Flaws::default();
    let mut wire = Wire::new(scramble([seed, u64::from(number)]));
    for spec in specs.iter().filter(|s| s.switch.as_deref().is_none_or(|switch| switch == name)) {
        match &spec.kind {
            Kind::Silent => wire.silent = true,
            Kind::Slow(delay) => wire.delay = *delay,
            Kind::Lossy(percent) => wire.lossy = *percent,
            Kind::Duplicating(percent) => wire.duplicating = *percent,
            Kind::Truncated(percent) => wire.truncated = *percent,
            Kind::Corrupt(percent) => wire.corrupt = *percent,
            Kind::WrongDomain(name) => flaws.domain = Some(name.clone()),
            Kind::NonIncreasing(disorder) => flaws.disorder = Some(*disorder),
            Kind::TooBig(rows_max) => flaws.rows_max = Some(*rows_max),
        }
    }
    (flaws, wire)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specs(texts: &[&str]) -> Vec<FaultSpec> {
        texts.iter().map(|t| t.parse().unwrap()).collect()
    }

    #[test]
    fn the_last_fault_of_a_kind_counts() {
        let specs =
            specs(&["slow=all:50ms", "slow=sw0002:2s", "silent=sw0003", "too-big=all:7", "too-big=all"]);
        let after = |name: &str| {
            let (_, wire) = faults_of(name, 1, 0, &specs);
            wire.deliveries(vec![1]).pop().map(|d| d.after)
        };
        assert_eq!(after("sw0001"), Some(Duration::from_millis(50)));
        assert_eq!(after("sw0002"), Some(Duration::from_secs(2)));
        assert_eq!(after("sw0003"), None);
        assert_eq!(faults_of("sw0001", 1, 0, &specs).0.rows_max, Some(ROWS_MAX));
    }

    #[test]
    fn bad_faults_say_what_is_wrong() {
        let cases = [
            ("silent", "not KIND=SWITCH"),
            ("silent=", "no switch named"),
            ("silent=sw0001:1s", "silent takes nothing"),
            ("slow=sw0001", "slow needs a delay"),
            ("slow=sw0001:1M", "\"1M\" counts months"),
            ("lossy=sw0001", "lossy needs a percentage"),
            ("lossy=sw0001:101", "not a percentage from 0 to 100: \"101\""),
            ("corrupt=sw0001:half", "not a percentage from 0 to 100: \"half\""),
            ("non-increasing=sw0001:up", "non-increasing goes `repeat` or `back`, not \"up\""),
            ("too-big=sw0001:-1", "too-big needs a number of repetitions, not \"-1\""),
            ("loud=sw0001", "no fault is called \"loud\""),
        ];
        for (text, start) in cases {
            let error = text.parse::<FaultSpec>().unwrap_err();
            assert!(error.starts_with(start), "{text}: {error}");
        }
    }

    #[test]
    fn a_switch_that_is_not_there_is_named() {
        let names = ["sw0001".to_owned(), "sw0002".to_owned()];
        let error = specs(&["silent=sw0009"])[0].check(&names).unwrap_err();
        assert_eq!(error, "--fault silent=sw0009: no switch sw0009; there are sw0001 to sw0002");
        assert!(specs(&["silent=sw0002"])[0].check(&names[..1]).is_err());
        assert_eq!(specs(&["silent=all"])[0].check(&names), Ok(()));
    }
}
