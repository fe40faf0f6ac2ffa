//! Which kind of tag file it is: by its first bytes, whatever its name.

use super::{Tags, tags_from_xml};
use crate::BusError;
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use std::borrow::Cow;
use std::io::{Cursor, Read};
use zip::ZipArchive;

/// The longest document or database that is read, packed or not, bytes. Large projects have a few megabytes.
const BYTES_MAX: u64 = 64 << 20;
const ENTRIES_MAX: usize = 100;
/// An XML declaration is no longer, bytes.
const DECLARATION_MAX: usize = 200;

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
    tags_from_xml(&decoded(&bytes)?).map(TagFile::Tags)
}

/// The text of a document: by its byte order mark, else as its XML declaration says, else UTF-8. Older Toolkits wrote what
/// their Windows had.
fn decoded(bytes: &[u8]) -> Result<Cow<'_, str>, String> {
    let (encoding, skipped) = match Encoding::for_bom(bytes) {
        Some(found) => found,
        None if bytes.starts_with(b"<\0") => (UTF_16LE, 0),
        None if bytes.starts_with(b"\0<") => (UTF_16BE, 0),
        None => match declared(bytes) {
            None => (UTF_8, 0),
            // What can be read as ASCII up to here is not UTF-16, whatever a program wrote that keeps its texts so.
            Some(label) => match Encoding::for_label(label.as_bytes()) {
                Some(encoding) if [UTF_16LE, UTF_16BE].contains(&encoding) => (UTF_8, 0),
                Some(encoding) => (encoding, 0),
                None => return Err(format!("its XML says encoding {label:?}, which is not known")),
            },
        },
    };
    let bytes = bytes.get(skipped..).unwrap_or_default();
    encoding.decode_without_bom_handling_and_without_replacement(bytes).ok_or_else(|| {
        let at = match encoding == UTF_8 {
            true => format!(" from byte {} on", skipped + Encoding::utf8_valid_up_to(bytes) + 1),
            false => String::new(),
        };
        format!("it is no {}{at}; its XML declaration should say what it is", encoding.name())
    })
}

/// The encoding that an XML declaration names.
fn declared(bytes: &[u8]) -> Option<String> {
    let head = bytes.get(..bytes.len().min(DECLARATION_MAX))?;
    let declaration = head.strip_prefix(b"<?xml")?.split(|byte| *byte == b'>').next()?;
    let text = String::from_utf8_lossy(declaration);
    let rest = text.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = rest.chars().next().filter(|c| ['"', '\''].contains(c))?;
    rest.split(quote).nth(1).map(str::to_owned)
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
    fn letters_are_read_as_the_declaration_says() {
        let xml =
            |declaration: &str| format!("{declaration}<Project><TagName>K\u{fc}che</TagName></Project>");
        let named = |bytes: &[u8]| match told(bytes) {
            Ok(TagFile::Tags(tags)) => tags.project.unwrap_or_default(),
            other => format!("{other:?}"),
        };
        let latin = |declaration: &str| -> Vec<u8> { xml(declaration).chars().map(|c| c as u8).collect() };
        for encoding in ["iso-8859-1", "ISO-8859-1", "windows-1252"] {
            let declaration = format!("<?xml version='1.0' encoding = '{encoding}' ?>");
            assert_eq!(named(&latin(&declaration)), "K\u{fc}che", "{encoding}");
        }
        let utf16: Vec<u8> = xml("\u{feff}<?xml version=\"1.0\" encoding=\"utf-16\"?>")
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!((named(&utf16), named(&utf16[2..])), ("K\u{fc}che".into(), "K\u{fc}che".into()));
        // A text that says how it was kept before it was written as UTF-8.
        assert_eq!(named(xml("<?xml version=\"1.0\" encoding=\"utf-16\"?>").as_bytes()), "K\u{fc}che");
        for declaration in ["", "<?xml version=\"1.0\"?>", "<?xml version=\"1.0\" encoding=\"utf-8\"?>"] {
            let error = told(&latin(declaration)).unwrap_err();
            let at = declaration.len() + "<Project><TagName>K".len() + 1;
            assert!(
                error.ends_with(&format!(
                    "it is no UTF-8 from byte {at} on; its XML declaration should say what it is"
                )),
                "{error}"
            );
        }
        let error = told(&latin("<?xml version=\"1.0\" encoding=\"cp9999\"?>")).unwrap_err();
        assert!(error.ends_with("its XML says encoding \"cp9999\", which is not known"), "{error}");
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
