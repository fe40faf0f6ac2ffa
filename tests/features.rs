//! What cargo features add: with one it works, without it the program says so, and no other program minds.
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;

#[cfg(feature = "s3")]
#[path = "support/s3.rs"]
mod s3;

use ew::Site;

const EW_EXPORT: &str = env!("CARGO_BIN_EXE_ew-export");

const PARQUET: &str = "[[export]]\nname = \"u\"\npoints = [\"**\"]\n[export.format.parquet]\n\
                       [export.transport.file]\ndirectory = \"out\"\n";

const S3: &str = "[[export]]\nname = \"u\"\npoints = [\"**\"]\n[export.format.csv]\n[export.transport.s3]\n";

/// A site with a quarter of readings, after it.
#[cfg(any(feature = "parquet", feature = "s3"))]
fn site(config: &str) -> Site {
    let mut site = Site::new(config);
    let rows: String =
        (0..900).map(|n| format!("2026-03-01T00:{:02}:{:02}Z,a,{n}.5\n", n / 60, n % 60)).collect();
    let log = ew::sibling(EW_EXPORT, "ew-log");
    let text = format!("timestamp,point,value\n{rows}");
    site.run_with_input(log.to_str().unwrap(), "-q append", &text).exit(0);
    site.now("2026-03-01T01:00:00Z");
    site
}

/// One configuration is every program's.
#[test]
fn programs_that_export_nothing_take_every_kind() {
    let keys = "endpoint = \"https://s3.example.com\"\nbucket = \"meters\"\naccess_key_id = \"AK\"\n\
                secret_access_key = \"x\"\n";
    let site = Site::new(&format!("{S3}{keys}{}", PARQUET.replace("\"u\"", "\"v\"")));
    let log = ew::sibling(EW_EXPORT, "ew-log");
    site.run(log.to_str().unwrap(), "--check").exit(0).stderr("");
}

#[cfg(not(feature = "parquet"))]
#[test]
fn a_format_that_was_not_built_is_named() {
    let site = Site::new(PARQUET);
    for arguments in ["", "--check", "--dry-run", "u --stdout"] {
        site.run(EW_EXPORT, arguments).exit(78).stdout("").stderr(
            "ew-export: ew.toml: in the job \"u\": this program was built without parquet\n  \
             hint: build it with cargo's --features parquet, or give the job another format\n",
        );
    }
    assert!(site.names("").iter().all(|name| name == "ew.toml"), "{:?}", site.names(""));
    // Another job is not held up by it.
    let other = "\n[[export]]\nname = \"v\"\npoints = [\"**\"]\n[export.format.csv]\n\
                 [export.transport.file]\ndirectory = \"out\"\n";
    Site::new(&format!("{PARQUET}{other}")).run(EW_EXPORT, "v --check").exit(0);
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_is_exported() {
    let site = site(PARQUET);
    site.run(EW_EXPORT, "").exit(0);
    assert_eq!(site.names("out"), ["u_20260301T000000Z.parquet"]);
    let sent = std::fs::read(site.file("out/u_20260301T000000Z.parquet")).unwrap();
    assert!(sent.starts_with(b"PAR1") && sent.ends_with(b"PAR1"));
    let range = "u --stdout --from 2026-03-01T00:00:00Z --to 2026-03-01T00:15:00Z";
    let printed = site.command(EW_EXPORT, range).output().unwrap().stdout;
    assert!(printed == sent, "{} bytes printed, {} sent", printed.len(), sent.len());
    // The same again is nothing new.
    site.run(EW_EXPORT, "u --from 2026-03-01T00:00:00Z --to 2026-03-01T00:15:00Z").exit(0);
    assert_eq!(site.names("out").len(), 1);
}

#[cfg(not(feature = "s3"))]
#[test]
fn a_transport_that_was_not_built_is_named() {
    let keys = "endpoint = \"https://s3.example.com\"\nbucket = \"meters\"\naccess_key_id = \"AK\"\n\
                secret_access_key = \"x\"\n";
    let site = Site::new(&format!("{S3}{keys}"));
    for arguments in ["", "--check", "--check --probe", "--dry-run"] {
        site.run(EW_EXPORT, arguments).exit(78).stdout("").stderr(
            "ew-export: ew.toml: in the job \"u\": cannot use s3 bucket meters at https://s3.example.com: this \
             program was built without s3\n  \
             hint: build it with cargo's --features s3, or give the job another transport\n",
        );
    }
    assert!(site.names("").iter().all(|name| name == "ew.toml"), "{:?}", site.names(""));
}

/// The programs' clock is that of the readings here; the signature has the real one.
#[cfg(feature = "s3")]
#[test]
fn objects_are_exported() {
    let storage = s3::Storage::start();
    let table = storage.table("").replace(&format!("\"{}\"", s3::SECRET), "{ file = \"secret\" }");
    let site = site(&format!("{S3}{table}"));
    site.write("secret", "wrong");
    let refused = site.run(EW_EXPORT, "").exit(77);
    assert!(refused.stderr.contains("SignatureDoesNotMatch"), "{}", refused.stderr);
    site.run(EW_EXPORT, "--check --probe").exit(77);
    site.write("secret", s3::SECRET);
    let probed = site.run(EW_EXPORT, "--check --probe").exit(0);
    assert!(!probed.stdout.contains(s3::SECRET));
    // The reply is lost: the next attempt of the run looks, and sends nothing.
    storage.set_faults("drop-reply");
    site.run(EW_EXPORT, "").exit(0);
    site.run(EW_EXPORT, "").exit(66);
    assert_eq!(storage.names(), ["u_20260301T000000Z.csv"]);
    let sent = std::fs::read_to_string(storage.objects().join("u_20260301T000000Z.csv")).unwrap();
    assert_eq!(sent.lines().count(), 901);
    let found = site.files_with(s3::SECRET);
    assert_eq!(found, [site.file("secret")]);
}

/// SIGKILL while the parts are on their way: they go with the next run, and there is one object.
#[cfg(feature = "s3")]
#[test]
fn parts_of_a_killed_run_are_taken_away() {
    for (boundary, begun, how) in [("opened", 1, "sent"), ("written", 1, "sent"), ("renamed", 0, "found")] {
        let storage = s3::Storage::start();
        let prefix = format!("prefix = \"{}\"\n", "x".repeat(6 * 1024 * 1024));
        let format = format!("[export.format.csv]\n{prefix}");
        let config = format!("{S3}{}", storage.table("multipart_above = 5242880"));
        let site = site(&config);
        site.write("ew.toml", &config.replace("[export.format.csv]\n", &format));
        let killed = site.command(EW_EXPORT, "").env("EW_CRASH", boundary).output().unwrap();
        assert_eq!((killed.status.code(), storage.begun()), (None, begun), "{boundary}");
        site.run(EW_EXPORT, "").exit(0);
        assert_eq!(storage.begun(), 0, "{boundary}");
        assert_eq!(storage.names(), ["u_20260301T000000Z.csv"]);
        let sent = std::fs::read(storage.objects().join("u_20260301T000000Z.csv")).unwrap();
        assert_eq!(sent.iter().filter(|byte| **byte == b'\n').count(), 902, "{boundary}");
        site.write("ew.toml", &config);
        let ledger = ew::sibling(EW_EXPORT, "ew-ledger");
        let shown = site.run(ledger.to_str().unwrap(), "show u u_20260301T000000Z.csv --json").exit(0);
        assert!(shown.stdout.contains(&format!("\"how\": \"{how}\"")), "{boundary}: {}", shown.stdout);
        site.run(EW_EXPORT, "").exit(66);
    }
}

/// The bucket in the host's name, which libnss-wrapper finds for the program.
#[cfg(feature = "s3")]
#[test]
fn the_bucket_is_a_part_of_the_host() {
    let storage = s3::Storage::start();
    let table = storage.table("path_style = false").replace("127.0.0.1", "localhost");
    let site = site(&format!("{S3}{table}"));
    site.write("hosts", "127.0.0.1 meters.localhost\n");
    let mut command = site.command(EW_EXPORT, "");
    command.env("LD_PRELOAD", "libnss_wrapper.so").env("NSS_WRAPPER_HOSTS", site.file("hosts"));
    ew::ended(command.output().unwrap()).exit(0);
    assert_eq!(storage.names(), ["u_20260301T000000Z.csv"]);
    let sent = std::fs::read_to_string(storage.objects().join("u_20260301T000000Z.csv")).unwrap();
    assert_eq!(sent.lines().count(), 901);
}
