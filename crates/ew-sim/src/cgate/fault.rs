//! What goes wrong on purpose, as the command line has it: `KIND[=ARG]`.

use ew_core::Span;
use std::str::FromStr;
use std::time::Duration;

/// All faults of a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    /// Accepts, and says nothing ever.
    pub(crate) silent_banner: bool,
    /// Answers with a TLS alert whatever comes in the clear.
    pub(crate) tls_port: bool,
    /// 421 in place of the banner.
    pub(crate) refused: bool,
    /// The connection ends amid the reply to commands that begin with these words; so often, else always.
    pub(crate) cut: Vec<(String, Option<u32>)>,
    /// No reply to commands that begin so.
    pub(crate) stalled: Vec<String>,
    /// 420 to them.
    pub(crate) denied: Vec<String>,
    /// 402 to them.
    pub(crate) unsupported: Vec<String>,
    /// 500 to them.
    pub(crate) broken: Vec<String>,
    /// Networks are being synchronised, until they were asked for their state so often.
    pub(crate) syncing: Option<Option<u32>>,
    /// Networks are closed until NET OPEN.
    pub(crate) closed: bool,
    /// The project is not loaded until PROJECT LOAD.
    pub(crate) not_loaded: bool,
    /// A row of 408 amid the reply to them, which ends well.
    pub(crate) holes: Vec<String>,
    /// 408 for the level of this group, wherever it is.
    pub(crate) bad_groups: Vec<u8>,
    /// The state of this group is error, and its level 0.
    pub(crate) lost_groups: Vec<u8>,
    /// Events between all lines.
    pub(crate) events: bool,
    /// The tag database is at least so many bytes, on one line.
    pub(crate) xml_bytes: usize,
    /// A document type with entities stands before the tag database.
    pub(crate) bomb: bool,
    /// Every line ends with a bare LF.
    pub(crate) bare_lf: bool,
    /// GET echoes a parameter so in place of as it came.
    pub(crate) case: Option<Case>,
    /// Before every reply.
    pub(crate) slow: Duration,
    /// What is sent goes in pieces of so many bytes.
    pub(crate) pieces: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Case {
    Upper,
    Lower,
}

/// One fault of the command line.
#[derive(Debug, Clone)]
pub(crate) struct FaultSpec {
    kind: String,
    argument: Option<String>,
}

impl FromStr for FaultSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<FaultSpec, String> {
        let (kind, argument) = match text.split_once('=') {
            Some((kind, argument)) => (kind.to_owned(), Some(argument.to_owned())),
            None => (text.to_owned(), None),
        };
        let spec = FaultSpec { kind, argument };
        // Only to have it checked at once.
        Faults::default().add(&spec)?;
        Ok(spec)
    }
}

impl Faults {
    pub(crate) fn of(specs: &[FaultSpec]) -> Faults {
        let mut faults = Faults::default();
        for spec in specs {
            // Checked when it was read.
            let _ = faults.add(spec);
        }
        faults
    }

    fn add(&mut self, spec: &FaultSpec) -> Result<(), String> {
        let kind = spec.kind.as_str();
        let argument = || spec.argument.clone().ok_or_else(|| format!("{kind} needs something after ="));
        let command = || argument().map(|command| command.to_ascii_uppercase());
        fn number<T: FromStr>(kind: &str, text: &str) -> Result<T, String> {
            text.parse().map_err(|_| format!("{kind} needs a number, not {text:?}"))
        }
        match kind {
            "silent-banner" => self.silent_banner = true,
            "tls-port" => self.tls_port = true,
            "refused" => self.refused = true,
            "cut" => {
                let argument = command()?;
                self.cut.push(match argument.rsplit_once(':') {
                    Some((command, times)) => (command.to_owned(), Some(number(kind, times)?)),
                    None => (argument, None),
                });
            }
            "stalled" => self.stalled.push(command()?),
            "denied" => self.denied.push(command()?),
            "unsupported" => self.unsupported.push(command()?),
            "broken" => self.broken.push(command()?),
            "hole" => self.holes.push(command()?),
            "syncing" => self.syncing = Some(spec.argument.as_deref().map(|n| number(kind, n)).transpose()?),
            "closed" => self.closed = true,
            "not-loaded" => self.not_loaded = true,
            "bad-group" => self.bad_groups.push(number(kind, &argument()?)?),
            "lost-group" => self.lost_groups.push(number(kind, &argument()?)?),
            "events" => self.events = true,
            "xml-bytes" => self.xml_bytes = number(kind, &argument()?)?,
            "bomb" => self.bomb = true,
            "bare-lf" => self.bare_lf = true,
            "case" => {
                self.case = Some(match argument()?.as_str() {
                    "upper" => Case::Upper,
                    "lower" => Case::Lower,
                    other => return Err(format!("case is upper or lower, not {other:?}")),
                });
            }
            "slow" => self.slow = argument()?.parse::<Span>()?.0,
            "pieces" => self.pieces = Some(number::<usize>(kind, &argument()?)?.max(1)),
            _ => return Err(format!("no fault is called {kind:?}; see --help")),
        }
        Ok(())
    }
}

/// Whether a command, in capitals, begins with the words of one of these.
pub(crate) fn is_one_of(command: &str, beginnings: &[String]) -> bool {
    beginnings.iter().any(|beginning| begins(command, beginning))
}

/// Whether a command, in capitals, begins with these words.
pub(crate) fn begins(command: &str, beginning: &str) -> bool {
    command.strip_prefix(beginning).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_and_what_is_wrong_with_some() {
        let spec = |text: &str| text.parse::<FaultSpec>();
        let faults = Faults::of(&[
            spec("cut=tree //home/254:2").unwrap(),
            spec("cut=NOOP").unwrap(),
            spec("syncing").unwrap(),
            spec("slow=50ms").unwrap(),
        ]);
        assert_eq!(faults.cut, [("TREE //HOME/254".into(), Some(2)), ("NOOP".into(), None)]);
        assert_eq!((faults.syncing, faults.slow), (Some(None), Duration::from_millis(50)));
        for (text, start) in [
            ("loud", "no fault is called \"loud\""),
            ("stalled", "stalled needs something after ="),
            ("bad-group=256", "bad-group needs a number, not \"256\""),
            ("case=mixed", "case is upper or lower, not \"mixed\""),
        ] {
            assert!(spec(text).unwrap_err().starts_with(start), "{text}");
        }
    }
}
