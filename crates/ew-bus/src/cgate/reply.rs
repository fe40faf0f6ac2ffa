//! The reply to one command, put together from its lines. Pure.

use super::lines::Line;

/// Most of one reply, bytes.
const BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most lines of one reply that are no XML.
const ROWS_MAX: usize = 100_000;

/// XML begins; its lines; its end.
const XML_BEGIN: u16 = 343;
const XML_LINE: u16 = 347;

/// A line of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) code: u16,
    pub(crate) text: String,
}

impl Row {
    /// 4xx and 5xx. Such a row may stand amid good ones, in a reply that ends well.
    pub(crate) fn is_fault(&self) -> bool {
        (400..600).contains(&self.code)
    }

    /// As the server wrote it.
    pub(crate) fn words(&self) -> String {
        format!("{} {}", self.code, self.text)
    }
}

/// A whole reply.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// Every row but those of XML, the last one included.
    pub(crate) rows: Vec<Row>,
    /// What stood on its 347 lines.
    pub(crate) xml: String,
    /// The row that ended it.
    pub(crate) last: Row,
}

impl Reply {
    /// Those of 4xx and 5xx.
    pub(crate) fn faults(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.is_fault())
    }

    /// The first fault, where there is one: good is a reply with a good end and no fault in it.
    pub(crate) fn fault(&self) -> Option<&Row> {
        self.faults().next()
    }

    /// Its XML, where there is some and the reply ended well.
    pub(crate) fn document(&self) -> Option<&str> {
        (!self.last.is_fault() && !self.xml.trim().is_empty()).then_some(self.xml.as_str())
    }

    /// The value of a parameter in rows such as `//HOME/254: State=ok`. A server answers with the parameter's name in
    /// the case it was asked for, or in its own.
    pub(crate) fn value(&self, parameter: &str) -> Option<&str> {
        self.rows.iter().filter(|row| row.code == 300).find_map(|row| {
            let (_, name, value) = assignment(&row.text)?;
            name.eq_ignore_ascii_case(parameter).then_some(value)
        })
    }
}

/// Object, parameter and value of `//HOME/254: State=ok`.
pub(crate) fn assignment(text: &str) -> Option<(&str, &str, &str)> {
    let (object, rest) = text.split_once(": ")?;
    let (name, value) = rest.split_once('=')?;
    Some((object.trim(), name.trim(), value.trim()))
}

/// It is too much.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooMuch;

/// Takes lines until the reply to one command is whole.
#[derive(Debug)]
pub(crate) struct Assembler {
    tag: String,
    rows: Vec<Row>,
    xml: String,
    is_xml: bool,
    bytes: usize,
    /// What was said that belongs to no command of ours.
    stray: Option<String>,
}

impl Assembler {
    pub(crate) fn new(tag: String) -> Assembler {
        Assembler { tag, rows: Vec::new(), xml: String::new(), is_xml: false, bytes: 0, stray: None }
    }

    /// A line without its end; the reply once it is whole.
    pub(crate) fn take(&mut self, line: &str) -> Result<Option<Reply>, TooMuch> {
        self.bytes = self.bytes.saturating_add(line.len());
        if self.bytes > BYTES_MAX || self.rows.len() >= ROWS_MAX {
            return Err(TooMuch);
        }
        let (code, is_last, text) = match Line::parse(line) {
            Line::Event => return Ok(None),
            Line::Reply { tag: Some(tag), code, is_last, text } if tag == self.tag => (code, is_last, text),
            // A text in the XML may hold line feeds of its own.
            Line::Other | Line::Reply { tag: None, .. } if self.is_xml => {
                self.add_xml(line);
                return Ok(None);
            }
            // Of a command that was given up.
            Line::Reply { tag: Some(_), .. } => return Ok(None),
            Line::Other | Line::Reply { tag: None, .. } => {
                if !line.trim().is_empty() {
                    self.stray = Some(line.to_owned());
                }
                return Ok(None);
            }
        };
        match code {
            XML_BEGIN => self.is_xml = true,
            XML_LINE => self.add_xml(text),
            _ => self.rows.push(Row { code, text: text.trim().to_owned() }),
        }
        if !is_last {
            return Ok(None);
        }
        let last = Row { code, text: text.trim().to_owned() };
        Ok(Some(Reply { rows: std::mem::take(&mut self.rows), xml: std::mem::take(&mut self.xml), last }))
    }

    /// What was said without our tag.
    pub(crate) fn stray(&self) -> Option<&str> {
        self.stray.as_deref()
    }

    fn add_xml(&mut self, line: &str) {
        if !self.xml.is_empty() {
            self.xml.push('\n');
        }
        self.xml.push_str(line);
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::{Lines, text};
    use super::*;
    use proptest::prelude::*;

    fn replies(stream: &[u8], cuts: &[usize]) -> Vec<Reply> {
        let mut lines = Lines::default();
        let mut assembler = Assembler::new("7".into());
        let mut got = Vec::new();
        let mut from = 0;
        for cut in cuts.iter().copied().chain([stream.len()]) {
            lines.push(&stream[from..cut]);
            from = cut;
            while let Ok(Some(line)) = lines.next() {
                got.extend(assembler.take(&text(&line)).unwrap());
            }
        }
        got
    }

    fn row(code: u16, text: &str) -> Row {
        Row { code, text: text.into() }
    }

    const LEVELS: &[u8] = b"#e# 20260101-000000.000 730 //HOME/254/56/9 new level=1\r\n\
        [7] 300-//HOME/254/56/1: level=255\r\n\
        20260101-000000 702 //HOME/254/56/1 x\r\n\
        [7] 408-Operation failed: //HOME/254/56/2 (Can not get parameter from unit)\r\n\
        [6] 200 OK.\r\n\
        762 //HOME/254 - Network sync ok\r\n\
        [7] 300 //HOME/254/56/3: Level=0\r\n";

    const XML: &[u8] = b"[7] 343-Begin XML snippet\r\n[7] 347-<?xml version=\"1.0\"?>\n#s# x\r\n\
        [7] 347-<Network><TagName>two\r\nlines\r\n</TagName></Network>\r\n[7] 344 End XML snippet\r\n";

    #[test]
    fn whole_whatever_the_pieces_it_comes_in() {
        for cut in 0..=LEVELS.len() {
            let got = replies(LEVELS, &[cut]);
            let bad = row(408, "Operation failed: //HOME/254/56/2 (Can not get parameter from unit)");
            assert_eq!(got.len(), 1, "cut at {cut}");
            assert_eq!(
                got[0].rows,
                [row(300, "//HOME/254/56/1: level=255"), bad.clone(), row(300, "//HOME/254/56/3: Level=0")]
            );
            assert_eq!(got[0].fault(), Some(&bad));
            assert_eq!(got[0].last.code, 300);
        }
        for cut in 0..=XML.len() {
            let got = replies(XML, &[cut]);
            assert_eq!(
                got[0].xml,
                "<?xml version=\"1.0\"?>\n<Network><TagName>two\nlines\n</TagName></Network>"
            );
            assert_eq!((got[0].fault(), got[0].last.code), (None, 344));
        }
    }

    #[test]
    fn a_fault_within_xml_that_ends_well_is_a_fault() {
        let stream = b"[7] 343-Begin XML Snippet\r\n[7] 402-Operation not supported by: //HOME\r\n\
            [7] 344 End XML Snippet\r\n";
        let got = replies(stream, &[]);
        assert_eq!(got[0].fault(), Some(&row(402, "Operation not supported by: //HOME")));
    }

    #[test]
    fn a_parameter_is_found_in_any_case() {
        let got = replies(b"[7] 300 //HOME/254: interfaceSTATE=running \r\n", &[]);
        assert_eq!(got[0].value("InterfaceState"), Some("running"));
        assert_eq!(got[0].value("State"), None);
        assert_eq!(assignment("//HOME/254: x=a=b"), Some(("//HOME/254", "x", "a=b")));
    }

    #[test]
    fn rows_have_an_end() {
        let mut assembler = Assembler::new("7".into());
        let last = (0..=ROWS_MAX).find(|_| assembler.take("[7] 300-//H/254/56/1: level=1").is_err());
        assert_eq!(last, Some(ROWS_MAX));
    }

    proptest! {
        #[test]
        fn never_other_rows_by_other_pieces(mut cuts in prop::collection::vec(0..LEVELS.len(), 0..20)) {
            cuts.sort_unstable();
            prop_assert_eq!(replies(LEVELS, &cuts), replies(LEVELS, &[]));
        }

        #[test]
        fn takes_anything(noise in prop::collection::vec(any::<u8>(), 0..400), lines in "([\\[\\]7 #-]|300|347|343|\n|\r|[a-z]){0,80}") {
            replies(&noise, &[]);
            replies(lines.as_bytes(), &[]);
        }
    }
}
