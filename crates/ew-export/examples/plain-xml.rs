//! A log as XML by quick-xml's writer, used as its documentation shows: what `make bench-export` holds the XML
//! formatter against. `plain-xml LOG FILE`

use ew_core::{Row, Selection, Timestamp, Window};
use ew_store::{Log, Seqs, StoreError};
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(log), Some(file)) = (arguments.next(), arguments.next()) else {
        return Err("usage: plain-xml LOG FILE".into());
    };
    let log = Log::open(Path::new(&log))?;
    let mut out = Writer::new(BufWriter::with_capacity(1 << 16, File::create(file)?));
    out.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    out.write_event(Event::Start(BytesStart::new("data").with_attributes([("info", "")])))?;
    let mut entry: Option<Timestamp> = None;
    let mut failed = None;
    let mut each = |row: Row<'_>| -> Result<(), StoreError> {
        if failed.is_none() {
            failed = write(&mut out, &mut entry, row).err();
        }
        Ok(())
    };
    let all = Window::new(Timestamp::MIN, Timestamp::MAX);
    log.snapshot()?.for_each_row(all, &Selection::default(), Seqs::ALL, &mut each)?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    if entry.is_some() {
        out.write_event(Event::End(BytesEnd::new("entry")))?;
    }
    out.write_event(Event::End(BytesEnd::new("data")))?;
    out.into_inner().flush()?;
    Ok(())
}

fn write(out: &mut Writer<impl Write>, entry: &mut Option<Timestamp>, row: Row<'_>) -> std::io::Result<()> {
    if *entry != Some(row.time) {
        if entry.is_some() {
            out.write_event(Event::End(BytesEnd::new("entry")))?;
        }
        let time = row.time.to_string();
        out.write_event(Event::Start(
            BytesStart::new("entry").with_attributes([("timestamp", time.as_str())]),
        ))?;
        *entry = Some(row.time);
    }
    if let Some(value) = row.value {
        out.write_event(Event::Start(BytesStart::new("value").with_attributes([("name", row.point)])))?;
        out.write_event(Event::Text(BytesText::new(&value.to_string())))?;
        out.write_event(Event::End(BytesEnd::new("value")))?;
    }
    Ok(())
}
