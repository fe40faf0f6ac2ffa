//! XML from a server, read part by part and bounded: no document type, so no entities but XML's own five; no deeper and
//! no more elements than a tag database has.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};

/// A tag database is seven deep.
const DEPTH_MAX: usize = 32;
/// Most elements of one document.
const ELEMENTS_MAX: usize = 2_000_000;

/// What [`walk`] tells.
#[derive(Debug)]
pub(crate) enum Part<'a> {
    /// An element begins; its attributes.
    Open(&'a [(String, String)]),
    /// It ends; its own text.
    Close(&'a str),
}

/// Tells each element of a document, with the names of those it stands in, outermost first, itself last. The error says
/// what is wrong with it, and where.
pub(crate) fn walk(xml: &str, mut tell: impl FnMut(&[String], Part<'_>)) -> Result<(), String> {
    let mut reader = Reader::from_str(xml);
    let mut path: Vec<String> = Vec::new();
    let mut text = String::new();
    let mut elements = 0;
    loop {
        let at = reader.buffer_position();
        let wrong = |what: &str| format!("its XML is damaged at byte {at}: {what}");
        let event = reader.read_event().map_err(|e| wrong(&e.to_string()))?;
        match event {
            Event::Start(ref start) | Event::Empty(ref start) => {
                elements += 1;
                if path.len() == DEPTH_MAX || elements > ELEMENTS_MAX {
                    return Err(format!(
                        "its XML is deeper than {DEPTH_MAX} or has more than {ELEMENTS_MAX} elements"
                    ));
                }
                path.push(start.name().as_ref().to_owned());
                text.clear();
                tell(&path, Part::Open(&attributes(start).map_err(|e| wrong(&e))?));
                if matches!(event, Event::Empty(_)) {
                    tell(&path, Part::Close(""));
                    path.pop();
                }
            }
            Event::End(_) => {
                tell(&path, Part::Close(text.trim()));
                text.clear();
                path.pop();
            }
            Event::Text(part) => text.push_str(&part.xml10_content()),
            Event::CData(part) => text.push_str(&part.xml10_content()),
            Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                Ok(Some(character)) => text.push(character),
                _ => {
                    let name = reference.xml10_content();
                    let known = resolve_predefined_entity(&name);
                    text.push_str(known.ok_or_else(|| wrong(&format!("the entity &{name};")))?);
                }
            },
            Event::DocType(_) => return Err("its XML has a document type, which no C-Gate sends".into()),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof if path.is_empty() => return Ok(()),
            Event::Eof => return Err(format!("its XML breaks off within {}", path.join("/"))),
        }
    }
}

fn attributes(start: &BytesStart<'_>) -> Result<Vec<(String, String)>, String> {
    start
        .attributes()
        .map(|attribute| {
            let attribute = attribute.map_err(|e| e.to_string())?;
            let value =
                attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0).map_err(|e| e.to_string())?;
            Ok((attribute.key.as_ref().to_owned(), value.into_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(xml: &str) -> Result<Vec<String>, String> {
        let mut told = Vec::new();
        walk(xml, |path, part| {
            told.push(match part {
                Part::Open(attributes) => format!("{}{attributes:?}", path.join("/")),
                Part::Close(text) => format!("/{} {text}", path.join("/")),
            });
        })?;
        Ok(told)
    }

    #[test]
    fn elements_in_order_with_their_own_text() {
        let xml = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<a> <b x='&lt;1'>&lt;Un&#117;sed&gt; &amp;</b><c/></a>";
        let expect = ["a[]", "a/b[(\"x\", \"<1\")]", "/a/b <Unused> &", "a/c[]", "/a/c ", "/a "];
        assert_eq!(told(xml).unwrap(), expect);
    }

    #[test]
    fn bombs_and_ruins_are_refused() {
        let bomb = "<!DOCTYPE a [<!ENTITY b \"bbbb\"><!ENTITY c \"&b;&b;\">]><a>&c;</a>";
        assert!(told(bomb).unwrap_err().contains("document type"));
        assert!(told("<a>&bomb;</a>").unwrap_err().contains("&bomb;"));
        assert!(told(&"<a>".repeat(40)).unwrap_err().contains("deeper than 32"));
        assert_eq!(told("<a><b>x").unwrap_err(), "its XML breaks off within a/b");
        assert!(told("<a></b>").unwrap_err().starts_with("its XML is damaged at byte "));
    }

    proptest! {
        #[test]
        fn takes_anything(xml in "(<|>|/|a|b|=|'|\"|&|;|!|\\[|\\]|-| |lt|#x0|\\?){0,60}") {
            let _ = told(&xml);
        }
    }
}
