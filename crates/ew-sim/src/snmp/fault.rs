//! What goes wrong on purpose: `KIND=SWITCH[:ARG]` on the command line, and what it does to answers.
//!
//! A fault works on the finished answer: it may be lost, or leave later. A kind that changes the bytes, or
//! sends them twice, has its place in [`Faults::deliveries`] too.

use ew_core::Span;
use std::str::FromStr;
use std::time::Duration;

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Never answers.
    Silent,
    /// Answers this much later.
    Slow(Duration),
}

/// A fault and whom it concerns, as the command line has it.
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
        const KINDS: &str = "silent=SWITCH, slow=SWITCH:DURATION";
        let (kind, rest) =
            text.split_once('=').ok_or_else(|| format!("not KIND=SWITCH[:ARG], as in {KINDS}"))?;
        let (switch, argument) = match rest.split_once(':') {
            Some((switch, argument)) => (switch, Some(argument)),
            None => (rest, None),
        };
        let kind = match (kind, argument) {
            ("silent", None) => Kind::Silent,
            ("silent", Some(_)) => return Err("silent takes nothing after the switch".into()),
            ("slow", Some(delay)) => Kind::Slow(delay.parse::<Span>()?.0),
            ("slow", None) => return Err("slow needs a delay, as in slow=sw0001:500ms".into()),
            _ => return Err(format!("no fault is called {kind:?}; there are {KINDS}")),
        };
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

/// The faults of one switch.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Faults {
    silent: bool,
    delay: Duration,
}

/// A datagram to send, and when.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// From the arrival of the request.
    pub(crate) after: Duration,
    /// What to send.
    pub(crate) datagram: Vec<u8>,
}

impl Faults {
    /// Those of `specs` that concern the switch of this name.
    pub(crate) fn of(switch: &str, specs: &[FaultSpec]) -> Faults {
        let mut faults = Faults::default();
        for spec in specs.iter().filter(|s| s.switch.as_deref().is_none_or(|name| name == switch)) {
            match spec.kind {
                Kind::Silent => faults.silent = true,
                Kind::Slow(delay) => faults.delay = delay,
            }
        }
        faults
    }

    /// What leaves of an answer.
    pub(crate) fn deliveries(&self, answer: Vec<u8>) -> Vec<Delivery> {
        if self.silent { Vec::new() } else { vec![Delivery { after: self.delay, datagram: answer }] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specs(texts: &[&str]) -> Vec<FaultSpec> {
        texts.iter().map(|t| t.parse().unwrap()).collect()
    }

    #[test]
    fn the_last_fault_of_a_kind_counts() {
        let specs = specs(&["slow=all:50ms", "slow=sw0002:2s", "silent=sw0003"]);
        let after = |name: &str| Faults::of(name, &specs).deliveries(vec![1]).pop().map(|d| d.after);
        assert_eq!(after("sw0001"), Some(Duration::from_millis(50)));
        assert_eq!(after("sw0002"), Some(Duration::from_secs(2)));
        assert_eq!(after("sw0003"), None);
    }

    #[test]
    fn bad_faults_say_what_is_wrong() {
        let cases = [
            ("silent", "not KIND=SWITCH"),
            ("silent=", "no switch named"),
            ("silent=sw0001:1s", "silent takes nothing"),
            ("slow=sw0001", "slow needs a delay"),
            ("slow=sw0001:1M", "\"1M\" counts months"),
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
