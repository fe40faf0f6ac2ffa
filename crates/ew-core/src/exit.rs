//! Exit codes, the same for all programs (they follow BSD `sysexits.h` where it has one).

/// How a program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Exit {
    /// All done, or nothing was due.
    Ok = 0,
    /// Some parts failed and some succeeded, or a difference was found.
    Partial = 1,
    /// Wrong command line.
    Usage = 2,
    /// Bad input data; nothing was appended.
    Data = 65,
    /// A window was open and nothing at all was in it.
    NoData = 66,
    /// A device, child or receiver could not be reached, or a deadline passed.
    Unavailable = 69,
    /// Local I/O: disk full, log unreadable or damaged.
    Io = 74,
    /// Another run holds the lock; try later.
    Busy = 75,
    /// The far side broke its protocol.
    Protocol = 76,
    /// Refused: host key, credentials, access level.
    Refused = 77,
    /// Bad configuration.
    Config = 78,
}

impl Exit {
    /// The table of `--help`.
    pub const HELP: &'static str = "\
Exit codes:
   0  all done, or nothing was due
   1  some parts failed and some succeeded, or a difference was found
   2  wrong command line
  65  bad input data (nothing appended)
  66  no data: a window was open and nothing at all was in it
  69  a device, child or receiver could not be reached, or a deadline passed
  74  local I/O: disk full, log unreadable or damaged
  75  another run holds the lock; try later
  76  the far side broke its protocol
  77  refused: host key, credentials, access level
  78  bad configuration";

    /// The number the shell sees.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The code of a run from the outcomes of its parts (switches, jobs, objects).
    ///
    /// All failed: the highest of their codes. Some failed: [`Exit::Partial`]. [`Exit::NoData`] and
    /// [`Exit::Busy`] count only when no part failed and none did anything: not beside [`PartOutcome::Done`], but
    /// beside [`PartOutcome::Unneeded`].
    pub fn of_parts(parts: impl IntoIterator<Item = PartOutcome>) -> Exit {
        let (mut done, mut unneeded, mut failed, mut idle) = (false, false, None, None);
        for part in parts {
            match part {
                PartOutcome::Done => done = true,
                PartOutcome::Unneeded => unneeded = true,
                PartOutcome::Idle(exit) => idle = idle.max(Some(exit)),
                PartOutcome::Failed(exit) => failed = failed.max(Some(exit)),
            }
        }
        match failed {
            Some(_) if done || unneeded => Exit::Partial,
            Some(exit) => exit,
            None if done => Exit::Ok,
            None => idle.unwrap_or(Exit::Ok),
        }
    }
}

/// How one part of a run ended, as far as the exit code asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartOutcome {
    /// It did its work, or had none.
    Done,
    /// It is good as it is, so nothing was done.
    Unneeded,
    /// It did nothing and did not fail: [`Exit::NoData`] or [`Exit::Busy`].
    Idle(Exit),
    /// It failed with this code.
    Failed(Exit),
}

impl PartOutcome {
    /// Of a part that ended with this code in place of doing its work.
    pub fn ended_with(exit: Exit) -> PartOutcome {
        match exit {
            Exit::NoData | Exit::Busy => PartOutcome::Idle(exit),
            exit => PartOutcome::Failed(exit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PartOutcome::*;

    #[test]
    fn parts_make_one_code() {
        let cases = [
            (vec![], Exit::Ok),
            (vec![Done, Done], Exit::Ok),
            (vec![Done, Failed(Exit::Unavailable)], Exit::Partial),
            (vec![Failed(Exit::Unavailable), Failed(Exit::Refused)], Exit::Refused),
            (vec![Idle(Exit::NoData), Idle(Exit::Busy)], Exit::Busy),
            (vec![Idle(Exit::NoData), Done], Exit::Ok),
            (vec![Idle(Exit::Busy), Failed(Exit::Unavailable)], Exit::Unavailable),
            (vec![Unneeded], Exit::Ok),
            (vec![Unneeded, Idle(Exit::Busy)], Exit::Busy),
            (vec![Unneeded, Done, Idle(Exit::Busy)], Exit::Ok),
            (vec![Unneeded, Failed(Exit::Unavailable)], Exit::Partial),
        ];
        for (parts, exit) in cases {
            assert_eq!(Exit::of_parts(parts.clone()), exit, "{parts:?}");
        }
    }
}
