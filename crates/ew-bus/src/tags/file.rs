//! Which kind of tag file it is: by its first bytes, whatever its name.

use super::{Tags, tags_from_xml};
use crate::BusError;
use std::io::{Cursor, Read};
use zip::ZipArchive;

/// The longest document or database that is read, packed or not, bytes. Large projects have a few megabytes.
const BYTES_MAX: u64 = 64 << 20;
const ENTRIES_MAX: usize = 100;

/// A tag file, as far as this crate reads it.
#[derive(Debug, PartialEq)]
pub enum TagFile {
    /// A document with its tags.
    Tags(Tags),
    /// A C-Gate 3 or Toolkit project as an SQLite database: its bytes.
    Database(Vec<u8>),
}

/// Reads an XML document, a `.cbz` (a zip with one document or one database) or a `.db`. `name` is for messages.
pub fn read_tag_file(name: &str, from: impl Read) -> Result<TagFile, BusError> {
    read(from, BYTES_MAX).map_err(|cause| BusError::BadTags { file: name.to_owned(), cause })
}

fn read(from: impl Read, bytes_max: u64) -> Result<TagFile, String> {
    let bytes = all(from, bytes_max)?;
    match bytes.starts_with(b"PK\x03\x04") {
        true => document(unpacked(bytes, bytes_max)?),
        false => document(bytes),
    }
}

fn document(bytes: Vec<u8>) -> Result<TagFile, String> {
    if bytes.starts_with(b"SQLite format 3\0") {
        return Ok(TagFile::Database(bytes));
    }
    // Older Toolkits wrote what their Windows had; a tag with an odd letter is better than none.
    let text =
        String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
    tags_from_xml(text.trim_start_matches('\u{feff}')).map(TagFile::Tags)
}

/// The one document or database of an archive.
fn unpacked(bytes: Vec<u8>, bytes_max: u64) -> Result<Vec<u8>, String> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| format!("it is no zip: {e}"))?;
    if archive.len() > ENTRIES_MAX {
        return Err(format!("the archive has {} files, more than {ENTRIES_MAX}", archive.len()));
    }
    let is_one = |name: &str| {
        let name = name.to_ascii_lowercase();
        [".xml", ".db"].iter().any(|end| name.ends_with(end))
    };
    let mut names: Vec<String> =
        archive.file_names().filter(|name| is_one(name)).map(str::to_owned).collect();
    match (names.pop(), names.is_empty()) {
        (Some(name), true) => all(archive.by_name(&name).map_err(|e| format!("{name}: {e}"))?, bytes_max),
        (None, _) => Err("the archive has no .xml and no .db".into()),
        (Some(_), false) => Err("the archive has more than one .xml or .db".into()),
    }
}

fn all(from: impl Read, bytes_max: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    from.take(bytes_max + 1).read_to_end(&mut bytes).map_err(|e| ew_net::plain(&e))?;
    match bytes.len() as u64 > bytes_max {
        true => Err(format!("it has more than {} MiB", bytes_max >> 20)),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use zip::write::SimpleFileOptions;

    const XML: &str = "<Installation><Project><TagName>HQ</TagName></Project></Installation>";

    fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in files {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn told(bytes: &[u8]) -> Result<TagFile, String> {
        read_tag_file("f", bytes).map_err(|e| e.to_string())
    }

    #[test]
    fn the_kind_is_told_by_the_bytes() {
        let tags = TagFile::Tags(Tags { project: Some("HQ".into()), ..Tags::default() });
        assert_eq!(told(XML.as_bytes()), Ok(tags));
        assert_eq!(told(format!("\u{feff}{XML}").as_bytes()), told(XML.as_bytes()));
        assert_eq!(told(&zipped(&[("HQ.xml", XML.as_bytes())])), told(XML.as_bytes()));
        let db = b"SQLite format 3\0rest";
        assert_eq!(
            told(&zipped(&[("readme.txt", b""), ("HQ/HQ.DB", db)])),
            Ok(TagFile::Database(db.to_vec()))
        );
        assert_eq!(told(db), Ok(TagFile::Database(db.to_vec())));
    }

    #[test]
    fn what_is_none_says_so() {
        for (bytes, why) in [
            (zipped(&[("a.txt", b"x")]), "no .xml and no .db"),
            (zipped(&[("a.xml", b"x"), ("b.xml", b"y")]), "more than one"),
            (zipped(&[("HQ.xml", XML.as_bytes())])[..40].to_vec(), "it is no zip"),
            (b"<html/>".to_vec(), "no Installation, Project or Network"),
            (b"".to_vec(), "no Installation, Project or Network"),
        ] {
            let error = told(&bytes).unwrap_err();
            assert!(error.starts_with("f: ") && error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_bomb_stays_packed() {
        let bomb = zipped(&[("HQ.xml", &vec![b' '; (1 << 20) + 1])]);
        assert!(bomb.len() < 1 << 13);
        assert_eq!(super::read(&bomb[..], 1 << 20), Err("it has more than 1 MiB".into()));
    }
}
