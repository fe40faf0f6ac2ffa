//! Both directions of a conversation, with times, for whoever has to find out what a far side says.

use ew_core::Timestamp;
use std::cell::RefCell;
use std::fmt;
use std::io::{self, Write};
use std::rc::Rc;

/// `--trace FILE`: one line an exchange, `TIME > "what was sent"` and `TIME < "what came"`. Clones write to the same
/// file. Secrets are never traced: a backend hands over the line with the secret taken out.
#[derive(Clone, Default)]
pub struct Trace(Option<Rc<RefCell<Sink>>>);

struct Sink {
    out: Box<dyn Write>,
    now: fn() -> Timestamp,
    failed: Option<io::Error>,
}

impl Trace {
    /// Writes nowhere.
    pub fn off() -> Trace {
        Trace(None)
    }

    /// Writes to `out`.
    pub fn to(out: Box<dyn Write>, now: fn() -> Timestamp) -> Trace {
        Trace(Some(Rc::new(RefCell::new(Sink { out, now, failed: None }))))
    }

    /// Something was sent.
    pub fn sent(&self, bytes: &[u8]) {
        self.line('>', bytes);
    }

    /// Something came; nothing is the end of the stream.
    pub fn came(&self, bytes: &[u8]) {
        self.line('<', bytes);
    }

    fn line(&self, direction: char, bytes: &[u8]) {
        let Some(sink) = &self.0 else { return };
        let mut sink = sink.borrow_mut();
        let now = (sink.now)();
        // At once: escaped bytes go out one by one, and a line may have millions of them.
        let line = format!("{now} {direction} \"{}\"\n", bytes.escape_ascii());
        // A trace that cannot be written stops nothing.
        if let Err(error) = sink.out.write_all(line.as_bytes()) {
            sink.failed.get_or_insert(error);
        }
    }

    /// Why something is missing in it; told once.
    pub fn failed(&self) -> Option<io::Error> {
        self.0.as_ref()?.borrow_mut().failed.take()
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Trace(on)" } else { "Trace(off)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_with_times_in_one_line_each() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trace");
        let file = std::fs::File::create(&path).unwrap();
        let trace = Trace::to(Box::new(file), || Timestamp::from_secs(1_700_000_000));
        trace.sent(b"D\n");
        trace.clone().came(b"ready>\r\n");
        trace.came(b"");
        Trace::off().sent(b"nowhere");
        let expect = "2023-11-14T22:13:20Z > \"D\\n\"\n2023-11-14T22:13:20Z < \"ready>\\r\\n\"\n2023-11-14T22:13:20Z < \"\"\n";
        assert_eq!(std::fs::read_to_string(path).unwrap(), expect);
    }
}
