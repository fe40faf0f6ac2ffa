//! `ew.toml`: the manual names every key, good files pass `--check`, bad ones say what, where and what to do.
#![allow(clippy::unwrap_used)]
#![allow(dead_code)]

#[path = "support/ew.rs"]
mod ew;

use ew_config::Config;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

const EW_LOG: &str = env!("CARGO_BIN_EXE_ew-log");

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

fn manual() -> String {
    std::fs::read_to_string(fixtures().join("ew.toml")).unwrap()
}

/// Every `*.toml` of a folder, by name.
fn tomls(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".toml"))
        .collect();
    names.sort();
    names
}

/// stdout, stderr and exit code of `ew-log --config NAME --check` in a folder.
fn check_in(folder: &Path, name: &str) -> (String, String, i32) {
    let output = Command::new(EW_LOG)
        .args(["--config", name, "--check"])
        .current_dir(folder)
        .env_remove("EW_DEBUG")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code().unwrap())
}

/// Exit code and stderr of `--check` for a text.
fn check(text: &str) -> (i32, String) {
    let site = ew::Site::new(text);
    // The manual has a layout of one's own, for which a shipped one is the start.
    let shipped = fixtures().join("../crates/ew-format/src/template/shipped/retx.toml");
    site.write("layout.toml", &std::fs::read_to_string(shipped).unwrap());
    for (name, bytes) in pem_files() {
        std::fs::write(site.file(name), bytes).unwrap();
    }
    let ended = site.run(EW_LOG, "--check");
    (ended.code, ended.stderr)
}

/// The files of the manual that `--check` reads.
fn pem_files() -> &'static [(&'static str, Vec<u8>)] {
    static FILES: std::sync::OnceLock<Vec<(&str, Vec<u8>)>> = std::sync::OnceLock::new();
    FILES.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let made = Command::new("openssl")
            .args(
                "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ew -keyout key -out certificate"
                    .split(' '),
            )
            .current_dir(dir.path())
            .output()
            .expect("openssl is needed for this test (Debian: openssl)");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
        vec![
            ("cgate-ca.pem", read("certificate")),
            ("cgate-client.pem", read("certificate")),
            ("cgate-client.key", read("key")),
        ]
    })
}

#[track_caller]
fn good(text: &str, what: &str) {
    let (code, stderr) = check(text);
    assert_eq!(code, 0, "{what}\n{stderr}");
}

#[test]
fn good_files_pass() {
    let folder = fixtures().join("config/good");
    for name in tomls(&folder) {
        let (stdout, stderr, code) = check_in(&folder, &name);
        assert_eq!((code, stderr.as_str()), (0, ""), "{name}");
        assert!(stdout.starts_with(&format!("{name}: good: ")), "{name}: {stdout}");
    }
    let (stdout, ..) = check_in(&folder, "contract.toml");
    assert_eq!(stdout, "contract.toml: good: 1 domains, 1 switches, 1 buses, 1 jobs\n");
}

#[test]
fn check_counts_in_json() {
    let output = Command::new(EW_LOG)
        .args(["--config", "snmp-v3.toml", "--check", "--json"])
        .current_dir(fixtures().join("config/good"))
        .output()
        .unwrap();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let expect = serde_json::json!({
        "config": "snmp-v3.toml", "domains": 2, "switches": 2, "buses": 0, "jobs": 0
    });
    assert_eq!(document, expect);
}

/// The good files between them use every format, transport and backend.
#[test]
fn good_files_show_every_kind() {
    let folder = fixtures().join("config/good");
    let all: String =
        tomls(&folder).iter().map(|name| std::fs::read_to_string(folder.join(name)).unwrap()).collect();
    for (table, probe) in kinds() {
        for kind in names_in_hint(&probe) {
            assert!(all.contains(&format!("[{table}.{kind}]")), "no good file has [{table}.{kind}]");
        }
    }
}

/// With `UPDATE_EXPECT=1` writes what is said today; read the difference before it is kept.
#[test]
fn bad_files_say_what_where_and_what_to_do() {
    let folder = fixtures().join("config/bad");
    let update = std::env::var_os("UPDATE_EXPECT").is_some_and(|value| value == "1");
    let mut wrong = String::new();
    for name in tomls(&folder) {
        let (stdout, stderr, code) = check_in(&folder, &name);
        if (stdout.as_str(), code) != ("", 78) {
            wrong.push_str(&format!("--- {name}: exit {code} in place of 78\n{stdout}{stderr}\n"));
            continue;
        }
        let expected = folder.join(&name).with_extension("expected");
        if update {
            std::fs::write(&expected, &stderr).unwrap();
        }
        let expect = std::fs::read_to_string(&expected).unwrap_or_default();
        if stderr != expect {
            wrong.push_str(&format!("--- {name}: expected\n{expect}--- {name}: got\n{stderr}\n"));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn every_expectation_has_its_file() {
    let folder = fixtures().join("config/bad");
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ext| ext == "expected") {
            assert!(path.with_extension("toml").is_file(), "{} has no file", path.display());
        }
    }
}

#[test]
fn a_secret_is_never_shown() {
    for text in [
        "[snmp]\ncommunity = \"hunter2\"\ncomunity = \"x\"\n",
        "[snmp]\nversion = \"3\"\nuser = \"ew\"\nauth_password = \"hunter2\"\n[[domain]]\nname = \"a\"\n\
         [[domain.switch]]\nname = \"s\"\naddress = \"192.0.2.1\"\n",
    ] {
        let (code, stderr) = check(text);
        assert_eq!(code, 78);
        assert!(!stderr.contains("hunter2"), "{stderr}");
    }
}

/// "None is ever printed": the line that is shown with a mistake on it may hold a secret.
#[test]
fn a_secret_is_not_shown_by_a_mistake_on_its_line() {
    let sftp = "[[export]]\nname = \"u\"\npoints = [\"**\"]\n[export.format.csv]\n[export.transport.sftp]\n\
                host = \"h\"\nuser = \"u\"\nknown_hosts = \"k\"\n";
    let job = "[[export]]\nname = \"u\"\npoints = [\"**\"]\n[export.format.csv]\n";
    let http = format!("{job}[export.transport.http]\nurl = ");
    let command = format!("{job}[export.transport.command]\ncommand = ");
    let texts = [
        "[snmp]\ncomunity = \"hunter2\"\n".to_owned(),
        "[snmp]\ncommunity = { fil = \"x\", env = \"hunter2\" }\n".to_owned(),
        "[snmp]\nauth_password = \"hunter2\npriv = \"aes\"\n".to_owned(),
        format!("{sftp}pasword = \"hunter2\"\n"),
        format!("{sftp}password = [\"hunter2\"]\n"),
        // A password of digits without its quotes.
        format!("{sftp}password = 31337\n"),
        format!("{http}\"https://ew:hunter2@h/\"\n"),
        format!("{http}\"ftp://ew:hunter2@h/\"\n"),
        format!("{http}\"https://h/\"\nbearer = 31337\n"),
        format!("{http}\"https://h/\"\nbearer_token = \"hunter2\"\n"),
        format!("{http}\"https://h/\"\nheaders = {{ X-A = {{ fil = \"hunter2\" }} }}\n"),
        format!("{http}\"https://h/\"\n[export.transport.http.headers]\nX-Api-Key = 31337\n"),
        format!("{command}[\"true\"]\nenvironment = {{ A = {{ fil = \"hunter2\" }} }}\n"),
    ];
    let shown: Vec<String> = texts
        .iter()
        .filter_map(|text| {
            let (code, stderr) = check(text);
            assert_eq!(code, 78, "{text}");
            (stderr.contains("hunter2") || stderr.contains("31337")).then_some(stderr)
        })
        .collect();
    assert!(shown.is_empty(), "\n{}", shown.join("\n"));
}

const JOB_END: &str = "[export.format.csv]\n[export.transport.file]\ndirectory = \".\"\n";

/// Slots of 7 and of 5 days both begin on every 35th day since 1970.
#[test]
fn two_jobs_that_meet_only_now_and_then_are_refused() {
    let job = |name: &str, period: &str| {
        format!(
            "[[export]]\nname = \"{name}\"\npoints = [\"**\"]\nperiod = \"{period}\"\n\
             filename = \"{{start_utc:%Y%m%d}}.{{ext}}\"\n{JOB_END}"
        )
    };
    let (code, stderr) = check(&(job("weekly", "7d") + &job("fifth", "5d")));
    assert_eq!(code, 78, "{stderr}");
}

/// A slot of so few days can begin twice in one month, so year and month do not tell slots apart.
#[test]
fn year_and_month_never_tell_shorter_slots_apart() {
    let accepted: Vec<u32> = (1..=30)
        .filter(|days| {
            let text = format!(
                "[[export]]\nname = \"u\"\npoints = [\"**\"]\nperiod = \"{days}d\"\n\
                 filename = \"{{job}}_{{start:%Y%m}}.{{ext}}\"\n{JOB_END}"
            );
            check(&text).0 != 78
        })
        .collect();
    assert!(accepted.is_empty(), "accepted with a period of so many days: {accepted:?}");
}

/// Half a day apart a clock of twelve hours shows the same, however short the slots are.
#[test]
fn a_clock_of_twelve_hours_never_tells_slots_apart() {
    for period in ["10s", "30s", "1m", "15m", "1h", "6h"] {
        let text = format!(
            "[[export]]\nname = \"u\"\npoints = [\"**\"]\nperiod = \"{period}\"\n\
             filename = \"{{job}}_{{start:%Y%m%d%I%M%S}}.{{ext}}\"\n{JOB_END}"
        );
        let (code, stderr) = check(&text);
        assert_eq!(code, 78, "{period}: {stderr}");
    }
}

/// In a point a dot of the bus's name becomes `_`.
#[test]
fn two_buses_that_give_one_point_are_refused() {
    let bus =
        |name: &str| format!("[[cbus]]\nname = \"{name}\"\n[cbus.backend.exec]\ncommand = [\"cbus_cli\"]\n");
    let (code, stderr) = check(&(bus("floor.1") + &bus("floor_1")));
    assert_eq!(code, 78, "{stderr}");
}

// The manual. Every line is one of: live, a shown key (`# key = value   # text`), the header of a table
// shown in place of another, or plain text.

/// `key` and `value` of a line that sets a key, and what is said of it.
fn key_line(line: &str) -> Option<(&str, &str)> {
    let (key, rest) = line.trim().split_once(" = ")?;
    let is_key = !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    // The text after the value; no value in the manual holds two blanks or " # " within quotes.
    is_key.then_some((key, rest))
}

fn shown(line: &str) -> Option<&str> {
    line.trim().strip_prefix("# ")
}

/// The live table that a line starts, as written between brackets.
fn table_header(line: &str) -> Option<&str> {
    let name = line.trim().split('#').next()?.trim().strip_prefix('[')?.strip_suffix(']')?;
    Some(name.trim_start_matches('[').trim_end_matches(']'))
}

fn in_place_of(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("in place of ")?;
    rest.split([':', ',', ' ']).next()
}

/// One way to use a part of the manual.
struct Variant {
    what: String,
    lines: Vec<String>,
}

/// The manual once with each shown key on its own, and with each shown table with all its keys.
fn variants() -> Vec<Variant> {
    let text = manual();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut variants = Vec::new();
    let mut table = (String::new(), 0);
    let mut at = 0;
    while at < lines.len() {
        let line = &lines[at];
        if let Some(name) = table_header(line) {
            table = (name.to_owned(), at);
        }
        let Some(inside) = shown(line) else {
            at += 1;
            continue;
        };
        if let Some(name) = table_header(inside) {
            let end = (at..lines.len()).find(|i| shown(&lines[*i]).is_none()).unwrap_or(lines.len());
            variants.extend(table_variants(&lines, name, at..end));
            at = end;
            continue;
        }
        if let Some((key, _)) = key_line(inside) {
            let mut changed = lines.clone();
            let gone: Vec<&str> =
                in_place_of(inside).into_iter().chain(completed(key)).chain([key]).collect();
            silence(&mut changed, table.1, &gone);
            changed[at] = complete(inside);
            variants.push(Variant { what: format!("{} of {}", inside, table.0), lines: changed });
        }
        at += 1;
    }
    variants
}

/// All keys of a shown table, and where one stands in place of another, once more with that one.
fn table_variants(lines: &[String], name: &str, block: std::ops::Range<usize>) -> Vec<Variant> {
    let mut base = lines.to_vec();
    let gone = in_place_of(&lines[block.start]).unwrap();
    let live = (0..base.len()).find(|i| table_header(&base[*i]).is_some_and(|t| gone == format!("[{t}]")));
    let live = live.unwrap_or_else(|| panic!("{gone} is not there"));
    silence(&mut base, live, &[]);
    base[live].insert_str(0, "# ");
    let replacing: Vec<usize> = block.clone().skip(1).filter(|i| in_place_of(&lines[*i]).is_some()).collect();
    let intervals = match name {
        "export.format.nem12" => "period = \"1d\"\ninterval = \"30m\"\naggregate = \"energy\"",
        "export.format.green_button" => "period = \"15m\"\ninterval = \"15m\"\naggregate = \"energy\"",
        _ => "period = \"15m\"",
    };
    base.iter_mut().filter(|line| *line == "period = \"15m\"").for_each(|line| intervals.clone_into(line));
    for i in block.clone() {
        if !replacing.contains(&i) {
            base[i] = shown(&lines[i]).unwrap().to_owned();
        }
    }
    let mut all = vec![Variant { what: format!("[{name}]"), lines: base.clone() }];
    for i in replacing {
        let mut changed = base.clone();
        let gone = in_place_of(&lines[i]).unwrap();
        // What opens a key, and what proves a user, goes with it; and what is of a server with its host.
        let with: &[&str] = match gone {
            "key_file" => &["key_file", "key_password"],
            "user" => &["user", "password"],
            "host" => &["host", "port", "security", "user", "password", "ca_file"],
            other => &[other],
        };
        silence(&mut changed, block.start, with);
        changed[i] = shown(&lines[i]).unwrap().to_owned();
        all.push(Variant { what: format!("{} of [{name}]", changed[i]), lines: changed });
    }
    all
}

/// Takes keys out of the table that starts at a line; all of them where none is named.
fn silence(lines: &mut [String], header: usize, keys: &[&str]) {
    for line in lines.iter_mut().skip(header + 1) {
        if table_header(line).is_some() {
            return;
        }
        if key_line(line).is_some_and(|(key, _)| keys.is_empty() || keys.contains(&key)) {
            line.insert_str(0, "# ");
        }
    }
}

/// A live key that [`complete`] gives another value.
fn completed(key: &str) -> Option<&'static str> {
    (key == "columns").then_some("points")
}

/// A key that needs another with it.
fn complete(line: &str) -> String {
    let with = match key_line(line).unwrap().0 {
        "auth" => "auth_password = \"12345678\"",
        "auth_password" => "auth = \"sha256\"",
        "priv" => "auth = \"sha256\"\nauth_password = \"12345678\"\npriv_password = \"12345678\"",
        "priv_password" => "auth = \"sha256\"\nauth_password = \"12345678\"\npriv = \"aes\"",
        "columns" => "points = [\"*\"]",
        "fields" | "words" => "layout = \"long\"",
        "calibers" => "caliber = \"1.3.6.1.4.1.32473.1.1.8\"",
        "name_index" => "name = \"1.3.6.1.4.1.32473.1.1.11\"",
        "interval" => "aggregate = \"mean\"",
        "aggregate" => "interval = \"15m\"",
        "max_gap" => "interval = \"15m\"\naggregate = \"energy\"",
        _ => "",
    };
    format!("{line}\n{with}")
}

#[test]
fn every_line_of_the_manual_is_accepted() {
    good(&manual(), "as it stands");
    let variants = variants();
    assert!(variants.len() > 50, "{} variants only", variants.len());
    for variant in variants {
        good(&(variant.lines.join("\n") + "\n"), &variant.what);
    }
}

#[test]
fn the_manual_keeps_the_contract() {
    let contract = std::fs::read_to_string(fixtures().join("config/good/contract.toml")).unwrap();
    let manual = manual();
    let mut lines = manual.lines();
    for line in contract.lines() {
        assert!(lines.any(|shown| shown == line), "not there, or not in its place: {line}");
    }
}

/// A file with an unknown key in one kind of table; what is said of it names every known one.
fn probes() -> Vec<(&'static str, String)> {
    let bus = |backend: &str| format!("[[cbus]]\nname = \"b\"\n[cbus.backend.{backend}]\n");
    let job = "[[export]]\nname = \"u\"\npoints = [\"**\"]\n";
    let file = "[export.transport.file]\ndirectory = \".\"\n";
    let z = "zzzzzzzzzzzzzzzz = 1\n";
    let domain = "[[domain]]\nname = \"a\"\n";
    vec![
        ("", z.to_owned()),
        ("log", format!("[log]\n{z}")),
        ("snmp", format!("[snmp]\n{z}")),
        ("native", format!("[native]\n{z}")),
        ("native.command", format!("[native.command]\n{z}")),
        ("native.ssh", format!("[native.ssh]\n{z}")),
        ("trend", format!("[[trend]]\n{z}")),
        ("domain", format!("{domain}{z}")),
        ("domain.switch", format!("{domain}[[domain.switch]]\n{z}")),
        ("profile", format!("[[profile]]\n{z}")),
        ("profile.power", format!("[[profile]]\nname = \"p\"\n[[profile.power]]\n{z}")),
        ("profile.energy", format!("[[profile]]\nname = \"p\"\n[[profile.energy]]\n{z}")),
        ("receiver", format!("[[receiver]]\n{z}")),
        ("cbus", format!("[[cbus]]\nname = \"b\"\n{z}")),
        ("cbus.backend.exec", bus("exec") + z),
        ("cbus.backend.cgate", bus("cgate") + z),
        ("cbus.backend.cni", bus("cni") + z),
        ("cbus.backend.pci", bus("pci") + z),
        ("export", format!("{job}{z}")),
        ("export.format.csv", format!("{job}[export.format.csv]\n{z}{file}")),
        ("export.format.xml", format!("{job}[export.format.xml]\n{z}{file}")),
        ("export.format.jsonl", format!("{job}[export.format.jsonl]\n{z}{file}")),
        ("export.format.cmep", format!("{job}[export.format.cmep]\n{z}{file}")),
        ("export.format.nem12", format!("{job}[export.format.nem12]\n{z}{file}")),
        ("export.format.green_button", format!("{job}[export.format.green_button]\n{z}{file}")),
        ("export.format.metermail", format!("{job}[export.format.metermail]\n{z}{file}")),
        ("export.format.template", format!("{job}[export.format.template]\n{z}{file}")),
        ("export.format.parquet", format!("{job}[export.format.parquet]\n{z}{file}")),
        ("export.transport.file", format!("{job}[export.format.csv]\n[export.transport.file]\n{z}")),
        ("export.transport.http", format!("{job}[export.format.csv]\n[export.transport.http]\n{z}")),
        ("export.transport.command", format!("{job}[export.format.csv]\n[export.transport.command]\n{z}")),
        ("export.transport.sftp", format!("{job}[export.format.csv]\n[export.transport.sftp]\n{z}")),
        ("export.transport.ftp", format!("{job}[export.format.csv]\n[export.transport.ftp]\n{z}")),
        ("export.transport.s3", format!("{job}[export.format.csv]\n[export.transport.s3]\n{z}")),
        ("export.transport.smtp", format!("{job}[export.format.csv]\n[export.transport.smtp]\n{z}")),
    ]
}

/// The same for a table whose name is its kind.
fn kinds() -> Vec<(&'static str, String)> {
    let job = "[[export]]\nname = \"u\"\npoints = [\"**\"]\n";
    vec![
        ("cbus.backend", "[[cbus]]\nname = \"b\"\n[cbus.backend.zzzzzzzzzzzzzzzz]\n".to_owned()),
        ("export.format", format!("{job}[export.format.zzzzzzzzzzzzzzzz]\n")),
        ("export.transport", format!("{job}[export.format.csv]\n[export.transport.zzzzzzzzzzzzzzzz]\n")),
    ]
}

fn names_in_hint(text: &str) -> Vec<String> {
    let (code, stderr) = check(text);
    assert_eq!(code, 78, "{stderr}");
    let hint = stderr.lines().last().unwrap().trim();
    let names = hint.strip_prefix("hint: there are: ");
    names.unwrap_or_else(|| panic!("{text}\n{stderr}")).split(' ').map(str::to_owned).collect()
}

/// The names that stand in each table of the manual, live or shown.
fn manual_keys(table: &str) -> BTreeSet<String> {
    let (mut at, mut keys) = (String::new(), BTreeSet::new());
    for line in manual().lines() {
        let line = shown(line).unwrap_or(line);
        if let Some(name) = table_header(line) {
            at = name.to_owned();
        } else if let Some((key, _)) = key_line(line)
            && at == table
        {
            keys.insert(key.to_owned());
        }
    }
    keys
}

#[test]
fn the_manual_has_a_line_for_every_key() {
    let text = manual();
    for (table, probe) in probes() {
        let keys = manual_keys(table);
        for name in names_in_hint(&probe) {
            let path = if table.is_empty() { name.clone() } else { format!("{table}.{name}") };
            let is_table = ["[", "."].iter().any(|before| {
                ["]", "."].iter().any(|after| text.contains(&format!("{before}{path}{after}")))
            }) || text.contains(&format!("[{path}."));
            assert!(keys.contains(&name) || is_table, "ew.toml has no line for {name} in [{table}]");
        }
    }
    for (table, probe) in kinds() {
        for kind in names_in_hint(&probe) {
            assert!(text.contains(&format!("[{table}.{kind}]")), "ew.toml has no [{table}.{kind}]");
        }
    }
}

/// Each shown key says in a few words what it is.
#[test]
fn every_shown_key_is_explained() {
    for line in manual().lines() {
        let Some((_, rest)) = shown(line).and_then(key_line) else { continue };
        assert!(rest.contains("# "), "no word on: {line}");
    }
}

/// "Values shown are the defaults where a key may be left out": without its line the configuration is
/// the same, except for those keys that have no default of their own.
#[test]
fn the_manual_shows_the_defaults() {
    // By table and key; importance and ttl are inherited, a native switch may not even have the default profile, the
    // others have examples.
    const EXAMPLES: &[&str] = &[
        " site",
        "cbus applications",
        "domain importance",
        "domain ttl",
        "domain.switch profile",
        "export aggregate",
        "export columns",
        "export interval",
        "export max_gap",
        "export profile",
        "export since",
        "export.format.csv decimals",
        "export.format.csv fields",
        "export.format.csv names",
        "export.format.csv timestamp_format",
        "export.format.csv words",
        "export.transport.sftp agent",
        "export.transport.sftp compress",
        "export.transport.sftp directory",
        "export.transport.sftp host_key",
        "export.transport.sftp key_password",
        "export.transport.sftp password",
        "log retention",
        "native shared_secret",
        "profile probe",
        "profile.energy caliber",
        "profile.energy calibers",
        "profile.energy decimals",
        "profile.energy exponent",
        "profile.energy importance",
        "profile.energy index_ends",
        "profile.energy name",
        "profile.energy name_index",
        "profile.energy no_data",
        "profile.energy only",
        "profile.energy producer",
        "profile.energy sensor_scale",
        "profile.energy valid",
        "profile.energy wraps_at",
        "profile.power caliber",
        "profile.power calibers",
        "profile.power decimals",
        "profile.power exponent",
        "profile.power importance",
        "profile.power index_ends",
        "profile.power name",
        "profile.power name_index",
        "profile.power no_data",
        "profile.power only",
        "profile.power producer",
        "profile.power sensor_scale",
        "profile.power valid",
        "profile.power wraps_at",
        "snmp auth",
        "snmp auth_password",
        "snmp context",
        "snmp key_extension",
        "snmp priv",
        "snmp priv_password",
        "snmp user",
    ];
    let shape = |text: &str| {
        let config = Config::parse(Path::new("ew.toml"), text).ok()?;
        Some(format!("{config:?}"))
    };
    let text = manual();
    let whole = shape(&text).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let (mut table, mut differ) = (String::new(), BTreeSet::new());
    let mut hidden = false;
    for at in 0..lines.len() {
        let inside = shown(lines[at]).unwrap_or(lines[at]);
        if let Some(name) = table_header(inside) {
            table = name.to_owned();
            hidden = shown(lines[at]).is_some();
        }
        let Some((key, _)) = key_line(inside) else { continue };
        // A switch's keys fall back on [snmp]; a table in place of another has no other to compare with.
        let is_override = table == "domain.switch" && shown(lines[at]).is_some();
        if hidden || is_override || (shown(lines[at]).is_some() && key == "community") {
            continue;
        }
        let mut changed: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        match shown(lines[at]) {
            None => changed[at].clear(),
            Some(inside) => {
                let header = (0..at).rev().find(|i| table_header(lines[*i]).is_some()).unwrap_or(0);
                silence(&mut changed, header, in_place_of(inside).as_slice());
                changed[at] = complete(inside);
                if in_place_of(inside).is_none() {
                    // Nothing to take out: `silence` with no key takes all of them.
                    changed = lines.iter().map(|line| (*line).to_owned()).collect();
                    if let Some(other) = completed(key) {
                        silence(&mut changed, header, &[other]);
                    }
                    changed[at] = complete(inside);
                }
            }
        }
        // What may not be left out has no default.
        let Some(other) = shape(&(changed.join("\n") + "\n")) else { continue };
        if other != whole {
            differ.insert(format!("{table} {key}"));
        }
    }
    let examples: BTreeSet<String> = EXAMPLES.iter().map(|key| (*key).to_owned()).collect();
    assert_eq!(differ, examples);
}
