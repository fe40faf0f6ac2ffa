//! A job with the profile of a receiver: what lies there has the name, the columns and the times that it demands, and
//! `--dry-run` says which keys came of the profile.
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;

use ew::Site;
use std::fmt::Write as _;
use std::process::Command;

const EW_EXPORT: &str = env!("CARGO_BIN_EXE_ew-export");

fn job(name: &str, profile: &str, format: &str) -> String {
    format!(
        "[[export]]\nname = \"{name}\"\npoints = [\"meter\"]\nprofile = \"{profile}\"\nzone = \"Europe/Brussels\"\n\
         since = \"2026-10-24T22:00:00Z\"\n{format}[export.transport.file]\ndirectory = \"{profile}\"\n"
    )
}

/// A reading each quarter of an hour of 2026-10-25 in Brussels, which has 25 hours.
fn site(config: &str) -> Site {
    let mut site = Site::new(config);
    site.now("2026-10-26T06:00:00Z");
    let mut text = "timestamp,point,value,unit,quality\n".to_owned();
    for quarter in 0..100 {
        let (hour, minute) = ((22 + quarter / 4) % 24, quarter % 4 * 15);
        let day = if quarter < 8 { 24 } else { 25 };
        writeln!(text, "2026-10-{day}T{hour:02}:{minute:02}:00Z,meter,{},W,actual", 400 + quarter).unwrap();
    }
    append(&site, &text);
    site
}

fn append(site: &Site, rows: &str) {
    let log = ew::sibling(EW_EXPORT, "ew-log");
    site.run_with_input(log.to_str().unwrap(), "-q append --replace", rows).exit(0).stderr("");
}

#[test]
fn each_receiver_gets_its_names_columns_and_times() {
    let fields =
        "[export.format.csv]\nfields = [\"=ACME\", \"point\", \"timestamp\", \"value\"]\nheader = false\n";
    let site = site(
        &[
            job("gss", "energycap", ""),
            job(
                "gec",
                "opower",
                "[export.format.csv]\nnames = { meter = \"SP1\" }\nwords = { actual = \"A\" }\n",
            ),
            job("Main", "energyid", "[export.format.csv]\nnames = { meter = \"ELEC\" }\n"),
            job("ACME", "envizi", fields),
        ]
        .concat(),
    );
    site.run(EW_EXPORT, "").exit(0);

    assert_eq!(site.names("energycap"), ["gss_20261025.csv"]);
    let text = site.read("energycap/gss_20261025.csv");
    assert!(text.starts_with("Import ID,Timestamp,Value\nmeter,2026-10-25 00:00:00,400\n"), "{text}");
    assert!(text.ends_with("meter,2026-10-25 23:45:00,499\n") && text.lines().count() == 101, "{text}");

    // Named and stamped by the end of what it has.
    let name = "opwr_gec_res_v2-0-5_interval15_20261026000000.gz";
    assert_eq!(site.names("opower"), [name]);
    let gunzipped =
        Command::new("gzip").arg("-dc").arg(site.file(&format!("opower/{name}"))).output().unwrap();
    let text = String::from_utf8(gunzipped.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "service_point_id\tusage_value\tdate\ttime\tunits\tis_estimate\tUTC_offset");
    assert_eq!(lines[1], "SP1\t100\t20261025\t0015\tWh\tA\t+02:00");
    // The hour that comes twice is told apart by its offset.
    let twice: Vec<&&str> = lines.iter().filter(|line| line.contains("\t0230\t")).collect();
    assert_eq!(
        twice,
        [&"SP1\t102.25\t20261025\t0230\tWh\tA\t+02:00", &"SP1\t103.25\t20261025\t0230\tWh\tA\t+01:00"]
    );
    assert_eq!(lines[100], "SP1\t124.75\t20261026\t0000\tWh\tA\t+01:00");

    assert_eq!(site.names("energyid"), ["Main_2026-10-25.csv"]);
    let text = site.read("energyid/Main_2026-10-25.csv");
    assert!(text.starts_with("Timestamp,ELEC\n2026-10-25 00:00:00,400\n"), "{text}");

    assert_eq!(site.names("envizi"), ["ACME_EnviziSBS_20261025.csv"]);
    let text = site.read("envizi/ACME_EnviziSBS_20261025.csv");
    assert!(text.starts_with("ACME,meter,2026-10-25 00:00:00,400\n"), "{text}");

    // A correction: beside the file where names have to be unique, in its place where there is one file a day.
    append(&site, "timestamp,point,value,unit,quality\n2026-10-24T22:00:00Z,meter,8000,W,actual\n");
    site.run(EW_EXPORT, "").exit(0);
    assert_eq!(site.names("energycap"), ["gss_20261025.csv", "gss_20261025_r1.csv"]);
    assert_eq!(site.names("envizi"), ["ACME_EnviziSBS_20261025.csv", "ACME_EnviziSBS_20261025_r1.csv"]);
    assert_eq!(site.names("opower"), [name]);
    assert_eq!(site.names("energyid"), ["Main_2026-10-25.csv"]);
    let text = site.read("energyid/Main_2026-10-25.csv");
    assert!(text.starts_with("Timestamp,ELEC\n2026-10-25 00:00:00,8000\n"), "{text}");
}

#[test]
fn a_dry_run_shows_what_a_profile_sets_and_what_the_job_keeps() {
    let site = site(&job(
        "Main",
        "energyid",
        "period = \"2d\"\n[export.format.csv]\nnames = { meter = \"ELEC\" }\n",
    ));
    let text = site.run(EW_EXPORT, "--dry-run").exit(0).stdout;
    let (slices, profile) = text.split_once("\n\n").unwrap();
    assert!(slices.contains("Main_2026-10-2"), "{text}");
    assert_eq!(
        profile,
        "JOB   PROFILE   KEY                          VALUE\n\
         Main  energyid  breakup_on_period            true\n\
         Main  energyid  filename                     \"{job}_{start:%Y-%m-%d}.{ext}\"\n\
         Main  energyid  format.csv.layout            \"wide\"\n\
         Main  energyid  format.csv.names.timestamp   \"Timestamp\"\n\
         Main  energyid  format.csv.timestamp_format  \"%Y-%m-%d %H:%M:%S\"\n\
         Main  energyid  late                         \"replace\"\n\
         Main  energyid  period                       as the job says\n"
    );
    let json: serde_json::Value =
        serde_json::from_str(&site.run(EW_EXPORT, "--dry-run --json").exit(0).stdout).unwrap();
    let profile = &json["jobs"][0]["profile"];
    assert_eq!(profile["name"], "energyid");
    assert_eq!(profile["own"], serde_json::json!(["period"]));
    assert_eq!(profile["sets"][0], serde_json::json!({ "key": "breakup_on_period", "value": "true" }));
    // Only there: what a run did is told by its slices.
    site.run(EW_EXPORT, "").exit(0);
    let json: serde_json::Value = serde_json::from_str(&site.run(EW_EXPORT, "--json").stdout).unwrap();
    assert_eq!(json["jobs"][0].get("profile"), None);
}

#[test]
fn a_secret_of_a_profile_is_never_shown() {
    let site = site(
        "[[receiver]]\nname = \"acme\"\n[receiver.transport.smtp]\nuser = \"ew\"\npassword = \"hunter2hunter2\"\n\
         [[export]]\nname = \"u\"\npoints = [\"meter\"]\nprofile = \"acme\"\n[export.format.csv]\n\
         [export.transport.smtp]\nhost = \"mail.example.com\"\nfrom = \"a@example.com\"\nto = [\"b@example.com\"]\n",
    );
    for arguments in ["--dry-run", "--dry-run --json", "--dry-run -v"] {
        let ended = site.run(EW_EXPORT, arguments).exit(0);
        assert!(ended.stdout.contains("transport.smtp.password"), "{}", ended.stdout);
        assert!(!ended.stdout.contains("hunter2") && !ended.stderr.contains("hunter2"), "{}", ended.stdout);
    }
}
