//! From bytes to lines, and what a line is. Pure.

/// The longest line, bytes; a tag database may come as one.
pub(crate) const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A line that is longer than [`LINE_BYTES_MAX`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Bytes as they come, parted at each LF: one kind of reply has lines that end with a bare one.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    bytes: Vec<u8>,
    /// Where the next line starts.
    start: usize,
    /// So far there is no LF in it.
    looked: usize,
}

impl Lines {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.start);
        self.looked -= self.start;
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole line, with its end.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, TooLong> {
        let Some(at) = self.bytes[self.looked..].iter().position(|b| *b == b'\n') else {
            self.looked = self.bytes.len();
            return match self.looked - self.start > LINE_BYTES_MAX {
                true => Err(TooLong),
                false => Ok(None),
            };
        };
        let end = self.looked + at + 1;
        let line = self.bytes[self.start..end].to_vec();
        (self.start, self.looked) = (end, end);
        Ok(Some(line))
    }

    /// What has come of a line that is not whole yet.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

/// What a line is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// A part of a reply.
    Reply {
        /// What the command began with; a banner and some refusals have none.
        tag: Option<&'a str>,
        /// Three digits.
        code: u16,
        /// No more of this reply follows.
        is_last: bool,
        /// What follows the code.
        text: &'a str,
    },
    /// Told unasked, at any time, even within a reply.
    Event,
    /// Nothing of these.
    Other,
}

impl Line<'_> {
    /// `line` is without its end.
    pub(crate) fn parse(line: &str) -> Line<'_> {
        if line.starts_with('#') || is_stamped(line) {
            return Line::Event;
        }
        let (tag, rest) = match line.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
            Some((tag, rest)) => (Some(tag), rest),
            None => (None, line),
        };
        let Some((digits, rest)) = rest.split_at_checked(3) else { return Line::Other };
        let is_number = digits.bytes().all(|b| b.is_ascii_digit());
        let (Ok(code), true) = (digits.parse::<u16>(), is_number) else { return Line::Other };
        let (is_last, text) = match rest.split_at_checked(1) {
            None => (true, ""),
            Some((" ", text)) => (true, text),
            Some(("-", text)) => (false, text),
            Some(_) => return Line::Other,
        };
        match (tag, code) {
            (None, 700..) => Line::Event,
            _ => Line::Reply { tag, code, is_last, text },
        }
    }
}

/// `YYYYMMDD-HHMMSS`, in newer versions with `.mmm`, and a blank.
fn is_stamped(line: &str) -> bool {
    let bytes = line.as_bytes();
    let digits = |range: std::ops::Range<usize>| {
        bytes.get(range).is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    digits(0..8) && bytes.get(8) == Some(&b'-') && digits(9..15) && matches!(bytes.get(15), Some(b' ' | b'.'))
}

/// Without its end, CRLF or LF; what is no UTF-8 is replaced.
pub(crate) fn text(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    String::from_utf8_lossy(line).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(tag: Option<&'static str>, code: u16, is_last: bool, text: &'static str) -> Line<'static> {
        Line::Reply { tag, code, is_last, text }
    }

    #[test]
    fn replies_events_and_the_rest_are_told_apart() {
        assert_eq!(Line::parse("[7] 300-//H/1: level=2"), reply(Some("7"), 300, false, "//H/1: level=2"));
        assert_eq!(Line::parse("[7] 320 -end-"), reply(Some("7"), 320, true, "-end-"));
        assert_eq!(Line::parse("201 Service ready: x"), reply(None, 201, true, "Service ready: x"));
        assert_eq!(Line::parse("200"), reply(None, 200, true, ""));
        for event in [
            "#e# 20170204-130934.821 702 //SHAC/254/208 x",
            "#s# lighting on //HOME/254/56/3",
            "###!!!Event buffer overflow - 3 events lost!!!###",
            "20060206-144513 761 cmd1 - Command: project load HOME",
            "20260206-144513.001 762 //HOME/254 - Network sync ok",
            "730 //HOME/254/56/3 new level=255",
        ] {
            assert_eq!(Line::parse(event), Line::Event, "{event}");
        }
        for other in
            ["", "20", "[7] ", "[7", "2000 OK", "<Network>", "+200 OK", "ä00 x", "20060206-14451 761"]
        {
            assert_eq!(Line::parse(other), Line::Other, "{other}");
        }
    }

    #[test]
    fn a_line_ends_with_crlf_or_a_bare_lf() {
        let stream = b"[1] 347-<?xml?>\n[1] 347-<a/>\r\n[1] 344 End\r\n";
        for cut in 0..=stream.len() {
            let mut lines = Lines::default();
            let mut got = Vec::new();
            for piece in [&stream[..cut], &stream[cut..]] {
                lines.push(piece);
                while let Some(line) = lines.next().unwrap() {
                    got.push(text(&line));
                }
            }
            assert_eq!(got, ["[1] 347-<?xml?>", "[1] 347-<a/>", "[1] 344 End"], "cut at {cut}");
            assert_eq!(lines.rest(), b"");
        }
    }

    #[test]
    fn a_line_without_end_is_given_up() {
        let mut lines = Lines::default();
        let piece = vec![b'x'; 1024 * 1024];
        for _ in 0..16 {
            lines.push(&piece);
            assert_eq!(lines.next(), Ok(None));
        }
        lines.push(b"x");
        assert_eq!(lines.next(), Err(TooLong));
    }
}
