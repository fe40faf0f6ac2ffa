//! What each format makes of a row, and a reader that shares no code with it. A new format has no test until it is
//! in [`kind`] and in [`cases`]; the first does not compile without it, the second fails.

use super::slice::{Reading, SECOND, fixtures};
use ew_core::Quality;
use ew_format::{Format, FormatOptions, Layout};
use std::path::PathBuf;

/// A format as a job may have it.
pub(crate) struct Case {
    pub(crate) toml: String,
    pub(crate) zones: &'static [&'static str],
}

const ANYWHERE: &[&str] = &["UTC", "Europe/Zurich"];
/// Where [`super::WINDOW`] is of whole days.
const MARKET: &[&str] = &["Australia/Brisbane"];

/// The points that receivers know.
pub(crate) fn points() -> Vec<String> {
    let odd = [
        " leading and trailing ",
        "-",
        "=1+1",
        "a\"b\"",
        "a'b",
        "a,b",
        "a;b",
        "a<b>&c]]>",
        "com.example.Gebäude 7.Zähler",
        "com.example.hq",
        "{\"a\\b\"}",
        "\u{2028}x",
        "漢字",
        "\u{feff}bom",
        "😀",
    ];
    let many = (0..100).map(|n| format!("com.example.hq.sw{n:03}"));
    let mut points: Vec<String> = odd.into_iter().map(str::to_owned).chain(many).collect();
    points.sort();
    points
}

pub(crate) fn cases() -> Vec<Case> {
    let meters = |of: &dyn Fn(usize, &str) -> String| {
        // A string of JSON is one of TOML.
        let quoted = |point: &String| serde_json::to_string(point).unwrap();
        let all: Vec<String> =
            points().iter().map(quoted).enumerate().map(|(n, point)| of(n, &point)).collect();
        all.join("\n")
    };
    let nem12 = meters(&|n, point| format!("{point} = {{ nmi = \"{}\", suffix = \"E1\" }}", nmi(n)));
    let channels = meters(&|n, point| format!("{point} = {{ id = \"C{n:03}\", label = {point} }}"));
    let metermail =
        "[metermail]\ndevice_name = \"Dev\"\ndata_recorder_id = \"R1\"\ndata_recorder_label = \"Rec\"";
    let parquet =
        cfg!(feature = "parquet").then(|| (ANYWHERE, "[parquet]\nrow_group_rows = 1000".to_owned()));
    [
        (ANYWHERE, "[csv]".to_owned()),
        (ANYWHERE, "[csv]\nlayout = \"long\"".to_owned()),
        (
            ANYWHERE,
            "[csv]\ndelimiter = \";\"\ndecimal = \",\"\nline_ending = \"crlf\"\nnull = \"-\"".to_owned(),
        ),
        (ANYWHERE, "[csv]\nlayout = \"long\"\ndelimiter = \"\\t\"\nheader_delimiter = \",\"".to_owned()),
        (ANYWHERE, "[xml]".to_owned()),
        (ANYWHERE, "[xml]\npretty_format = true\ninfo = 'a \"b\" <c>&'".to_owned()),
        (ANYWHERE, "[jsonl]".to_owned()),
        (ANYWHERE, "[template]\nfile = \"templates/long.toml\"".to_owned()),
        (ANYWHERE, "[template]\nfile = \"templates/wide.toml\"".to_owned()),
        (ANYWHERE, "[template]\nfile = \"templates/data.toml\"".to_owned()),
        (ANYWHERE, "[cmep]".to_owned()),
        (ANYWHERE, "[cmep]\nmax_count = 1".to_owned()),
        (ANYWHERE, "[cmep]\nei = { customer_name = \"x\", account_name = \"y\" }".to_owned()),
        (
            MARKET,
            format!(
                "[nem12]\nfrom_participant = \"EW\"\nto_participant = \"RETAILER\"\ndecimals = 6\n\
                 [nem12.meters]\n{nem12}"
            ),
        ),
        (ANYWHERE, "[green_button]\nnamespace = \"example.com\"".to_owned()),
        (ANYWHERE, format!("{metermail}\n[metermail.channels]\n{channels}")),
        (ANYWHERE, format!("{metermail}\nenvelope = false\n[metermail.channels]\n{channels}")),
    ]
    .into_iter()
    .chain(parquet)
    .map(|(zones, toml)| Case { toml, zones })
    .collect()
}

fn nmi(meter: usize) -> String {
    format!("6305{meter:06}")
}

/// What a document says of a row.
pub(crate) enum Told {
    /// This.
    Row(Read),
    /// Nothing, as of a null.
    Nothing,
    /// The format cannot say it, so there is no document.
    Refused,
}

/// A row as a reader has it; unit and quality where the format has them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Read {
    pub(crate) micros: i64,
    pub(crate) point: String,
    pub(crate) value: Option<f64>,
    pub(crate) unit: Option<String>,
    pub(crate) quality: Option<String>,
}

pub(crate) struct Kind {
    /// What a reader gets back of a row.
    pub(crate) told: fn(&Reading) -> Told,
    /// Python that calls `put` for each row of the document at `path`, see [`PRELUDE`].
    pub(crate) reader: &'static str,
    /// What the reader is told of the format.
    pub(crate) dialect: Vec<String>,
    /// Of `target/test-venv` rather than Python's own library.
    pub(crate) is_foreign: bool,
}

pub(crate) fn kind(options: &FormatOptions) -> Kind {
    let plain = || [",", ",", ".", ""].map(str::to_owned).to_vec();
    let own = |told, reader| Kind { told, reader, dialect: Vec::new(), is_foreign: false };
    match options {
        FormatOptions::Csv(csv) => {
            let [delimiter, header] = [csv.delimiter, csv.header_delimiter].map(String::from);
            let (told, reader): (fn(&Reading) -> Told, _) = match csv.layout {
                Layout::Wide => (told_wide, WIDE),
                Layout::Long => (told_whole, LONG),
            };
            let dialect = vec![delimiter, header, csv.decimal.to_string(), csv.null.clone()];
            Kind { dialect, ..own(told, reader) }
        }
        FormatOptions::Xml(_) => own(told_xml, XML),
        FormatOptions::Jsonl(_) => own(told_whole, JSONL),
        // The layouts are those of the formats above.
        FormatOptions::Template(template) => match (template.extension(), template.is_wide()) {
            ("xml", _) => own(told_wide_xml, XML),
            (_, true) => Kind { dialect: plain(), ..own(told_wide, WIDE) },
            (_, false) => Kind { dialect: plain(), ..own(told_whole, LONG) },
        },
        FormatOptions::Cmep(_) => own(told_cmep, CMEP),
        FormatOptions::Nem12(_) => Kind { is_foreign: true, ..own(told_nem12, NEM12) },
        FormatOptions::Metermail(_) => own(told_metermail, METERMAIL),
        FormatOptions::GreenButton(_) => Kind { is_foreign: true, ..own(told_green_button, GREEN_BUTTON) },
        FormatOptions::Parquet(_) => Kind { is_foreign: true, ..own(told_whole, PARQUET) },
    }
}

fn bare(row: &Reading) -> Read {
    Read { micros: row.micros, point: row.point.clone(), value: row.value, unit: None, quality: None }
}

fn told_whole(row: &Reading) -> Told {
    let (unit, quality) = (Some(row.unit.to_owned()), Some(row.quality.to_string()));
    Told::Row(Read { unit, quality, ..bare(row) })
}

/// A name with a control character is no column.
fn told_wide(row: &Reading) -> Told {
    match row.value {
        _ if row.point.contains(char::is_control) => Told::Refused,
        None => Told::Nothing,
        Some(_) => Told::Row(bare(row)),
    }
}

fn told_xml(row: &Reading) -> Told {
    match row.value {
        _ if row.point.contains(['\0', '\u{1}', '\u{fffe}']) => Told::Refused,
        None => Told::Nothing,
        Some(_) => Told::Row(bare(row)),
    }
}

/// As columns, and in XML.
fn told_wide_xml(row: &Reading) -> Told {
    match told_xml(row) {
        Told::Refused => Told::Refused,
        _ => told_wide(row),
    }
}

/// Minutes, six decimals, and no quotes.
fn told_cmep(row: &Reading) -> Told {
    let is_text = |text: &str| !text.contains(|c: char| c == ',' || c == '"' || c.is_control());
    if !is_text(&row.point) || !is_text(row.unit) {
        return Told::Refused;
    }
    let micros = row.micros - row.micros.rem_euclid(60_000_000);
    let value = row.value.map(|value| format!("{value:.6}").parse().unwrap());
    // Of a null the unit is that of the record.
    let unit = row.value.map(|_| row.unit.to_owned());
    Told::Row(Read { micros, value, unit, ..bare(row) })
}

/// Half hours of a known meter, kWh to six decimals, none below zero.
fn told_nem12(row: &Reading) -> Told {
    let Some(meter) = points().iter().position(|point| *point == row.point) else { return Told::Refused };
    if row.micros % super::STEP != 0 {
        return Told::Refused;
    }
    let Some(value) = row.value else { return Told::Nothing };
    let kwh = match row.unit {
        "Wh" => value / 1000.0,
        "" | "kWh" => value,
        _ => return Told::Refused,
    };
    let value: f64 = format!("{kwh:.6}").parse().unwrap();
    if value < 0.0 {
        return Told::Refused;
    }
    let flag = match row.quality.as_str() {
        "actual" | "trusted" => "A",
        "presumed" | "max" => "S55",
        "unknown" | "partial" | "suspect" => "E55",
        _ => return Told::Nothing,
    };
    let (unit, quality) = (Some("kWh".to_owned()), Some(flag.to_owned()));
    Told::Row(Read { micros: row.micros, point: nmi(meter), value: Some(value), unit, quality })
}

fn told_metermail(row: &Reading) -> Told {
    match row.value {
        _ if !points().contains(&row.point) => Told::Refused,
        None => Told::Nothing,
        Some(_) => Told::Row(bare(row)),
    }
}

/// Whole thousandths of W, VA, var or their hours, in 48 bits; what is null has no reading.
fn told_green_button(row: &Reading) -> Told {
    let Some(value) = row.value else { return Told::Nothing };
    let power = match row.unit {
        "Wh" => 3,
        "kWh" => 6,
        _ => return Told::Refused,
    };
    let scaled = (value * 10_f64.powi(power)).round_ties_even();
    if scaled.abs() >= 2_f64.powi(47) || row.micros % SECOND != 0 || row.point.contains(['\u{1}', '\u{fffe}'])
    {
        return Told::Refused;
    }
    let quality = match row.quality {
        Quality::Trusted => "valid",
        Quality::Actual => "raw",
        Quality::Presumed | Quality::Max => "derived",
        Quality::Partial => "mixed",
        Quality::Suspect => "questionable",
        _ => "other",
    };
    let (unit, quality) = (Some("Wh".to_owned()), Some(quality.to_owned()));
    Told::Row(Read { value: Some(scaled * 0.001), unit, quality, ..bare(row) })
}

/// The interpreter that a kind's reader needs.
pub(crate) fn interpreter(kind: &Kind) -> PathBuf {
    if !kind.is_foreign {
        return "python3".into();
    }
    let python3 = fixtures().join("../target/test-venv/bin/python3");
    assert!(python3.is_file(), "the tests' Python environment is missing; run: scripts/test-venv.sh");
    python3
}

/// Runs a reader over several documents, and prints a blank line after each. A row is printed as a JSON array; its
/// number is a string, because without `float_roundtrip` `serde_json` may miss the last bit of one.
pub(crate) const PRELUDE: &str = r#"
import json, re, sys
from datetime import datetime, timezone
reader, dialect = compile(sys.argv[1], "reader", "exec"), sys.argv[2:]
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

def micros(text):
    m = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(Z|[+-]\d\d:\d\d)", text)
    assert m, text
    t = datetime.fromisoformat(m[1] + ("+00:00" if m[3] == "Z" else m[3])) - EPOCH
    return (t.days * 86400 + t.seconds) * 1000000 + int((m[2] or "0").ljust(6, "0"))

def number(text):
    assert text == text.strip() and text, repr(text)
    return float(text)

def put(micros, point, value, unit=None, quality=None):
    print(json.dumps([micros, point, None if value is None else repr(value), unit, quality]))

for path in sys.stdin.read().splitlines():
    exec(reader)
    print()
"#;

const WIDE: &str = r#"
import csv
delimiter, header_delimiter, decimal, null = dialect
text = open(path, newline="", encoding="utf-8").read()
end = text.index("\n") + 1
(header,) = csv.reader([text[:end]], delimiter=header_delimiter, strict=True)
assert header[0] == "timestamp"
assert text.count("\n") == text.count("\r\n") or decimal == "."
for record in csv.reader(text[end:].split("\n")[:-1], delimiter=delimiter, strict=True):
    assert len(record) == len(header), record
    for point, cell in zip(header[1:], record[1:]):
        if cell != null:
            put(micros(record[0]), point, number(cell.replace(decimal, ".")))
"#;

const LONG: &str = r#"
import csv, io
delimiter, header_delimiter, decimal, null = dialect
header, text = open(path, newline="", encoding="utf-8").read().split("\n", 1)
assert header.split(header_delimiter) == ["timestamp", "point", "value", "unit", "quality"]
for t, point, value, unit, quality in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
    put(micros(t), point, None if value == null else number(value.replace(decimal, ".")), unit, quality)
"#;

const XML: &str = r#"
import os, subprocess
import xml.etree.ElementTree as ET
dtd = os.environ["FIXTURES"] + "/data.dtd"
subprocess.run(["xmllint", "--noout", "--nonet", "--dtdvalid", dtd, path], check=True)
data = ET.parse(path).getroot()
assert data.tag == "data" and list(data.attrib) == ["info"]
for entry in data:
    assert entry.tag == "entry"
    for value in entry:
        put(micros(entry.get("timestamp")), value.get("name"), number(value.text))
"#;

const JSONL: &str = r#"
for line in open(path, encoding="utf-8", newline="\n"):
    o = json.loads(line)
    assert list(o) == ["timestamp", "point", "value", "unit", "quality"]
    value = None if o["value"] is None else float(o["value"])
    put(micros(o["timestamp"]), o["point"], value, o["unit"], o["quality"])
"#;

/// Knows only that values stand an interval apart.
const CMEP: &str = r#"
from datetime import timedelta
text = open(path, newline="", encoding="utf-8").read()
assert not text.endswith("\n")
for record in text.split("\r\n") if text else []:
    f = record.split(",")
    assert f[:2] == ["MEPMD01", "19970819"] and f[8] == "OK" and f[11] == "1.0", record
    step = timedelta(days=int(f[12][2:4]), hours=int(f[12][4:6]), minutes=int(f[12][6:]))
    values = f[14:]
    # Energy Interactive's has the register and its unit behind the name.
    point = f[7].rsplit("|", 1)[0] if f[5] else f[7]
    assert len(values) == 3 * int(f[13]) and len(values) > 0, record
    time = datetime.strptime(values[0], "%Y%m%d%H%M")
    for n in range(0, len(values), 3):
        assert n == 0 or values[n] == ""
        assert (values[n + 1], values[n + 2]) == ("N", "") or values[n + 1] == ""
        value = number(values[n + 2]) if values[n + 2] else None
        put(micros(time.isoformat() + "Z"), point, value, None if value is None else f[10])
        time += step
"#;

/// The market's own reader.
const NEM12: &str = r#"
import logging
from nemreader import read_nem_file
class Strict(logging.Handler):
    def emit(self, record):
        # It takes a blank as none, and says so; later versions do not.
        if record.getMessage() != 'Reading of "" is not a number':
            raise SystemExit(record.getMessage())
logging.getLogger("nemreader").addHandler(Strict())
logging.getLogger("nemreader").setLevel(logging.WARNING)
data = read_nem_file(path)
assert data.header.version_header == "NEM12" and data.header.creation_date is not None
for nmi, channels in data.readings.items():
    for suffix, readings in channels.items():
        for r in readings:
            if r.read_value is not None:
                put(micros(r.t_start.isoformat() + "+10:00"), nmi, r.read_value, r.uom, r.quality_method)
"#;

const METERMAIL: &str = r#"
import xml.etree.ElementTree as ET
ion = "{http://rddl.xmlinside.net/PowerMeasurement/data/ion/pushmessaging/2/}"
root = ET.parse(path).getroot()
(data,) = [root] if root.tag == ion + "Data" else root.iter(ion + "Data")
labels = {c.get("id"): c.get("label") for c in data.iter(ion + "Channel")}
for record in data.iter(ion + "DR"):
    for id, value in record.attrib.items():
        if id != "ts":
            put(micros(record.get("ts")), labels[id], number(value))
"#;

/// A receiver's parser.
const GREEN_BUTTON: &str = r#"
from greenbutton_objects import parse
for usage_point in parse.parse_feed(path):
    assert usage_point.serviceCategory.name == "electricity"
    (readings,) = usage_point.meterReadings
    for r in readings.intervalReadings:
        assert r.timePeriod.duration.total_seconds() == readings.readingType.intervalLength == 1800
        (quality,) = r.readingQualities
        put(micros(r.timePeriod.start.isoformat()), usage_point.title, float(r.value), r.value_symbol, quality.quality.name)
"#;

const PARQUET: &str = r#"
import duckdb
rows = "select epoch_us(timestamp), point, value, unit, quality from read_parquet(?)"
for row in duckdb.execute(rows, [path]).fetchall():
    put(*row)
"#;
