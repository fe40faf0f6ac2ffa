//! `ew-poll --due`, by trend and by ttl, and native domains as a program polls them. The far side is the reference
//! child of fixtures/native, which notes when it is asked.
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;

use ew::Site;
use std::path::Path;
use std::time::Duration;

const EW_POLL: &str = env!("CARGO_BIN_EXE_ew-poll");

/// `[native.command]` or a switch's own, with the reference child.
fn child(table: &str, arguments: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/native/reference_child.py");
    let arguments = arguments.split_whitespace().map(|word| format!(", {word:?}")).collect::<String>();
    format!("[{table}]\ncommand = [\"python3\", {:?}{arguments}]\n", file.to_str().unwrap())
}

fn domain(name: &str, keys: &str) -> String {
    let one = |switch: &str, address: &str| {
        format!(
            "[[domain.switch]]\nname = \"{switch}\"\naddress = \"{address}\"\nprotocol = \"native\"\nattempts = 1\n"
        )
    };
    format!("[[domain]]\nname = \"{name}\"\n{keys}\n{}{}", one("s2", "192.0.2.2"), one("s1", "192.0.2.1"))
}

fn trend(domain: &str, period: &str) -> String {
    format!("[[trend]]\ndomain = \"{domain}\"\nperiod = \"{period}\"\n")
}

/// `HH:MM:SS value` of each row of a point.
fn rows(site: &Site, point: &str) -> Vec<String> {
    let ew_log = ew::sibling(EW_POLL, "ew-log");
    let ended = site.run(ew_log.to_str().unwrap(), "slice --from first --to last");
    if ended.code == 66 {
        return Vec::new();
    }
    let is_of = |line: &&str| line.split(',').nth(1) == Some(point);
    let cells = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<_>>();
    let row = |line: &str| format!("{} {}", &cells(line)[0][11..].trim_end_matches('Z'), cells(line)[2]);
    ended.stdout.lines().filter(is_of).map(row).collect()
}

#[track_caller]
fn due_at(site: &mut Site, now: &str) -> ew::Ended {
    site.now(&format!("2026-03-01T{now}Z"));
    site.run(EW_POLL, "--due")
}

/// §6.5 case 55: one record in each period, be the ttl longer or shorter, and whenever in it cron comes.
#[test]
fn a_trend_has_one_record_in_each_period() {
    for ttl in ["10m", "0s"] {
        let keys = format!("ttl = \"{ttl}\"");
        let mut site =
            Site::new(&(child("native.command", "") + &domain("com.a", &keys) + &trend("com.a", "60s")));
        for now in
            ["00:00:01.2", "00:00:01.3", "00:00:59.999999", "00:01:00", "00:01:30", "00:02:59", "00:03:00.5"]
        {
            due_at(&mut site, now).exit(0).stderr("");
        }
        let expect = ["00:00:01.2 41.7", "00:01:00 41.7", "00:02:59 41.7", "00:03:00.5 41.7"];
        assert_eq!(rows(&site, "com.a"), expect, "{ttl}");
        // Without --due it is the ttl alone.
        site.now("2026-03-01T00:03:01Z");
        site.run(EW_POLL, "-q").exit(0);
        assert_eq!(rows(&site, "com.a").len(), if ttl == "0s" { 5 } else { 4 }, "{ttl}");
    }
}

/// §6.5 case 49: another period counts from where it is written; case 55: a failed read is a record without a value, and
/// not tried again before the next period.
#[test]
fn a_changed_period_and_a_failed_read() {
    let config = |down: &str, period: &str| {
        child("native.command", down) + &domain("com.a", "") + &trend("com.a", period)
    };
    let down = "--down 192.0.2.1 --down 192.0.2.2";
    let mut site = Site::new(&config("", "60s"));
    due_at(&mut site, "00:00:00").exit(0);
    due_at(&mut site, "00:01:00").exit(0);
    site.write("ew.toml", &config("", "5m"));
    for now in ["00:02:00", "00:04:59"] {
        due_at(&mut site, now).exit(0);
    }
    assert_eq!(rows(&site, "com.a").len(), 2);
    site.write("ew.toml", &config(down, "5m"));
    let ended = due_at(&mut site, "00:05:00").exit(69);
    assert!(ended.stderr.contains("com.a: s1: cannot ask 192.0.2.1:43440 by command"), "{}", ended.stderr);
    site.write("ew.toml", &config("", "5m"));
    due_at(&mut site, "00:06:00").exit(0);
    assert_eq!(rows(&site, "com.a"), ["00:00:00 41.7", "00:01:00 41.7", "00:05:00 "]);
    site.write("ew.toml", &config("", "60s"));
    due_at(&mut site, "00:06:00").exit(0);
    assert_eq!(rows(&site, "com.a").len(), 4);
}

/// A domain below follows the trend above it, or its own; a domain without one goes by its ttl; of a tree only what is
/// due is asked.
#[test]
fn each_domain_by_its_own_rule() {
    let config = child("native.command", "")
        + &domain("com.a", "ttl = \"1h\"")
        + &domain("com.a.sub", "")
        + &domain("com.a.own", "")
        + &domain("com.b", "ttl = \"90s\"")
        + &trend("com.a", "5m")
        + &trend("com.a.own", "60s");
    let mut site = Site::new(&config);
    for minute in 0..7 {
        due_at(&mut site, &format!("00:0{minute}:00")).exit(0).stderr("");
    }
    let minutes = |point| rows(&site, point).iter().map(|row| row[4..5].to_owned()).collect::<String>();
    assert_eq!(minutes("com.a"), "05");
    assert_eq!(minutes("com.a.sub"), "05");
    assert_eq!(minutes("com.a.own"), "0123456");
    assert_eq!(minutes("com.b"), "0246");
    assert_eq!(rows(&site, "com.a")[0], "00:00:00 125.1");
    // A record of another importance is none of this trend.
    site.now("2026-03-01T00:06:30Z");
    site.run(EW_POLL, "com.a.own --due --importance 5").exit(0);
    site.run(EW_POLL, "com.a.own --due --importance 5").exit(0);
    assert_eq!(rows(&site, "com.a.own").last().unwrap(), "00:06:30 35.4");
    assert_eq!(rows(&site, "com.a.own").len(), 8);
}

/// A dead domain below neither makes the one above due before its ttl, nor is it tried before its own time; and a domain
/// with a trend has its one record in each period, whatever is due above it.
#[test]
fn what_is_below_is_not_polled_before_its_time() {
    let dead = domain("com.a.dead", "ttl = \"10m\"").replace("192.0.2.", "192.0.3.");
    let config = child("native.command", "--down 192.0.3.1 --down 192.0.3.2")
        + &domain("com.a", "ttl = \"10m\"")
        + &dead
        + &domain("com.b", "ttl = \"60s\"")
        + &domain("com.b.trend", "")
        + &domain("com.b.trend.sub", "")
        + &trend("com.b.trend", "5m");
    let mut site = Site::new(&config);
    for minute in 0..=10 {
        let all_due = minute % 10 == 0;
        due_at(&mut site, &format!("00:{minute:02}:00")).exit(if all_due { 1 } else { 0 });
    }
    let minutes = |point| rows(&site, point).iter().map(|row| row[3..5].to_owned()).collect::<Vec<_>>();
    assert_eq!(minutes("com.a"), ["00", "10"]);
    assert_eq!(rows(&site, "com.a.dead"), ["00:00:00 ", "00:10:00 "]);
    assert_eq!(minutes("com.b").len(), 11);
    assert_eq!(minutes("com.b.trend"), ["00", "05", "10"]);
    assert_eq!(minutes("com.b.trend.sub"), ["00", "05", "10"]);
    assert_eq!(rows(&site, "com.b")[3], "00:03:00 125.1", "it has the records of those below in it");
}

/// A clock in doubt tells periods and ages as any other: one record a period, not one a minute. Where it went back, the
/// records before that are none of the period that it tells now.
#[test]
fn a_clock_in_doubt_has_periods_too() {
    let config = child("native.command", "")
        + &domain("com.a", "")
        + &trend("com.a", "15m")
        + &domain("com.b", "ttl = \"10m\"");
    for (good, step, boot) in [
        ([].as_slice(), "1970-01-01T00", 100_000),
        (&["2026-03-01T11:00:00Z", "2026-03-01T11:15:00Z", "2026-03-01T11:30:00Z"], "2026-03-01T11", 101_800),
        (&["2026-03-01T11:00:00Z"], "2027-03-01T11", 100_000),
    ] {
        let mut site = Site::new(&config);
        for (quarter, now) in good.iter().enumerate() {
            site.now(now);
            site.boot(&format!("a:{}", 100_000 + 900 * quarter));
            site.run(EW_POLL, "--due").exit(0).stderr("");
        }
        let (before_a, before_b) = (rows(&site, "com.a").len(), rows(&site, "com.b").len());
        for minute in 1..=20 {
            site.now(&format!("{step}:{minute:02}:30Z"));
            site.boot(&format!("a:{}", boot + 60 * minute));
            let ended = site.run(EW_POLL, "--due -q").exit(0);
            assert!(ended.stderr.contains("the clock says"), "{step}: {}", ended.stderr);
        }
        assert_eq!(rows(&site, "com.a").len() - before_a, 2, "{step}: {:?}", rows(&site, "com.a"));
        assert_eq!(rows(&site, "com.b").len() - before_b, 2, "{step}: {:?}", rows(&site, "com.b"));
    }
}

/// A run that waited for another one looks again before it polls.
#[test]
fn what_another_run_has_polled_is_no_longer_due() {
    let config =
        child("native.command", "--calls calls --delay 1") + &domain("com.a", "") + &trend("com.a", "60s");
    let mut site = Site::new(&config);
    site.now("2026-03-01T00:00:00Z");
    let mut first = site.spawn(EW_POLL, "--due");
    while site.names("").iter().all(|name| name != "calls") {
        std::thread::sleep(Duration::from_millis(10));
    }
    // Without --wait it is left out at once.
    site.run(EW_POLL, "--due").exit(0).stderr("");
    site.run(EW_POLL, "--due --wait 60s").exit(0);
    assert!(first.wait().unwrap().success());
    assert_eq!(site.read("calls"), "collect 192.0.2.2 100\n");
}

/// A slow domain keeps the next run from itself alone.
#[test]
fn a_slow_domain_does_not_hold_up_the_others() {
    let slow = "[[domain]]\nname = \"com.slow\"\n[[domain.switch]]\nname = \"s\"\naddress = \"192.0.2.9\"\n\
                protocol = \"native\"\nattempts = 1\n";
    let config = child("native.command", "--delay 600 --pid pid")
        + "[native]\ntimeout = \"600s\"\ndeadline = \"600s\"\n"
        + slow
        + &domain("com.a", "")
            .replace("attempts = 1\n", &format!("attempts = 1\n{}", child("domain.switch.command", "")))
        + &trend("com.a", "60s");
    let mut site = Site::new(&config);
    site.now("2026-03-01T00:00:00Z");
    let mut first = site.spawn(EW_POLL, "--due");
    while rows(&site, "com.a").is_empty() {
        std::thread::sleep(Duration::from_millis(20));
    }
    due_at(&mut site, "00:01:00").exit(0).stderr("");
    assert_eq!(rows(&site, "com.a"), ["00:00:00 41.7", "00:01:00 41.7"]);
    assert_eq!(rows(&site, "com.slow"), [""; 0]);
    let ended = std::process::Command::new("kill").args(["-9", &site.read("pid")]).status().unwrap();
    assert!(ended.success());
    assert_eq!(first.wait().unwrap().code(), Some(1));
}

/// §6.2 cases 16, 20, 24 and 27 of a native domain: a reading of one importance is none of another, within ttl nothing
/// is asked, and what failed is asked again at once.
#[test]
fn native_readings_are_cached_by_importance_and_failures_never() {
    let config = |arguments: &str| child("native.command", arguments) + &domain("com.a", "ttl = \"30s\"");
    let mut site = Site::new(&config("--calls calls --down 192.0.2.1 --down 192.0.2.2"));
    let calls = |site: &Site| site.read("calls").lines().count();
    site.now("2026-03-01T00:00:00Z");
    site.run(EW_POLL, "").exit(69);
    assert_eq!(calls(&site), 2);
    site.write("ew.toml", &config("--calls calls"));
    site.now("2026-03-01T00:00:05Z");
    site.run(EW_POLL, "").exit(0).stderr("");
    assert_eq!(calls(&site), 3);
    let ended = site.run(EW_POLL, "--json").exit(0);
    assert!(
        ended.stdout.contains("\"cached\": true") || ended.stdout.contains("\"cached\":true"),
        "{}",
        ended.stdout
    );
    site.run(EW_POLL, "").exit(0);
    assert_eq!(calls(&site), 3);
    site.now("2026-03-01T00:00:06Z");
    site.run(EW_POLL, "--importance 5").exit(0);
    assert_eq!(site.read("calls").lines().last().unwrap(), "collect 192.0.2.2 5");
    assert_eq!(rows(&site, "com.a"), ["00:00:00 ", "00:00:05 41.7", "00:00:06 35.4"]);
}

/// §6.4 case 44 as a user sees it, and the secret as none does.
#[test]
fn no_adapter_and_no_secret_shown() {
    let mut site = Site::new(&domain("com.a", "importance = 1"));
    site.run(EW_POLL, "--check").exit(0);
    site.now("2026-03-01T00:00:00Z");
    let ended = site.run(EW_POLL, "").exit(78);
    let expect = "ew-poll: com.a: s2: cannot ask 192.0.2.2:43440: native backend not configured\n  hint: ";
    assert!(ended.stderr.starts_with(expect), "{}", ended.stderr);
    assert_eq!(
        (rows(&site, "com.a"), rows(&site, "com.a.s1")),
        (vec!["00:00:00 ".into()], vec!["00:00:00 ".into()])
    );

    let secret = "[native]\nshared_secret = \"hunter2\"\n";
    site.write(
        "ew.toml",
        &(secret.to_owned() + &child("native.command", "--secret other") + &domain("com.a", "")),
    );
    let ended = site.run(EW_POLL, "-v --json").exit(77);
    assert!(ended.stderr.contains("the shared secret is wrong"), "{}", ended.stderr);
    assert!(!(ended.stdout + &ended.stderr).contains("hunter2"));
    assert!(site.files_with("hunter2").is_empty());

    // The sum alone is whole: nothing is wrong, so nothing is said.
    site.write("ew.toml", &(child("native.command", "--fault sum-only") + &domain("com.a", "")));
    site.now("2026-03-01T00:01:00Z");
    site.run(EW_POLL, "").exit(0).stderr("");
    let ended = site.run(EW_POLL, "--skip-cache --dry-run -v").exit(0);
    assert!(
        ended.stderr.contains("com.a: s1: the adapter tells only the sum of the domain"),
        "{}",
        ended.stderr
    );
}
