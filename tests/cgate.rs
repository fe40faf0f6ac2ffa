//! The C-Gate backend against `ew-sim cgate`, each of them a reading of the vendor's documents of its own. Genuine C-Gate
//! was never at hand.
#![allow(clippy::unwrap_used)]

#[path = "support/cgate.rs"]
mod cgate;

use cgate::Cgate;
use ew_bus::{BusError, BusOptions, Context, Discovery, GroupAddress, GroupState, Trace};
use ew_core::{Exit, SecretSource, Timestamp};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const EW_SIM: &str = env!("CARGO_BIN_EXE_ew-sim");
const HOME: &str = "project = \"HOME\"";

/// What a run is given, and what it left behind.
struct Run {
    options: BusOptions,
    deadline: Duration,
    allow_open: bool,
    wait_sync: Duration,
    dir: tempfile::TempDir,
    notes: RefCell<Vec<String>>,
}

impl Run {
    fn new(toml: &str) -> Run {
        Run {
            options: toml::from_str(toml).unwrap_or_else(|e| panic!("{e}\n{toml}")),
            deadline: Duration::from_secs(60),
            allow_open: false,
            wait_sync: Duration::ZERO,
            dir: tempfile::tempdir().unwrap(),
            notes: RefCell::default(),
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut dyn ew_bus::Bus) -> Result<T, BusError>) -> Result<T, BusError> {
        let trace = std::fs::File::options().create(true).append(true).open(self.trace_file()).unwrap();
        let resolve = |source: &SecretSource| match source {
            SecretSource::Plain(secret) => Ok(secret.clone()),
            _ => Err("not in this test".to_owned()),
        };
        let now = || Timestamp::from_secs(1_700_000_000);
        let note = |text: &str| self.notes.borrow_mut().push(text.to_owned());
        let context = Context {
            base: self.dir.path(),
            resolve: &resolve,
            trace: Trace::to(Box::new(trace), || Timestamp::from_secs(1_700_000_000)),
            deadline: Instant::now() + self.deadline,
            allow_open: self.allow_open,
            wait_sync: self.wait_sync,
            now: &now,
            note: &note,
        };
        act(ew_bus::open(&self.options, context)?.as_mut())
    }

    fn discover(&self) -> Result<Discovery, BusError> {
        self.with(|bus| bus.discover())
    }

    fn trace_file(&self) -> PathBuf {
        self.dir.path().join("trace")
    }

    fn trace(&self) -> String {
        std::fs::read_to_string(self.trace_file()).unwrap()
    }
}

fn server(arguments: &str) -> Cgate {
    Cgate::start(Path::new(EW_SIM), arguments)
}

/// A discovery of a server with these arguments, which must come about.
fn discovered(arguments: &str) -> Discovery {
    let server = server(arguments);
    Run::new(&server.toml("", HOME)).discover().unwrap()
}

fn error<T>(result: Result<T, BusError>) -> (BusError, String, String) {
    let Err(error) = result else { panic!("it went well") };
    let (text, hint) = (error.to_string(), error.hint().unwrap_or_default());
    (error, text, hint)
}

fn group(network: &str, application: u8, group: u8) -> GroupAddress {
    GroupAddress { network: network.into(), application, group }
}

/// Everything but the endpoint, which has another port each time, and the banner.
fn told(mut discovery: Discovery) -> String {
    discovery.endpoint = String::new();
    discovery.server_banner = None;
    serde_json::to_string_pretty(&discovery).unwrap()
}

fn assert_reads_only(commands: &[String]) {
    assert!(!commands.is_empty());
    for command in commands {
        let verb = command.split(' ').next().unwrap();
        let reads = ["GET", "TREE", "TREEXML", "TREEXMLDETAIL", "DBGETXML", "LOGIN", "QUIT"];
        assert!(reads.contains(&verb) || command == "PROJECT LIST", "{command}");
        assert!(!command.to_lowercase().contains("sync "), "{command}");
    }
}

#[test]
fn a_discovery_keeps_bus_and_database_apart_and_only_reads() {
    let server = server("--access monitor");
    let run = Run::new(&server.toml("", HOME));
    let found = run.discover().unwrap();
    assert_eq!((found.complete, &found.incomplete_reasons[..]), (Some(true), &[][..]));
    assert_eq!(found.project.as_deref(), Some("HOME"));
    let banner = "Service ready: Clipsal C-Gate Version: v3.4.0 (build 2001) #cmd-syntax=1.0";
    assert_eq!(found.server_banner.as_deref(), Some(banner));

    let networks: Vec<_> = found.networks.iter().map(|n| (n.address.as_str(), n.tag.as_deref())).collect();
    assert_eq!(networks, [("253", Some("Shed")), ("254", Some("Ground floor"))]);
    assert_eq!(found.networks[0].bridge_path.as_deref(), Some("254/p/37"));
    assert_eq!(found.networks[1].interface_address.as_deref(), Some("192.0.2.5:10001"));
    assert_eq!(found.networks[1].sync_state.as_deref(), Some("idle"));

    let applications: Vec<_> =
        found.applications.iter().map(|a| (a.network.as_str(), a.address, a.kind.as_deref())).collect();
    assert_eq!(
        applications,
        [
            ("253", 56, Some("lighting")),
            ("254", 48, Some("lighting")),
            ("254", 56, Some("lighting")),
            ("254", 202, Some("trigger")),
        ]
    );

    let groups: Vec<_> = found
        .groups
        .iter()
        .filter(|g| g.network == "254")
        .map(|g| (g.application, g.address, g.tag.as_deref(), g.in_db, g.on_bus, g.level, g.state))
        .collect();
    let (yes, no) = (Some(true), Some(false));
    assert_eq!(
        groups,
        [
            (56, 1, Some("Kitchen & hall"), yes, yes, Some(255), GroupState::Ok),
            (56, 2, Some("Stairs"), yes, yes, Some(0), GroupState::Ok),
            (56, 3, Some("Porch"), yes, yes, Some(128), GroupState::Ok),
            (56, 8, None, no, yes, Some(228), GroupState::Ok),
            (56, 40, Some("Wine cellar"), yes, no, None, GroupState::Absent),
            (202, 7, Some("Scenes"), yes, yes, None, GroupState::NoLevel),
        ]
    );

    let unit = |address: u8| found.units.iter().find(|u| u.network == "254" && u.address == address).unwrap();
    assert_eq!((unit(3).duplicate, unit(3).kind.as_deref(), unit(3).in_db), (yes, Some("RELDN12"), yes));
    assert_eq!(
        (unit(4).duplicate, unit(4).volts, unit(4).part_name.as_deref()),
        (no, Some(31.5), Some("DIMMER1"))
    );
    assert_eq!((unit(5).kind.as_deref(), unit(5).tag.as_deref()), (Some("KEYGL5"), Some("Hall keys")));
    assert_eq!((unit(6).in_db, unit(6).on_bus, unit(6).online_status.as_deref()), (no, yes, Some("new")));

    let links: Vec<_> = found
        .unit_groups
        .iter()
        .filter(|l| l.network == "254")
        .map(|l| (l.unit, l.application, l.group))
        .collect();
    let (lighting, trigger) = (Some(56), Some(202));
    assert_eq!(
        links,
        [
            (4, lighting, 1),
            (4, lighting, 2),
            (4, lighting, 3),
            (4, lighting, 8),
            // Keys tell the bus nothing; the database has their groups, and they have two applications.
            (5, None, 1),
            (5, None, 40),
            (6, lighting, 3),
            (6, trigger, 7),
        ]
    );
    assert_eq!(found.measurements.len(), 2);

    assert_reads_only(&server.commands());
    assert_eq!(server.commands().last().map(String::as_str), Some("QUIT"));
    assert!(run.trace().contains("204 Closing Connection"));
}

#[test]
fn the_same_is_told_whatever_the_wire_is_like() {
    let plain = told(discovered(""));
    for arguments in [
        "--fault events",
        "--fault bare-lf",
        "--fault pieces=1",
        "--fault pieces=7 --fault events",
        "--fault case=upper",
        "--fault case=lower",
        "--fault xml-bytes=4000000",
        "--brand Mosquitto",
    ] {
        assert_eq!(told(discovered(arguments)), plain, "{arguments}");
    }
}

#[test]
fn levels_of_what_has_levels() {
    let server = server("--access monitor");
    let run = Run::new(&server.toml("", HOME));
    let levels = run.with(|bus| bus.levels(None)).unwrap();
    let seen: Vec<_> =
        levels.groups.iter().map(|g| (g.network.as_str(), g.application, g.address, g.level)).collect();
    assert_eq!(
        seen,
        [
            ("253", 56, 1, Some(64)),
            ("254", 56, 1, Some(255)),
            ("254", 56, 2, Some(0)),
            ("254", 56, 3, Some(128)),
            ("254", 56, 8, Some(228)),
        ]
    );
    assert_eq!((levels.incomplete_reasons.len(), levels.warnings.len()), (0, 0));

    // Triggers have none, which is said only to who asks for them.
    let levels = run.with(|bus| bus.levels(Some(&[202]))).unwrap();
    let [warning] = &levels.warnings[..] else { panic!("{:?}", levels.warnings) };
    assert!(warning.text.starts_with("402 Operation not supported by: "), "{}", warning.text);
    assert_eq!(levels.groups.len(), 0);

    // 48 has no groups, which is no fault.
    let levels = run.with(|bus| bus.levels(Some(&[48, 56]))).unwrap();
    assert_eq!((levels.groups.len(), levels.incomplete_reasons.len()), (5, 0));
    assert_reads_only(&server.commands());
}

#[test]
fn a_level_is_read_and_set_and_nothing_comes_into_being_by_it() {
    let server = server("");
    let run = Run::new(&server.toml("", HOME));
    assert_eq!(run.with(|bus| bus.get(&group("254", 56, 3))).unwrap(), 128);
    assert_eq!(run.with(|bus| bus.set(&group("254", 56, 3), 17)).unwrap(), None);
    assert_eq!(run.with(|bus| bus.get(&group("254", 56, 3))).unwrap(), 17);
    let writes = |server: &Cgate| server.commands().iter().filter(|c| c.starts_with("RAMP")).count();
    assert_eq!(writes(&server), 1);

    let (unknown, text, _) = error(run.with(|bus| bus.set(&group("254", 56, 99), 17)));
    assert!(matches!(unknown, BusError::NoSuchObject { .. }), "{text}");
    assert_eq!(writes(&server), 1);
    // 253 is behind a bridge of 254.
    assert_eq!(run.with(|bus| bus.get(&group("", 56, 3))).unwrap(), 17);
}

#[test]
fn what_a_user_got_wrong_is_no_fault_of_the_server() {
    let server = server("");
    let run = Run::new(&server.toml("", HOME));
    let of = |network: &str, application, number| {
        let at = group(network, application, number);
        let (error, text, hint) = error(run.with(|bus| bus.get(&at)));
        (error.exit(), text, hint)
    };
    let (exit, _, hint) = of("254", 56, 99);
    assert_eq!((exit, hint.as_str()), (Exit::Usage, "application 56 has the groups 1, 2, 3, 8"));
    let (exit, _, hint) = of("254", 57, 1);
    assert_eq!((exit, hint.as_str()), (Exit::Usage, "network 254 has the applications 56, 202"));
    for network in ["00", "7"] {
        let (exit, text, hint) = of(network, 56, 1);
        assert_eq!((exit, hint.as_str()), (Exit::Usage, "//HOME has the networks 253, 254"), "{text}");
    }
    assert_eq!(of("ground", 56, 1).0, Exit::Usage);
    // It is there, and a trigger has no level.
    let (exit, text, _) = of("254", 202, 7);
    assert!(exit == Exit::NoData && text.contains("402 "), "{text}");

    let of = |cgate: &str| {
        let (error, text, hint) = error(Run::new(&server.toml("", cgate)).discover());
        (error.exit(), text, hint)
    };
    let (exit, text, hint) = of("project = \"HUT\"");
    assert!(exit == Exit::Config && text.ends_with(" (projects loaded: HOME)"), "{text}");
    assert!(hint.contains("has another name"), "{hint}");
    let (exit, text, _) = of("project = \"HOME\"\nnetworks = [7, 8]");
    assert!(exit == Exit::Config && text.ends_with("networks 7, 8: project HOME has 253, 254"), "{text}");
}

#[test]
fn a_lost_connection_never_sets_a_level_twice() {
    let server = server("--fault cut=RAMP");
    let run = Run::new(&server.toml("", HOME));
    let (_, text, _) = error(run.with(|bus| bus.set(&group("254", 56, 3), 17)));
    assert!(text.ends_with("RAMP //HOME/254/56/3 17: the connection was lost"), "{text}");
    assert_eq!(server.commands().iter().filter(|c| c.starts_with("RAMP")).count(), 1);
}

#[test]
fn a_channel_never_heard_has_no_reading() {
    let server = server("--access monitor");
    let run = Run::new(&server.toml("", HOME));
    let readings = run.with(|bus| bus.measure()).unwrap();
    let [heard, never] = &readings[..] else { panic!("{readings:?}") };
    assert_eq!(
        (heard.value.as_deref(), heard.exponent, heard.unit.as_deref()),
        (Some("10234"), Some(-2), Some("W"))
    );
    assert_eq!((heard.age_ms, heard.valid, heard.device, heard.channel), (Some(1500), true, 1, 1));
    assert_eq!((&never.value, never.age_ms, never.unit_code, never.valid), (&None, None, None, false));
    assert_reads_only(&server.commands());
}

#[test]
fn a_probe_says_what_answers_even_where_little_is_allowed() {
    let server = server("--access monitor");
    let run = Run::new(&server.toml("", HOME));
    let lines = run.with(|bus| bus.probe()).unwrap();
    assert_eq!(
        lines,
        [
            "banner: Service ready: Clipsal C-Gate Version: v3.4.0 (build 2001) #cmd-syntax=1.0",
            "access level: Monitor",
            "projects loaded: not told (420 Access denied.)",
            "project: HOME",
            "network 253: State=ok InterfaceState=running SyncState=idle Type=bridge InterfaceAddress=254/p/37",
            "network 254: State=ok InterfaceState=running SyncState=idle Type=cni InterfaceAddress=192.0.2.5:10001",
        ]
    );
    let lines = Run::new(&server.toml("", "")).with(|bus| bus.probe()).unwrap();
    assert!(lines.last().unwrap().starts_with("project: cgate 127.0.0.1:"), "{lines:?}");
    assert_reads_only(&server.commands());
}

#[test]
fn the_only_project_needs_no_name_where_it_may_be_asked_for() {
    let admin = server("--access admin");
    assert_eq!(Run::new(&admin.toml("", "")).discover().unwrap().project.as_deref(), Some("HOME"));
    let monitor = server("--access monitor");
    let (refused, _, hint) = error(Run::new(&monitor.toml("", "")).discover());
    assert_eq!(refused.exit(), Exit::Refused);
    assert!(hint.starts_with("set project in ew.toml"), "{hint}");
}

#[test]
fn only_the_networks_asked_for() {
    let server = server("");
    let run = Run::new(&server.toml("", "project = \"home\"\nnetworks = [253]"));
    let found = run.discover().unwrap();
    assert_eq!((found.networks.len(), found.complete), (1, Some(true)));
    let run = Run::new(&server.toml("", "project = \"HOME\"\nnetworks = [253, 7]"));
    let found = run.discover().unwrap();
    assert_eq!((found.networks.len(), found.complete), (1, Some(false)));
    assert!(found.incomplete_reasons[0].contains("Network not found"), "{:?}", found.incomplete_reasons);
}

#[test]
fn a_network_that_is_being_synchronised_is_not_believed() {
    let server = server("--fault syncing");
    let run = Run::new(&server.toml("", "project = \"HOME\"\nnetworks = [254]"));
    let found = run.discover().unwrap();
    assert_eq!(found.complete, Some(false));
    assert_eq!(
        found.incomplete_reasons,
        [
            "network 254 is not up: State=sync InterfaceState=running SyncState=units",
            "5 of 6 groups have no level: 254/56/1, 254/56/2, 254/56/3, …"
        ]
    );
    assert!(
        found.groups.iter().all(|g| g.level.is_none() && g.state != GroupState::Absent),
        "{:?}",
        found.groups
    );
    let levels = run.with(|bus| bus.levels(None)).unwrap();
    assert!(!levels.groups.is_empty() && levels.groups.iter().all(|g| g.level.is_none()));
    assert_eq!(levels.incomplete_reasons.len(), 1);
    let (_, text, hint) = error(run.with(|bus| bus.get(&group("254", 56, 1))));
    assert!(text.contains("State=sync") && hint.contains("--wait-sync"), "{text}; {hint}");
}

#[test]
fn a_synchronisation_is_waited_for_if_told_to() {
    let server = server("--fault syncing=1");
    let mut run = Run::new(&server.toml("", "project = \"HOME\"\nnetworks = [254]"));
    run.wait_sync = Duration::from_secs(20);
    let found = run.discover().unwrap();
    assert_eq!((found.complete, found.networks[0].state.as_deref()), (Some(true), Some("ok")));
    assert_reads_only(&server.commands());
}

#[test]
fn nothing_is_opened_unless_allowed() {
    let server = server("--fault not-loaded --fault closed");
    let mut run = Run::new(&server.toml("", HOME));
    let (missing, text, hint) = error(run.discover());
    assert!(matches!(missing, BusError::NoSuchObject { .. }), "{text}");
    assert!(text.contains("//HOME: 401 ") && hint.contains("not loaded"), "{text}; {hint}");
    assert_reads_only(&server.commands());

    run.allow_open = true;
    assert_eq!(run.discover().unwrap().complete, Some(true));
    let notes = run.notes.borrow();
    let expect =
        ["loading and starting project HOME", "opening network //HOME/253", "opening network //HOME/254"];
    assert_eq!(*notes, expect);
    let opened = |c: &&String| (c.starts_with("PROJECT ") && *c != "PROJECT LIST") || c.starts_with("NET ");
    let commands = server.commands();
    let opened: Vec<&String> = commands.iter().filter(opened).collect();
    assert_eq!(
        opened,
        ["PROJECT LOAD HOME", "PROJECT START HOME", "NET OPEN //HOME/253", "NET OPEN //HOME/254"]
    );
}

#[test]
fn a_level_that_cannot_be_had_is_null_with_its_reason() {
    let found = discovered("--fault bad-group=2 --fault lost-group=3");
    let of = |address: u8| found.groups.iter().find(|g| g.network == "254" && g.address == address).unwrap();
    assert_eq!((of(1).level, of(2).level, of(3).level), (Some(255), None, None));
    assert_eq!((of(2).state, of(3).state), (GroupState::Error, GroupState::Error));
    assert!(of(2).reason.as_deref().unwrap().starts_with("408 Operation failed: "));
    assert_eq!(of(3).reason.as_deref(), Some("its state is error, and level 0 with it"));
    let [warning] = &found.warnings[..] else { panic!("{:?}", found.warnings) };
    assert_eq!((warning.code, warning.object.as_deref()), (Some(408), Some("//HOME/254/56/2")));
    assert_eq!(found.complete, Some(false));
    assert_eq!(found.incomplete_reasons, ["2 of 7 groups have no level: 254/56/2, 254/56/3"]);
}

/// C-Gate says 0 of a group that it has not heard from.
#[test]
fn one_level_that_cannot_be_had_is_an_error() {
    let server = server("--fault lost-group=2");
    let run = Run::new(&server.toml("", HOME));
    assert_eq!(run.with(|bus| bus.get(&group("254", 56, 3))), Ok(128));
    let (error, text, _) = error(run.with(|bus| bus.get(&group("254", 56, 2))));
    assert_eq!(error.exit(), Exit::NoData);
    assert!(text.ends_with("//HOME/254/56/2: its state is error, and level 0 with it"), "{text}");
}

/// A server without TREE tells the states of groups in another way, and not asked it made zeros of them.
#[test]
fn without_a_tree_a_zero_of_a_lost_group_is_not_believed_either() {
    for fault in ["unsupported=TREE", "denied=TREE"] {
        let found = discovered(&format!("--fault {fault} --fault lost-group=1"));
        let of = |network: &str| {
            let group = found.groups.iter().find(|g| g.network == network && g.address == 1).unwrap();
            (group.level, group.reason.as_deref())
        };
        let lost = (None, Some("its state is error, and level 0 with it"));
        assert_eq!((of("253"), of("254")), (lost, lost), "{fault}");
        assert_eq!(found.complete, Some(false), "{fault}");
    }
}

#[test]
fn older_servers_have_poorer_trees() {
    let whole = discovered("");
    let units =
        |found: &Discovery| found.units.iter().map(|u| (u.address, u.kind.clone())).collect::<Vec<_>>();
    let plain = discovered("--fault unsupported=TREEXMLDETAIL");
    assert_eq!((units(&plain), plain.complete), (units(&whole), Some(true)));
    let oldest = discovered("--fault unsupported=TREEXMLDETAIL --fault unsupported=TREEXML");
    assert_eq!((units(&oldest), oldest.complete), (units(&whole), Some(true)));
    let mut xml_only = discovered("--fault unsupported=TREE");
    assert_eq!(std::mem::take(&mut xml_only.warnings).len(), 2);
    assert_eq!(told(xml_only), told(whole));
}

#[test]
fn what_is_refused_is_named_and_the_rest_is_kept() {
    let found = discovered("--fault denied=DBGETXML --fault broken=TREEXMLDETAIL");
    assert_eq!((found.complete, found.incomplete_reasons.len()), (Some(false), 4));
    let reasons = found.incomplete_reasons.join("\n");
    assert!(reasons.contains("refuses DBGETXML //HOME/253: 420 Access denied.; `DBGETXML //HOME/253` needs access level Monitor"), "{reasons}");
    assert!(reasons.contains("TREEXMLDETAIL //HOME/253: 500 Internal error."), "{reasons}");
    assert!(found.groups.iter().all(|g| g.in_db.is_none()));
    assert_eq!(found.groups.iter().filter(|g| g.level.is_some()).count(), 5);
}

#[test]
fn a_fault_amid_a_good_reply_loses_nothing_but_is_said() {
    let whole = discovered("");
    for command in ["TREEXMLDETAIL", "TREE", "DBGETXML"] {
        let found = discovered(&format!("--fault hole={command}"));
        assert_eq!(found.incomplete_reasons.len(), 2, "{:?}", found.incomplete_reasons);
        let reason =
            format!("{command} //HOME/253 has a hole: 408 Operation failed: can not get parameter from unit");
        assert_eq!((found.complete, &found.incomplete_reasons[0]), (Some(false), &reason));
        assert_eq!((found.warnings.len(), found.warnings[0].code), (2, Some(408)));
        assert_eq!((&found.units, &found.groups), (&whole.units, &whole.groups), "{command}");
    }
}

/// Labels are the least of what a discovery is for.
#[test]
fn a_tag_database_that_does_not_come_costs_nothing_but_the_tags() {
    let levels = |found: &Discovery| {
        let told =
            found.groups.iter().filter_map(|g| Some((g.network.clone(), g.application, g.address, g.level?)));
        told.collect::<Vec<_>>()
    };
    let units = |found: &Discovery| {
        let on_bus = found.units.iter().filter(|u| u.on_bus == Some(true));
        on_bus.map(|u| (u.network.clone(), u.address, u.volts.map(f64::to_bits))).collect::<Vec<_>>()
    };
    let whole = discovered("");
    std::thread::scope(|scope| {
        for (arguments, deadline, why) in [
            ("--fault cut=DBGETXML", 12, "the connection was lost"),
            // For ten seconds it may be silent, but not for more than its share of the run.
            ("--fault stalled=DBGETXML", 12, "no whole answer within its share of the run"),
            ("--fault denied=DBGETXML", 60, "420 Access denied"),
            ("--fault xml-bytes=30000000", 60, "a line is longer than 16777216 bytes"),
        ] {
            let whole = &whole;
            scope.spawn(move || {
                let server = server(arguments);
                let mut run = Run::new(&server.toml("", HOME));
                run.deadline = Duration::from_secs(deadline);
                let found = run.discover().unwrap();
                let reasons = found.incomplete_reasons.join("\n");
                assert!(reasons.contains("DBGETXML //HOME/253") && reasons.contains(why), "{reasons}");
                assert!(reasons.contains("DBGETXML //HOME/254"), "{reasons}");
                assert_eq!((found.incomplete_reasons.len(), found.complete), (2, Some(false)), "{reasons}");
                assert_eq!((levels(&found), units(&found)), (levels(whole), units(whole)), "{arguments}");
                assert!(found.groups.iter().all(|g| g.tag.is_none() && g.in_db.is_none()), "{arguments}");
                assert_eq!(found.measurements.len(), whole.measurements.len());
            });
        }
    });
}

#[test]
fn entities_are_refused() {
    let found = discovered("--fault bomb");
    assert_eq!((found.complete, found.incomplete_reasons.len()), (Some(false), 2));
    assert!(found.incomplete_reasons[0].contains("document type"), "{:?}", found.incomplete_reasons);
    assert!(found.networks[0].tag.is_none());
}

#[test]
fn a_log_in_raises_the_level_and_its_password_is_nowhere() {
    let server = server("--access connect --user ew:s3cret-word:monitor");
    let login = |password: &str| format!("{HOME}\nuser = \"ew\"\npassword = \"{password}\"");
    let run = Run::new(&server.toml("", &login("s3cret-word")));
    assert_eq!(run.discover().unwrap().complete, Some(true));
    assert!(run.trace().contains("LOGIN ew ***") && !run.trace().contains("s3cret"), "{}", run.trace());
    assert!(server.commands().contains(&"LOGIN ew s3cret-word".to_owned()));

    let (refused, text, hint) = error(Run::new(&server.toml("", &login("wrong"))).discover());
    assert_eq!(refused.exit(), Exit::Refused);
    assert!(text.ends_with("refuses LOGIN ew: 422 Username and Password do not match."), "{text}");
    assert!(hint.contains("access list"), "{hint}");

    let (refused, text, hint) = error(Run::new(&server.toml("", HOME)).discover());
    assert_eq!(refused.exit(), Exit::Refused);
    assert!(text.ends_with("refuses GET //HOME Networks: 420 Access denied."), "{text}");
    assert!(hint.contains("needs access level Monitor, and this session has Connect"), "{hint}");

    let bad = toml::from_str::<BusOptions>(&server.toml("", &login("two words"))).unwrap_err();
    assert!(
        bad.message().contains("a password that is one word") && !bad.message().contains("two words"),
        "{bad}"
    );
}

#[test]
fn a_silent_server_is_given_up_with_what_it_may_be() {
    let server = server("--fault silent-banner");
    let run = Run::new(&server.toml("start_timeout = \"1s\"", HOME));
    let (silent, text, hint) = error(run.discover());
    assert_eq!(silent.exit(), Exit::Unavailable);
    assert!(text.ends_with("wait for the banner: no answer in time"), "{text}");
    assert!(hint.contains("access list") && hint.contains("TLS port"), "{hint}");
    assert_eq!(run.notes.borrow().len(), 0);
}

#[test]
fn a_tls_port_is_known_by_its_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let real = format!("--tls {}/ca.pem", dir.path().display());
    let cases = [
        ("--fault tls-port", "it answers in TLS"),
        (real.as_str(), "it is silent, and hangs up when spoken to"),
    ];
    for (arguments, cause) in cases {
        let server = server(arguments);
        let run = Run::new(&server.toml("start_timeout = \"2s\"", HOME));
        let (_, text, hint) = error(run.discover());
        assert!(text.ends_with(&format!("wait for the banner: {cause}")), "{arguments}: {text}");
        assert!(hint.contains("tls = true") && hint.contains("minus 100"), "{hint}");
    }
}

#[test]
fn tls_is_verified_by_the_servers_own_certificate_and_name() {
    let server = server("--tls ca.pem --access monitor");
    let ca_file = server.file("ca.pem");
    let tls = |more: &str| format!("{HOME}\ntls = true\n{more}");
    let ca = format!("ca_file = \"{}\"\n", ca_file.display());
    let run = Run::new(&server.toml("", &tls(&format!("{ca}server_name = \"localhost\""))));
    assert_eq!(run.discover().unwrap().complete, Some(true));
    assert_eq!(server.commands().last().map(String::as_str), Some("QUIT"));

    let (refused, text, hint) = error(Run::new(&server.toml("", &tls(&ca))).discover());
    assert_eq!(refused.exit(), Exit::Refused, "{text}");
    assert!(hint.contains("server_name = \"localhost\""), "{text}; {hint}");
    let (refused, text, hint) =
        error(Run::new(&server.toml("", &tls("server_name = \"localhost\""))).discover());
    assert_eq!(refused.exit(), Exit::Refused, "{text}");
    assert!(text.contains("not trusted") && hint.contains("ca_file"), "{text}; {hint}");
    let (local, text, _) = error(Run::new(&server.toml("", &tls("ca_file = \"none.pem\""))).discover());
    assert!(matches!(local, BusError::Local { .. }) && text.contains("none.pem"), "{text}");
}

#[test]
fn tls_to_a_port_without_it_says_which_port_is_meant() {
    let server = server("");
    let (_, text, hint) = error(Run::new(&server.toml("", &format!("{HOME}\ntls = true"))).discover());
    assert!(text.contains("TLS handshake"), "{text}");
    assert!(hint.contains("20123"), "{hint}");
}

#[test]
fn a_machine_without_access_is_told_so() {
    let server = server("--fault refused");
    let (refused, text, hint) = error(Run::new(&server.toml("", HOME)).discover());
    assert_eq!(refused.exit(), Exit::Refused);
    assert!(text.contains("421 Connection refused.") && hint.contains("access list"), "{text}; {hint}");
}

#[test]
fn a_connection_lost_amid_a_reply_is_made_again() {
    let server = server("--fault cut=TREEXMLDETAIL:1");
    let run = Run::new(&server.toml("", HOME));
    let found = run.discover().unwrap();
    assert_eq!(found.complete, Some(true));
    let notes = run.notes.borrow();
    assert_eq!(notes.len(), 1);
    assert!(
        notes[0].ends_with("TREEXMLDETAIL //HOME/253: the connection was lost; connecting again in 1 s"),
        "{notes:?}"
    );
    assert!(run.trace().contains("< \"\"\n"));
}

#[test]
fn a_connection_lost_again_and_again_keeps_what_came_before() {
    let server = server("--fault cut=TREEXMLDETAIL");
    let mut run = Run::new(&server.toml("", HOME));
    run.deadline = Duration::from_millis(2500);
    let found = run.discover().unwrap();
    assert_eq!((found.complete, found.networks.is_empty()), (Some(false), false));
    assert!(
        found.incomplete_reasons[0].contains("the connection was lost"),
        "{:?}",
        found.incomplete_reasons
    );
}

#[test]
fn a_command_without_a_reply_is_given_up() {
    let server = server("--fault stalled=TREEXMLDETAIL");
    let run = Run::new(&server.toml("reply_timeout = \"100ms\"", "project = \"HOME\"\nnetworks = [254]"));
    let found = run.discover().unwrap();
    assert_eq!(found.complete, Some(false));
    let reason = &found.incomplete_reasons[0];
    assert!(reason.contains("TREEXMLDETAIL //HOME/254: no answer in time; raise reply_timeout"), "{reason}");
}

#[test]
fn the_deadline_of_the_run_ends_everything() {
    let server = server("--fault slow=400ms");
    let mut run = Run::new(&server.toml("", HOME));
    run.deadline = Duration::from_millis(600);
    let (late, text, _) = error(run.with(|bus| bus.levels(None)));
    assert!(matches!(late, BusError::Deadline { .. }), "{text}");
}

#[test]
fn nobody_there_is_tried_again_inside_the_deadline() {
    let server = server("");
    let toml = server.toml("", HOME);
    drop(server);
    let mut run = Run::new(&toml);
    run.deadline = Duration::from_millis(1500);
    let (nobody, text, hint) = error(run.discover());
    assert_eq!(nobody.exit(), Exit::Unavailable);
    assert!(text.contains("connect: ") && hint.contains("is C-Gate running there"), "{text}; {hint}");
    assert_eq!(run.notes.borrow().len(), 1);
}

#[test]
fn a_pipe_is_as_good_as_a_port() {
    let toml = format!(
        "name = \"lobby\"\n[backend.cgate]\ncommand = [{EW_SIM:?}, \"cgate\", \"--stdio\"]\n{HOME}\n"
    );
    let found = Run::new(&toml).discover().unwrap();
    assert!(found.endpoint.starts_with("cgate by "), "{}", found.endpoint);
    assert_eq!(told(found), told(discovered("")));

    let toml = "name = \"lobby\"\n[backend.cgate]\ncommand = [\"sh\", \"-c\", \"echo s3cret is gone >&2\"]\nproject = \"HOME\"\nuser = \"ew\"\npassword = \"s3cret\"\n";
    let mut run = Run::new(toml);
    run.deadline = Duration::from_millis(900);
    let (_, text, _) = error(run.discover());
    assert!(text.ends_with("the connection was lost; its stderr: *** is gone"), "{text}");
    let toml = "name = \"lobby\"\n[backend.cgate]\ncommand = [\"./none\"]\nproject = \"HOME\"\n";
    let (local, _, _) = error(Run::new(toml).discover());
    assert_eq!(local.exit(), Exit::Io);
}

/// The pipe would stay open for as long as the grandchild lives.
#[test]
fn a_grandchild_that_holds_a_pipe_is_no_server_that_is_silent() {
    let toml = "name = \"lobby\"\n[backend.cgate]\ncommand = [\"sh\", \"-c\", \"sleep 300 & echo 201 hello\"]\nproject = \"HOME\"\n";
    let mut run = Run::new(toml);
    run.deadline = Duration::from_millis(900);
    let (_, text, _) = error(run.discover());
    assert!(text.ends_with("the connection was lost"), "{text}");
}

/// It gets SIGTERM long before it would end by itself: the run has a deadline.
#[test]
fn a_pipe_that_does_not_end_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let late = dir.path().join("late");
    let script = format!("echo 201 hello; cat > /dev/null; sleep 3; touch {}", late.display());
    let toml = format!(
        "name = \"lobby\"\nreply_timeout = \"100ms\"\n[backend.cgate]\ncommand = [\"sh\", \"-c\", {script:?}]\nproject = \"HOME\"\n"
    );
    let (_, text, _) = error(Run::new(&toml).discover());
    assert!(text.ends_with("no answer in time"), "{text}");
    assert!(!late.exists());
}

/// Nor does one that ignores SIGTERM outlast the deadline: what is left of that is all it has.
#[test]
fn a_pipe_that_ignores_sigterm_is_killed_once_the_run_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let late = dir.path().join("late");
    let script = format!("trap '' TERM; echo 201 hello; cat > /dev/null; sleep 4; touch {}", late.display());
    let toml = format!(
        "name = \"lobby\"\nreply_timeout = \"100ms\"\n[backend.cgate]\ncommand = [\"sh\", \"-c\", {script:?}]\nproject = \"HOME\"\n"
    );
    let mut run = Run::new(&toml);
    run.deadline = Duration::from_millis(900);
    let (_, text, _) = error(run.discover());
    assert!(text.ends_with("no answer in time"), "{text}");
    assert!(!late.exists());
}

/// A server on a pipe with network 254, or what else it says of networks, and these rows for the levels and states of
/// application 56.
fn scripted(networks: &str, levels: &[&str], states: &[&str]) -> Run {
    let rows = |rows: &[&str]| {
        let (last, rows) = rows.split_last().unwrap();
        let rows: String =
            rows.iter().map(|row| format!("echo \"$tag 300-//HOME/254/56/{row}\"; ")).collect();
        format!("{rows}echo \"$tag 300 //HOME/254/56/{last}\"")
    };
    let script = format!(
        "echo 201 hello; while read -r tag command; do case $command in QUIT*) exit ;; \
         *Networks*) echo \"$tag 300 //HOME: Networks={networks}\" ;; \
         *InterfaceState*) echo \"$tag 300 //HOME/254: InterfaceState=running\" ;; \
         *' State'*) echo \"$tag 300 //HOME/254: State=ok\" ;; \
         *level*) {} ;; *state*) {} ;; *) echo \"$tag 402 no\" ;; esac; done",
        rows(levels),
        rows(states)
    );
    Run::new(&format!(
        "name = \"lobby\"\n[backend.cgate]\ncommand = [\"sh\", \"-c\", {script:?}]\nproject = \"HOME\"\n"
    ))
}

#[test]
fn what_is_told_twice_otherwise_or_not_at_all_has_no_level_and_is_missed() {
    let levels = ["1: level=11", "1: level=200", "2: level=22", "4: level=0"];
    let states = ["1: state=ok", "2: state=ok", "3: state=ok"];
    let told = scripted("254", &levels, &states).with(|bus| bus.levels(None)).unwrap();
    let groups: Vec<_> =
        told.groups.iter().map(|g| (g.address, g.level, g.reason.as_deref().unwrap_or(""))).collect();
    assert_eq!(
        groups,
        [
            (1, None, "300 //HOME/254/56/1: level=200, and something else before"),
            (2, Some(22), ""),
            (3, None, "GET //HOME/254/56/* level does not tell of it"),
            (4, None, "level 0 may be that of a group not heard from, and its state is not told"),
        ]
    );
    assert!(told.groups.iter().all(|g| (g.level.is_none()) == g.failed().is_some()), "{:?}", told.groups);
}

#[test]
fn a_network_that_is_not_understood_or_none_at_all_is_not_passed_over() {
    let (error, text, _) = error(scripted("254,300", &["1: level=1"], &["1: state=ok"]).discover());
    assert_eq!(error.exit(), Exit::Protocol);
    assert!(text.contains("Networks=254,300"), "{text}");
    let none = scripted("", &["1: level=1"], &["1: state=ok"]).with(|bus| bus.levels(None)).unwrap();
    assert_eq!(none.incomplete_reasons, ["project HOME has no networks"]);
}

#[test]
fn no_command_can_be_smuggled_in_by_a_name() {
    let server = server("");
    for project in ["HOME State\\r\\nRAMP //HOME/254/56/1 0", "HOME/254", "", "HO ME"] {
        let bus = server.toml("", &format!("project = \"{project}\""));
        let Err(bad) = toml::from_str::<BusOptions>(&bus) else { panic!("{project:?} is a project") };
        assert!(bad.message().contains("is no project"), "{bad}");
    }
}

/// A certificate of an authority of its own and what it signed: `ca.pem`, `own.pem`, `own.key`.
fn authority(dir: &Path) {
    let openssl = |arguments: &str| {
        let made = std::process::Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(dir)
            .output()
            .expect("openssl is needed for this test (Debian: openssl)");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    };
    openssl("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=authority");
    openssl("req -newkey rsa:2048 -nodes -keyout own.key -out own.csr -subj /CN=ew");
    openssl("x509 -req -in own.csr -CA ca.pem -CAkey ca.key -days 2 -out own.pem");
    openssl("rsa -traditional -in own.key -out own-pkcs1.key");
}

#[test]
fn a_server_that_demands_a_certificate_gets_it() {
    let (mine, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    authority(mine.path());
    authority(other.path());
    let server = server(&format!("--tls server.pem --client-ca {}", mine.path().join("ca.pem").display()));
    let tls = format!(
        "{HOME}\ntls = true\nserver_name = \"localhost\"\nca_file = \"{}\"\n",
        server.file("server.pem").display()
    );
    let with = |certificate: &Path, key: &Path| {
        Run::new(&server.toml("", &format!("{tls}cert_file = {certificate:?}\nkey_file = {key:?}")))
    };
    let own = |dir: &tempfile::TempDir| with(&dir.path().join("own.pem"), &dir.path().join("own.key"));
    assert_eq!(own(&mine).discover().unwrap().complete, Some(true));

    let (refused, text, hint) = error(Run::new(&server.toml("", &tls)).discover());
    assert_eq!(refused.exit(), Exit::Refused, "{text}");
    assert!(text.ends_with("the server wants a certificate of this client"), "{text}");
    assert!(hint.starts_with("cert_file and key_file"), "{hint}");
    let (refused, text, _) = error(own(&other).discover());
    assert_eq!(refused.exit(), Exit::Refused, "{text}");
    assert!(text.contains("certificate of this client"), "{text}");

    let dir = mine.path();
    for (certificate, key, why) in [
        (dir.join("own.pem"), dir.join("ca.key"), "it is not the key of the certificate"),
        (dir.join("own.pem"), dir.join("own-pkcs1.key"), "openssl pkcs8 -topk8 -nocrypt makes one"),
        (dir.join("own.pem"), dir.join("none.key"), "none.key: no such file"),
        (dir.join("own.key"), dir.join("own.key"), "cert_file"),
        (dir.to_owned(), dir.join("own.key"), "it is no file"),
    ] {
        let (bad, text, _) = error(with(&certificate, &key).discover());
        assert!(matches!(bad, BusError::Local { .. }) && text.contains(why), "{text}");
    }
}
