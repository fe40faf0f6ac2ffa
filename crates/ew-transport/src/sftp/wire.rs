//! Requests and answers as bytes, version 3 (draft-ietf-secsh-filexfer-02, sections 3 to 7).

use ssh2::FileStat;

pub(super) const INIT: u8 = 1;
pub(super) const VERSION: u8 = 2;
pub(super) const OPEN: u8 = 3;
pub(super) const CLOSE: u8 = 4;
pub(super) const READ: u8 = 5;
pub(super) const WRITE: u8 = 6;
pub(super) const FSTAT: u8 = 8;
pub(super) const OPENDIR: u8 = 11;
pub(super) const READDIR: u8 = 12;
pub(super) const REMOVE: u8 = 13;
pub(super) const MKDIR: u8 = 14;
pub(super) const RMDIR: u8 = 15;
pub(super) const STAT: u8 = 17;
pub(super) const RENAME: u8 = 18;
pub(super) const STATUS: u8 = 101;
pub(super) const HANDLE: u8 = 102;
pub(super) const DATA: u8 = 103;
pub(super) const NAME: u8 = 104;
pub(super) const ATTRS: u8 = 105;
pub(super) const EXTENDED: u8 = 200;
pub(super) const EXTENDED_REPLY: u8 = 201;

// Which attributes follow (section 5).
const ATTR_SIZE: u32 = 1;
const ATTR_OWNERS: u32 = 2;
pub(super) const ATTR_PERMISSIONS: u32 = 4;
const ATTR_TIMES: u32 = 8;
const ATTR_EXTENDED: u32 = 1 << 31;

/// A field of a request.
#[derive(Clone, Copy)]
pub(super) enum Field<'a> {
    Number(u32),
    Long(u64),
    Text(&'a [u8]),
}

/// Appends a request.
pub(super) fn put(out: &mut Vec<u8>, kind: u8, id: u32, fields: &[Field<'_>]) {
    let start = out.len();
    out.extend_from_slice(&[0, 0, 0, 0, kind]);
    out.extend_from_slice(&id.to_be_bytes());
    for field in fields {
        match field {
            Field::Number(number) => out.extend_from_slice(&number.to_be_bytes()),
            Field::Long(number) => out.extend_from_slice(&number.to_be_bytes()),
            Field::Text(text) => {
                out.extend_from_slice(&length(text.len()));
                out.extend_from_slice(text);
            }
        }
    }
    let bytes = length(out.len() - start - 4);
    out[start..start + 4].copy_from_slice(&bytes);
}

/// Names, handles and pieces are kilobytes.
fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}

/// What is left to read of an answer. A field that is not there, or not whole, is none.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn number(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*number))
    }

    pub(super) fn long(&mut self) -> Option<u64> {
        Some(u64::from(self.number()?) << 32 | u64::from(self.number()?))
    }

    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        let bytes = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(text)
    }

    /// Attributes; extended ones are passed over.
    pub(super) fn stat(&mut self) -> Option<FileStat> {
        let flags = self.number()?;
        let mut stat = FileStat { size: None, uid: None, gid: None, perm: None, atime: None, mtime: None };
        if flags & ATTR_SIZE != 0 {
            stat.size = Some(self.long()?);
        }
        if flags & ATTR_OWNERS != 0 {
            (stat.uid, stat.gid) = (Some(self.number()?), Some(self.number()?));
        }
        if flags & ATTR_PERMISSIONS != 0 {
            stat.perm = Some(self.number()?);
        }
        if flags & ATTR_TIMES != 0 {
            (stat.atime, stat.mtime) = (Some(self.number()?.into()), Some(self.number()?.into()));
        }
        if flags & ATTR_EXTENDED != 0 {
            for _ in 0..self.number()? {
                self.text()?;
                self.text()?;
            }
        }
        Some(stat)
    }

    /// Names of a directory, each with its attributes.
    pub(super) fn names(&mut self) -> Option<Vec<(Vec<u8>, FileStat)>> {
        let count = self.number()?;
        let mut names = Vec::new();
        for _ in 0..count {
            let name = self.text()?.to_vec();
            // The same as a line of `ls -l`.
            self.text()?;
            names.push((name, self.stat()?));
        }
        Some(names)
    }
}

/// Reads bytes as a server's answer, of each kind; for `make fuzz`.
#[cfg(fuzzing)]
pub fn hear(bytes: &[u8]) {
    let _ = (Fields(bytes).stat(), Fields(bytes).long());
    let names = Fields(bytes).names().unwrap_or_default();
    // Each takes twelve bytes at least: what is claimed is not what is asked memory for.
    assert!(names.len() * 12 <= bytes.len());
    let mut texts = Fields(bytes);
    while texts.text().is_some() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_its_length_kind_id_and_fields() {
        let mut out = vec![7];
        put(&mut out, WRITE, 258, &[Field::Text(b"h"), Field::Long(1 << 32), Field::Number(3)]);
        let expect = [0, 0, 0, 22, 6, 0, 0, 1, 2, 0, 0, 0, 1, b'h', 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 3];
        assert_eq!(out, [&[7], expect.as_slice()].concat());
    }

    /// Cut anywhere, and with lengths that lie, an answer is none and asks for no memory.
    #[test]
    fn an_answer_that_is_not_whole_is_none() {
        let mut whole = vec![0, 0, 0, 2];
        for name in [b"a", b"b"] {
            whole.extend_from_slice(&[0, 0, 0, 1, name[0], 0, 0, 0, 0]);
            whole.extend_from_slice(
                &(ATTR_SIZE | ATTR_OWNERS | ATTR_PERMISSIONS | ATTR_TIMES | ATTR_EXTENDED).to_be_bytes(),
            );
            whole.extend_from_slice(&[0, 0, 0, 0, 0, 0, 1, 0]);
            whole.extend_from_slice(&[[0, 0, 0, 1], [0, 0, 0, 2], [0, 0, 0x81, 0xa4]].concat());
            whole.extend_from_slice(&[[0, 0, 0, 3], [0, 0, 0, 4]].concat());
            whole.extend_from_slice(
                &[[0, 0, 0, 1], [0, 0, 0, 1], [b'x', 0, 0, 0], [1, b'y', 0, 0]].concat()[..14],
            );
        }
        let names = Fields(&whole).names().unwrap();
        assert_eq!((names.len(), names[1].0.as_slice()), (2, b"b".as_slice()));
        let stat = &names[1].1;
        assert_eq!((stat.size, stat.uid, stat.gid, stat.mtime), (Some(256), Some(1), Some(2), Some(4)));
        assert!(stat.is_file());
        for cut in 0..whole.len() {
            assert!(Fields(&whole[..cut]).names().is_none(), "{cut}");
        }
        assert!(Fields(&[255; 40]).names().is_none());
    }
}
