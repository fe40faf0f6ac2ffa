//! Layouts of receivers, byte for byte as they were observed, and layouts of one's own.
#![allow(clippy::unwrap_used)]

#[path = "support/slice.rs"]
mod slice;

use ew_core::{Grid, Point, RowOrder, TimeOfDay, Timestamp, Window, Zone};
use ew_format::{FormatError, FormatOptions, SliceHeader};
use slice::{Reading, SECOND, fixtures, options, reading, sorted};
use std::process::Command;

const T0: i64 = 1_700_000_000 * SECOND;
const T1: i64 = T0 + 900 * SECOND;

/// Rows in the order of the format, in the columns that are named.
fn render_columns(
    options: &FormatOptions,
    zone: &str,
    columns: &[&str],
    rows: &[Reading],
) -> Result<String, FormatError> {
    let zone: Zone = zone.parse().unwrap();
    let columns: Vec<Point> = columns.iter().map(|name| name.parse().unwrap()).collect();
    let mut rows = sorted(rows.to_vec());
    if options.order() == RowOrder::ByPoint {
        rows.sort_by(|a, b| (&a.point, a.micros).cmp(&(&b.point, b.micros)));
    }
    let window = Window::new(Timestamp::from_micros(T0), Timestamp::from_micros(T1 + 900 * SECOND));
    let header =
        SliceHeader { job: "utility", site: "hq", zone: &zone, window, interval: None, columns: &columns };
    let mut out = Vec::new();
    let mut formatter = options.start(&header, Box::new(&mut out))?;
    rows.iter().try_for_each(|row| formatter.row(row.as_row()))?;
    formatter.finish()?;
    drop(formatter);
    Ok(String::from_utf8(out).unwrap())
}

fn template(name: &str, keys: &str) -> FormatOptions {
    options(&format!("[template]\ntemplate = \"{name}\"\n{keys}"))
}

/// The rows that the ancestor's layouts were observed with.
fn two_rows() -> Vec<Reading> {
    vec![
        reading(T0, "kW", Some(12.5)),
        reading(T0, "Temp", Some(71.0)),
        reading(T1, "kW", None),
        reading(T1, "Temp", Some(70.1)),
    ]
}

#[track_caller]
fn golden(file: &str, template: &FormatOptions, columns: &[&str], rows: &[Reading]) {
    let text = render_columns(template, "UTC", columns, rows).unwrap();
    assert_eq!(text, std::fs::read_to_string(fixtures().join("golden").join(file)).unwrap(), "{file}");
}

#[test]
fn layouts_as_they_were_observed() {
    let both = ["kW", "Temp"];
    golden("retx.txt", &template("retx", ""), &both, &two_rows());
    golden("ewebconnect.txt", &template("ewebconnect", ""), &both, &two_rows());
    golden("powerweb.txt", &template("powerweb", ""), &both, &two_rows());
    golden("sie.xml", &template("sie", ""), &[], &two_rows()[..2]);

    let one = |point: &str, micros, value| vec![reading(micros, point, value)];
    let meters = "names = { kW = \"DS1\" }\nmeters.kW = { measure = \"power\", commodity = \"elec\", \
                  measurement_type = \"actual\", units = \"kW\" }";
    let row = vec![Reading { unit: "kW", ..reading(T0 + 250_000, "kW", Some(12.5)) }];
    golden("enernoc-v1.csv", &template("enernoc_v1", meters), &[], &row);
    let host = "values = { host_id = \"H9\" }";
    golden(
        "enernoc-v2.csv",
        &template("enernoc_v2", host),
        &[],
        &one("/interfaces/x", T0 + 250_000, Some(12.5)),
    );

    let values = "values = { time_base = 15 }\nmeters.a.status = \"G\"";
    let row = [reading(T0, "a", Some(5.5)), reading(T0, "b", None)];
    golden("infotility.txt", &template("infotility", values), &["a", "b"], &row);

    let meter = "decimals = 1\nmeters.m = { account = \"ac\", meter_number = \"m1\", meter_description = \"desc\", \
                 multiplier = 2, offset = 1, units = \"KWH\" }";
    let meter = meter.replace("meter_description", "description");
    let row = vec![Reading { unit: "kWh", ..reading(T0, "m", Some(12.5)) }];
    golden("ebid.csv", &template("ebid", &meter), &[], &row);

    let recorder = "values = { recorder_id = \"rec1\", minutes = 15 }\nnames = { a = \"kWh\", b = \"kVA\" }";
    let row = [reading(T0, "a", Some(12.5)), reading(T0, "b", Some(0.75))];
    golden("enerwise-recorder.txt", &template("enerwise_recorder", recorder), &["a", "b"], &row);

    let channel =
        "names = { a = \"Main kW\" }\nmeters.a = { key = \"7\", meastype = \"Power\", units = \"kW\" }";
    let rows = [reading(T0, "a", Some(12_500.0)), reading(T1, "a", None)];
    golden("fsg.xml", &template("fsg", channel), &[], &rows);

    let device = "names = { a = \"p1\" }\nmeters.a = { device = \"d\", device_type = \"T1\", address = 5, type = \"temp\" }";
    golden("tcs.xml", &template("tcs", device), &["a"], &one("a", T0, Some(70.0)));
}

/// What the ancestor did wrong.
#[test]
fn what_was_wrong_is_right() {
    let text = |template: &FormatOptions, zone: &str, columns: &[&str], rows: &[Reading]| {
        render_columns(template, zone, columns, rows).unwrap()
    };
    let retx = text(&template("retx", ""), "America/New_York", &["kW", "Temp"], &two_rows());
    assert!(retx.starts_with("Begindata\n1700000000,"), "the epoch second, wherever it is: {retx}");

    let host = template("enernoc_v2", "values = { host_id = \"H9\" }");
    let local = text(&host, "America/New_York", &[], &[reading(T0, "a", Some(1.0))]);
    assert_eq!(local, "H9,a,2023-11-14T17:13:20.000-05:00,1\n");

    let recorder = template("enerwise_recorder", "values = { recorder_id = \"r\", minutes = 15 }");
    let null = text(&recorder, "UTC", &["a", "b"], &[reading(T0, "a", None), reading(T0, "b", Some(-0.5))]);
    assert!(null.ends_with(",\"   KW\", , 0\n"), "missing is never zero: {null}");

    // Rows between the batches of ten of the ancestor.
    let rows: Vec<Reading> = (0..95).map(|n| reading(T0 + n * SECOND, "a", Some(n as f64))).collect();
    let form = text(&template("powerweb", ""), "UTC", &["a"], &rows);
    let fields: Vec<&str> = form.split('&').collect();
    assert_eq!(fields.len(), 3 * 95);
    assert!(fields.iter().all(|field| field.matches('=').count() == 1), "{form}");
    let infotility = template("infotility", "values = { time_base = 15 }");
    let xml = text(&infotility, "UTC", &["a"], &rows);
    for n in 0..95 {
        assert!(xml.contains(&format!(" Value1=\"{n}\" Status1=\"\">")), "{n}");
    }
    let names = "names = { a = \"x&y=z\" }";
    let form = text(&template("powerweb", names), "UTC", &["a"], &rows[..1]);
    assert!(form.contains("asset%5B%5D=x%26y%3Dz&value"), "{form}");

    // Times of these two are UTC, whatever the job's zone.
    for (name, keys, time) in [
        ("sie", "", "<TimeStamp>2023-11-14T22:13:20</TimeStamp>"),
        ("infotility", "values = { time_base = 15 }", "\"11/14/2023 10:13:20 PM\""),
    ] {
        let xml = text(&template(name, keys), "Asia/Kolkata", &["a"], &rows[..1]);
        assert!(xml.contains(time), "{xml}");
    }

    let register = "meters.a = { account = \"ac\", meter_number = \"m1\", register = 40001 }";
    let rows = [reading(T0, "a", Some(7.0)), reading(T1, "a", None)];
    let ebid = text(&template("ebid", register), "UTC", &[], &rows);
    assert!(ebid.ends_with(
        "11/14/23,22:13:00,a,ac,m1,W,7,0,Cumulative,40001\n11/14/23,22:28:00,a,ac,m1,W,None,0,Cumulative,40001\n"
    ));
}

/// Whatever is in names, another parser reads it back from what is XML.
#[test]
fn xml_layouts_are_well_formed() {
    let odd = "names.a = '<a href=\"x\">&amp;]]>'\n";
    let device = "meters.a = { device = '<&\"', device_type = 't', address = \"'\", type = 'b' }\n\
                  meters.b = { device = 'x', device_type = 't', address = 6, type = 'b' }";
    let rows: Vec<Reading> =
        (0..30).flat_map(|n| ["a", "b"].map(|point| reading(T0 + n * SECOND, point, Some(0.5)))).collect();
    for (name, keys, element, count) in
        [("sie", "", "Record", 60), ("fsg", "", "value", 60), ("tcs", device, "device", 60)]
    {
        let text =
            render_columns(&template(name, &format!("{odd}{keys}")), "UTC", &["a", "b"], &rows).unwrap();
        let script = "import sys, xml.etree.ElementTree as ET\n\
                      root = ET.fromstring(sys.stdin.read())\n\
                      texts = {t for e in root.iter() for t in [e.text, e.get('name')]}\n\
                      assert '<a href=\"x\">&amp;]]>' in texts\n\
                      print(len(list(root.iter(sys.argv[1]))))";
        let mut child = Command::new("python3")
            .args(["-c", script, element])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{name}: {text}");
        assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), count.to_string(), "{name}");
    }
}

/// A layout of one's own, a meter after the other; its rows read back.
#[test]
fn one_point_after_the_other() {
    let own = options(
        "[template]\nfile = \"templates/meters.toml\"\nvalues = { customer = \"Acme, Inc.\" }\n\
         names = { \"com.example.b\" = \"B\" }\nnull = \"-\"\n[template.meters]\n\
         \"com.example.a\" = { serial = 4711, place = \"cellar\" }\n\
         \"com.example.b\" = { serial = \"S-2\", units = \"kWh\" }\n",
    );
    let mut rows = Vec::new();
    for n in 0..2 {
        rows.push(reading(T0 + n * 60 * SECOND, "com.example.a", (n == 0).then_some(-0.0001)));
        rows.push(Reading { unit: "Wh", ..reading(T0 + n * 60 * SECOND, "com.example.b", Some(1234.0)) });
    }
    assert_eq!(
        render_columns(&own, "Europe/Zurich", &[], &rows).unwrap(),
        "H,\"Acme, Inc.\",2023-11-14 23:13,2023-11-14 23:43\n\
         M,com.example.a,4711,cellar,W\nV,2023-11-14 23:13,0.000\nV,2023-11-14 23:14,-\nE,com.example.a\n\
         M,B,S-2,unknown,kWh\nV,2023-11-14 23:13,1.234\nV,2023-11-14 23:14,1.234\nE,B\nZ\n"
    );
    assert_eq!(
        render_columns(&own, "UTC", &[], &[]).unwrap(),
        "H,\"Acme, Inc.\",2023-11-14 22:13,2023-11-14 22:43\nZ\n"
    );

    let refused = |rows: &[Reading]| {
        let error = render_columns(&own, "UTC", &[], rows).unwrap_err();
        assert_eq!(error.exit().code(), 65, "{error}");
        assert!(error.hint().is_some());
        error.to_string()
    };
    let unknown = refused(&[reading(T0, "com.example.c", Some(1.0))]);
    assert_eq!(unknown, "com.example.c at 2023-11-14T22:13:20Z is no meter of the template");
    let unit = refused(&[reading(T0, "com.example.b", Some(1.0))]);
    assert!(unit.contains("is in \"W\", of which there is no kWh in the template"), "{unit}");
}

/// A meter that takes the place of another has its name there; only in one slice they cannot be told apart.
#[test]
fn two_points_of_one_name_may_follow_each_other() {
    let retx = template("retx", "names = { a = \"HQ\", b = \"HQ\" }");
    let slots =
        Grid { zone: Zone::utc(), period: "1h".parse().unwrap(), synchronize_on: TimeOfDay::MIDNIGHT };
    retx.check(&slots, None).unwrap();
    assert!(render_columns(&retx, "UTC", &["b"], &[reading(T0, "b", Some(1.0))]).is_ok());
    let both = render_columns(&retx, "UTC", &["a", "b"], &[]).unwrap_err();
    assert_eq!(both.to_string(), "the template has two columns HQ");
}

/// A channel tells its unit once, before its values: none of them is in another one.
#[test]
fn values_are_in_the_unit_that_was_told() {
    let fsg = template("fsg", "");
    let row = |n: i64, value, unit| Reading { unit, ..reading(T0 + n * SECOND, "a", value) };
    let told = |rows: &[Reading]| {
        render_columns(&fsg, "UTC", &[], rows).map(|text| {
            let words = text.split_whitespace().filter_map(|word| {
                word.strip_prefix("uom=").or(word.split_once("\">").map(|(_, value)| value))
            });
            words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
        })
    };
    let rows =
        [row(0, Some(1.5), "kWh"), row(1, Some(2500.0), "Wh"), row(2, Some(3.0), ""), row(3, None, "W")];
    assert_eq!(told(&rows).unwrap(), "\"kWh\" 1.5 2.5 3 None");
    assert_eq!(told(&[row(0, Some(1.0), ""), row(1, Some(2.0), "Wh")]).unwrap(), "\"\" 1 2");
    let error = told(&[row(0, None, "Wh"), row(1, Some(2.0), "W")]).unwrap_err();
    assert_eq!(error.exit().code(), 65, "{error}");
    assert!(error.to_string().contains("is in \"W\", of which there is no Wh"), "{error}");
}

#[test]
fn disorder_is_refused() {
    let own = template("fsg", "");
    let zone = Zone::utc();
    let header = SliceHeader {
        job: "utility",
        site: "hq",
        zone: &zone,
        window: Window::new(Timestamp::from_micros(T0), Timestamp::from_micros(T1)),
        interval: None,
        columns: &[],
    };
    for rows in [[(T0, "a"), (T0, "a")], [(T1, "a"), (T0, "a")], [(T0, "b"), (T0, "a")]] {
        let mut formatter = own.start(&header, Box::new(std::io::sink())).unwrap();
        formatter.row(reading(rows[0].0, rows[0].1, None).as_row()).unwrap();
        let error = formatter.row(reading(rows[1].0, rows[1].1, None).as_row()).unwrap_err();
        assert!(error.to_string().contains("out of order"), "{error}");
    }
}

/// What only a slice can show, or only by its size.
#[test]
fn what_a_template_cannot_write_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let own = |layout: &str| {
        std::fs::write(dir.path().join("own.toml"), layout).unwrap();
        let mut options: FormatOptions = toml::from_str("[template]\nfile = \"own.toml\"").unwrap();
        options.load(dir.path()).unwrap();
        options
    };
    let refused = |options: &FormatOptions, columns: &[&str], rows: &[Reading]| {
        let error = render_columns(options, "UTC", columns, rows).unwrap_err();
        assert_eq!(error.exit().code(), 65, "{error}");
        assert!(error.hint().is_some());
        error.to_string()
    };
    let per = |row: &str| own(&format!("per = \"reading\"\nextension = \"txt\"\nrow = '{row}'\n"));
    let row = [reading(T0, "a", Some(0.0))];
    for (template, why) in [
        ("{{ 1.5 / value }}", "unable to calculate 1.5 / 0.0"),
        (
            "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
            "more than 1000000 steps",
        ),
        ("{{ \"x\" * 9000000 }}", "row: it has more than 4194304 bytes of text"),
        ("{{ \"x\" * 900000000 }}", "more than 1000000 steps"),
        ("{{ cells }}", "undefined"),
        ("{{ time + 1 }}", "unsupported types"),
        ("{{ value|strftime(\"%Y\") }}", "strftime is for times, not for number"),
        ("{{ time|strftime(\"%Q\") }}", "a strftime specifier that is not known"),
        ("{% include \"ew.toml\" %}", "include"),
        ("{{ debug() }}", "debug is unknown"),
    ] {
        let message = match std::panic::catch_unwind(|| refused(&per(template), &[], &row)) {
            Ok(message) => message,
            Err(_) => panic!("{template}"),
        };
        assert!(message.starts_with("the template own.toml: row"), "{message}");
        assert!(message.contains(why), "{template}: {message}");
    }
    let message = refused(&per("{{ valeu }}"), &[], &row);
    assert!(message.contains("valeu"), "{message}");
    assert!(message.ends_with("(a at 2023-11-14T22:13:20Z)"), "{message}");

    let xml = own("per = \"reading\"\nextension = \"xml\"\nescape = \"xml\"\nrow = '{{ name }}'\n");
    let message = refused(&xml, &[], &[reading(T0, "x\u{fffe}", Some(1.0))]);
    assert!(message.contains("which XML 1.0 forbids"), "{message}");

    let nine: Vec<String> = (0..9).map(|n| format!("p{n}")).collect();
    let nine: Vec<&str> = nine.iter().map(String::as_str).collect();
    let infotility = template("infotility", "values = { time_base = 15 }");
    let message = refused(&infotility, &nine, &[]);
    assert_eq!(message, "the template infotility: it has 8 columns at most, and there are 9");
    let retx = template("retx", "names = { a = \"b\" }");
    assert_eq!(refused(&retx, &["a", "b"], &[]), "the template has two columns b");
    assert_eq!(
        refused(&retx, &["a"], &[reading(T0, "b", None)]),
        "b at 2023-11-14T22:13:20Z has no column in the template"
    );
}

/// A layout's text is a part of its version, so that a delivered file is known to be of another one.
#[test]
fn the_version_follows_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let version = |row: &str| {
        let layout = format!("per = \"reading\"\nextension = \"txt\"\nrow = '{row}'\n");
        std::fs::write(dir.path().join("own.toml"), layout).unwrap();
        let mut options: FormatOptions = toml::from_str("[template]\nfile = \"own.toml\"").unwrap();
        options.load(dir.path()).unwrap();
        options.name_and_version().to_owned()
    };
    let one = version("{{ value }}");
    assert!(one.starts_with("template/1/own/"), "{one}");
    assert_eq!(version("{{ value }}"), one);
    assert_ne!(version("{{ value }} "), one);
}

/// What docs/templates.md shows comes out so, and each shipped layout stands there.
#[test]
fn the_manual_is_right() {
    let root = fixtures().join("..");
    let manual = std::fs::read_to_string(root.join("docs/templates.md")).unwrap();
    let blocks: Vec<&str> = manual.split("```").skip(1).step_by(2).collect();
    let [keys, layout, text, ..] = blocks[..] else { panic!("three blocks") };
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("meters.toml"), layout.strip_prefix("toml\n").unwrap()).unwrap();
    let keys = keys.strip_prefix("toml\n").unwrap().replace("export.format.", "");
    let mut options: FormatOptions = toml::from_str(&keys).unwrap();
    options.load(dir.path()).unwrap();
    let start = "2026-03-01T00:00:00Z".parse::<Timestamp>().unwrap().micros();
    let rows = [
        Reading { unit: "Wh", ..reading(start, "com.example.hq", Some(12_500.0)) },
        reading(start + 900 * SECOND, "com.example.hq", None),
    ];
    let window = ["2026-03-01T00:00:00Z", "2026-03-01T00:30:00Z"];
    let found = slice::render_intervals(&options, &Zone::utc(), window, Some("15m"), &rows).unwrap();
    assert_eq!(found, text.strip_prefix('\n').unwrap());

    let shipped = root.join("crates/ew-format/src/template/shipped");
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    for entry in std::fs::read_dir(shipped).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(manual.contains(&format!("| `{name}` |")), "docs/templates.md has no {name}");
        assert!(
            readme.contains(&format!("{name}`")) || readme.contains(&format!("\"{name}\"")),
            "README.md has no {name}"
        );
    }
}
