//! One rule for every backend: what `complete` means, what `discover` and `poll` end with, and which groups have a point.
#![allow(clippy::unwrap_used)]

#[path = "support/cgate.rs"]
mod cgate;
#[path = "support/ew.rs"]
mod ew;
#[path = "support/interface.rs"]
mod interface;

use cgate::Cgate;
use ew::Site;
use interface::Interface;
use serde_json::{Value, json};

const EW_CBUS: &str = env!("CARGO_BIN_EXE_ew-cbus");

/// A far side, and the table of its bus.
struct FarSide {
    toml: String,
    _cgate: Option<Cgate>,
    _interface: Option<Interface>,
}

fn bus(keys: &str, backend: &str) -> String {
    format!("[[cbus]]\nname = \"lobby\"\n{keys}\n{backend}\n")
}

/// A child that answers `error` for group 2, or for none.
fn exec(level_of_2: &str) -> FarSide {
    let sim = ew::sibling(EW_CBUS, "ew-sim");
    let rows =
        format!("unit:1,network:00,apps:56\\nunit:1,network:00,groups:1,2\\nlevel:56,1=9\\n{level_of_2}\\n");
    let child = format!("printf '{rows}' > rows; exec {} cbus-cli --fake rows", sim.display());
    let backend = format!("[cbus.backend.exec]\ncommand = [\"sh\", \"-c\", {child:?}]");
    FarSide { toml: bus("", &backend), _cgate: None, _interface: None }
}

fn cgate(faults: &str) -> FarSide {
    let server = Cgate::start(&ew::sibling(EW_CBUS, "ew-sim"), faults);
    let backend = format!(
        "[cbus.backend.cgate]\nhost = \"127.0.0.1\"\nport = {}\nproject = \"HOME\"\nnetworks = [254]",
        server.port
    );
    FarSide { toml: bus("applications = [56]", &backend), _cgate: Some(server), _interface: None }
}

/// In application 56 two groups tell no level, in 57 none.
fn cni(application: u8) -> FarSide {
    let interface = Interface::start(&ew::sibling(EW_CBUS, "ew-sim"), &[]);
    let toml = bus(&format!("applications = [{application}]"), &interface.backend());
    FarSide { toml, _cgate: None, _interface: Some(interface) }
}

#[test]
fn a_level_that_is_not_told_means_the_same_on_every_backend() {
    struct Case {
        name: &'static str,
        far_side: fn() -> FarSide,
        /// Of a bus of which everything was told.
        complete: Value,
        /// Groups that exist and tell no level, as their points end.
        without: &'static [&'static str],
    }
    let case = |name, far_side, complete, without| Case { name, far_side, complete, without };
    let cases = [
        case("exec", || exec("level:56,2=0"), Value::Null, &[]),
        case("exec, refused", || exec(""), Value::Null, &["00.56.2"]),
        case("cgate", || cgate(""), json!(true), &[]),
        case("cgate, refused", || cgate("--fault bad-group=2"), json!(true), &["254.56.2"]),
        case("cgate, not heard from", || cgate("--fault lost-group=3"), json!(true), &["254.56.3"]),
        case("cni", || cni(57), json!(true), &[]),
        case("cni, at odds and damaged", || cni(56), json!(true), &["00.56.12", "00.56.13"]),
    ];
    std::thread::scope(|scope| {
        for Case { name, far_side, complete, without } in cases {
            scope.spawn(move || {
                let far_side = far_side();
                let mut site = Site::new(&far_side.toml);
                site.now("2026-03-01T00:00:00Z");
                let is_whole = without.is_empty();
                let run = |arguments: &str| {
                    let output = site.command(EW_CBUS, arguments).env("EW_PCI_HURRY", "1").output().unwrap();
                    let ended = ew::ended(output).exit(if is_whole { 0 } else { 1 });
                    (serde_json::from_str::<Value>(&ended.stdout).unwrap(), ended.stderr)
                };
                let (found, _) = run("discover --json");
                assert_eq!(found["complete"], if is_whole { complete } else { json!(false) }, "{name}");
                let reasons = found["incomplete_reasons"].as_array().unwrap();
                assert_eq!(reasons.is_empty(), is_whole, "{name}: {reasons:?}");
                for (reason, count) in reasons.iter().zip([without.len()]) {
                    let start = format!("lobby: {count} of ");
                    assert!(reason.as_str().unwrap().starts_with(&start), "{name}: {reason}");
                    for point in without {
                        let group = point.replace('.', "/");
                        assert!(reason.as_str().unwrap().contains(&group), "{name}: {reason}");
                    }
                }
                let (document, told) = run("poll --json");
                let is_named = |point: &&str| told.contains(&point.replace('.', "/"));
                assert!(without.iter().all(is_named), "{name}: {told}");
                let readings = document["buses"][0]["readings"].as_array().unwrap();
                let is_without = |reading: &&Value| {
                    let point = reading["point"].as_str().unwrap();
                    without.iter().any(|end| point == format!("cbus.lobby.{end}"))
                };
                let null: Vec<&Value> = readings.iter().filter(is_without).collect();
                assert_eq!(null.len(), without.len(), "{name}: {readings:?}");
                for reading in null {
                    assert_eq!((&reading["value"], &reading["quality"]), (&Value::Null, &json!("missing")));
                    assert!(reading["reason"].is_string(), "{name}: {reading}");
                }
                // A group that is on or off and tells no level has its point too; that is no failure.
                let others = readings.iter().filter(|reading| !is_without(reading));
                let null: Vec<&Value> = others.filter(|reading| reading["value"].is_null()).collect();
                assert!(
                    null.iter().all(|reading| reading["point"] == "cbus.lobby.00.56.30"),
                    "{name}: {null:?}"
                );
                assert_eq!(null.len(), usize::from(without.len() == 2), "{name}");
            });
        }
    });
}
