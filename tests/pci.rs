//! The PCI and CNI backend of `ew-bus` against `ew-sim pci`, a process of its own over TCP or a pseudo-terminal. The
//! simulator shares no code with the backend; it is written after the vendor's documents.
#![allow(clippy::unwrap_used)]

#[path = "support/pci.rs"]
mod pci;

use ew_bus::{Bus, Discovery, Group, GroupAddress, GroupState, LevelSource, Levels};
use ew_core::Exit;
use pci::{Sim, opened, options, with_bus};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

fn discover(sim: &Sim) -> Discovery {
    with_bus(sim, "", |bus| bus.discover()).0.unwrap()
}

fn group(application: u8, group: u8) -> GroupAddress {
    GroupAddress { network: "00".into(), application, group }
}

/// What a discovery says of a group, in short.
fn short(group: &Group) -> (u8, u8, Option<u8>, LevelSource, GroupState) {
    (group.application, group.address, group.level, group.level_source, group.state)
}

const EXPECT: [(u8, u8, Option<u8>, LevelSource, GroupState); 12] = [
    (56, 1, Some(255), LevelSource::Level, GroupState::Ok),
    (56, 2, Some(0), LevelSource::Level, GroupState::Ok),
    (56, 10, Some(128), LevelSource::Level, GroupState::Ok),
    (56, 11, Some(87), LevelSource::Level, GroupState::Ok),
    (56, 12, None, LevelSource::None, GroupState::Conflict),
    (56, 13, None, LevelSource::None, GroupState::Corrupt),
    (56, 20, Some(1), LevelSource::Level, GroupState::Ok),
    (56, 30, None, LevelSource::Binary, GroupState::On),
    (56, 40, None, LevelSource::None, GroupState::Absent),
    (56, 254, Some(99), LevelSource::Level, GroupState::Ok),
    (57, 21, Some(64), LevelSource::Level, GroupState::Ok),
    (202, 7, None, LevelSource::Binary, GroupState::Off),
];

const WITHOUT_LEVEL: &str = "2 of 12 groups have no level: 00/56/12, 00/56/13";

/// All that the simulated network has, and no more: two of its groups never tell a level.
fn assert_whole(found: &Discovery, why: &str) {
    assert_eq!(found.incomplete_reasons, [WITHOUT_LEVEL], "{why}");
    assert_eq!(found.complete, Some(false), "{why}");
    assert_eq!(found.groups.iter().map(short).collect::<Vec<_>>(), EXPECT, "{why}");
    let units: Vec<_> = found
        .units
        .iter()
        .map(|u| {
            (
                u.address,
                u.kind.as_deref().unwrap(),
                u.firmware.as_deref().unwrap(),
                u.serial.as_deref().unwrap(),
            )
        })
        .collect();
    let expect = [
        (1, "RELDN12", "2.5.00", "18B30001"),
        (3, "DIMDN8", "1.2.66", "18B30003"),
        (4, "DIMDN4", "2.1.00", "18B30004"),
        (5, "KEYGL5", "5.4.00", "18B30005"),
        (6, "PCLOCAL4", "4.1.00", "18B30006"),
        (7, "RELAY4", "1.0.04", "18B30007"),
        (9, "SENTEMP", "1.1.00", "18B30009"),
        (16, "PC_CNIED", "5.5.00", "18B30010"),
    ];
    assert_eq!(units, expect, "{why}");
    let links: Vec<_> =
        found.unit_groups.iter().map(|link| (link.unit, link.application, link.group)).collect();
    let (lighting, trigger) = (Some(56), Some(202));
    let expect = [
        (1, lighting, 1),
        (1, lighting, 2),
        (3, lighting, 10),
        (3, lighting, 11),
        (3, lighting, 12),
        (3, lighting, 13),
        // Of two applications it is not told which.
        (4, None, 20),
        (4, None, 21),
        (5, lighting, 1),
        (5, lighting, 10),
        (5, lighting, 40),
        (6, trigger, 7),
        (7, lighting, 30),
    ];
    assert_eq!(links, expect, "{why}");
}

#[test]
fn a_cni_is_discovered_whole() {
    let sim = Sim::start(&[]);
    let (found, seen) = with_bus(&sim, "", |bus| bus.discover());
    let found = found.unwrap();
    assert_whole(&found, "");
    assert_eq!((found.backend.as_str(), sim.kind.as_str()), ("cni", "cni"));
    assert_eq!(found.endpoint, format!("cni {}", sim.address));
    assert_eq!(found.server_banner.as_deref(), Some("PC_CNIED 5.5.00"));
    let applications: Vec<_> =
        found.applications.iter().map(|a| (a.address, a.kind.as_deref().unwrap())).collect();
    assert_eq!(applications, [(56, "lighting"), (57, "lighting"), (202, "trigger"), (228, "measurement")]);
    let dimmer = &found.units[1];
    assert_eq!((dimmer.volts, dimmer.volts_rule.as_deref()), (Some(25.7), Some("raw / 6.375")));
    assert_eq!(found.units[2].applications, Some(vec![56, 57]));
    let reason =
        |address: u8| found.groups.iter().find(|g| g.address == address).unwrap().reason.clone().unwrap();
    assert!(reason(12).contains("two outputs disagree"), "{}", reason(12));
    assert!(reason(13).contains("noise"), "{}", reason(13));
    assert!(reason(30).contains("answers no level requests"), "{}", reason(30));

    // Nothing was written but the two options, and never the one that outlives a run.
    assert_eq!(seen.sent_with("A341"), 0);
    assert_eq!(seen.sent_with("@A342000A"), 1);
    assert_eq!(
        seen.sent().iter().filter(|line| line.starts_with("\\0538") || line.starts_with("\\0539")).count(),
        0
    );
    // 3 for units and for each application, 8 for each with levels.
    assert_eq!(seen.sent_with("05FF007A"), 3 + 3 * 3);
    assert_eq!(seen.sent_with("05FF007307"), 2 * 8);
    let notes = seen.notes.borrow();
    assert!(notes[0].contains("35 s for an application"), "{notes:?}");
    assert!(notes[1].contains("units: 8; applications [56, 57, 202, 228]: about 35 s"), "{notes:?}");
}

#[test]
fn a_pci_on_a_serial_line_is_the_same() {
    let sim = Sim::start(&["--pty"]);
    // Twice: the port is given back.
    for _ in 0..2 {
        let found = discover(&sim);
        assert_whole(&found, "pty");
        assert_eq!(found.backend, "pci");
        assert_eq!(found.endpoint, format!("pci {}", sim.address));
    }
}

#[test]
fn an_interface_with_its_bad_days_says_the_same_in_the_end() {
    let faults: &[&[&str]] = &[
        &["late-confirmation"],
        &["header=+1"],
        &["header=-1"],
        &["foreign-status"],
        &["disorder", "null"],
        &["ghost"],
        &["garble=2"],
        &["lost-plus"],
        &["reject=2"],
        &["unconfirmed=3"],
        &["outcome=unacknowledged"],
        &["outcome=corrupted:2"],
        &["outcome=no-clock"],
        &["outcome=bad-checksum"],
        &["power-cycle=6"],
        &["power-cycle=40", "disorder", "foreign-status", "header=+1"],
        &["old"],
    ];
    thread::scope(|scope| {
        for faults in faults {
            scope.spawn(move || {
                let sim = Sim::with_faults(faults);
                assert_whole(&discover(&sim), &faults.join(" "));
            });
        }
    });
}

#[test]
fn an_interface_that_was_powered_up_anew_is_set_up_anew() {
    let sim = Sim::with_faults(&["power-cycle=6"]);
    let (found, seen) = with_bus(&sim, "", |bus| bus.discover());
    assert_whole(&found.unwrap(), "power-cycle");
    assert_eq!((seen.sent_with("~~~"), seen.sent_with("@A3300058")), (2, 2));
}

#[test]
fn a_unit_that_says_nothing_is_named_and_the_rest_is_kept() {
    let sim = Sim::with_faults(&["silent-unit=5"]);
    let found = discover(&sim);
    assert_eq!(found.complete, Some(false));
    let without = WITHOUT_LEVEL.replace("12 groups", "11 groups");
    assert_eq!(found.incomplete_reasons, ["unit 5 is there and does not answer", &without]);
    assert_eq!(found.units.len(), 8);
    assert_eq!((found.units[3].address, &found.units[3].kind), (5, &None));
    assert!(found.groups.iter().any(|g| short(g) == EXPECT[0]));
    // It was the only one that named group 40.
    assert!(found.groups.iter().all(|g| g.address != 40));
}

#[test]
fn what_was_found_before_the_deadline_is_kept() {
    let sim = Sim::with_faults(&["silent-unit=3"]);
    let options = sim.options("reply_timeout = \"60s\"");
    let (found, _) = opened(ew_bus::open_hurried, &options, Duration::from_secs(4), |bus| bus.discover());
    let found = found.unwrap();
    assert_eq!(found.complete, Some(false));
    assert_eq!(found.units[0].kind.as_deref(), Some("RELDN12"));
    let reasons = found.incomplete_reasons.join("; ");
    assert!(reasons.contains("7 units were not asked"), "{reasons}");
    assert!(reasons.contains("ask unit 3 for its type: the deadline of the run has passed"), "{reasons}");
}

#[test]
fn a_silent_interface_is_an_error_with_a_hint() {
    let sim = Sim::with_faults(&["mute"]);
    let (ended, _) = with_bus(&sim, "", |bus| bus.discover());
    let error = ended.unwrap_err();
    assert_eq!(error.to_string(), format!("cni {}: set up the interface: no answer", sim.address));
    assert_eq!(error.exit(), Exit::Unavailable);
    assert!(error.hint().unwrap().contains("is the bus powered"));
    let (ended, _) = with_bus(&sim, "", |bus| bus.probe());
    assert!(ended.unwrap_err().to_string().ends_with("ask for its type: no answer"));
}

#[test]
fn a_cni_that_is_taken_says_so() {
    let sim = Sim::with_faults(&["hang-up=100"]);
    let (ended, _) = with_bus(&sim, "", |bus| bus.get(&group(56, 1)));
    let error = ended.unwrap_err();
    assert!(error.hint().unwrap().contains("one client"), "{error} {:?}", error.hint());
    // A place that becomes free in time is taken.
    let sim = Sim::with_faults(&["hang-up=3"]);
    assert_eq!(with_bus(&sim, "", |bus| bus.get(&group(56, 1))).0, Ok(255));
    let (ended, _) = with_bus(&sim, "", |bus| {
        bus.get(&group(56, 1))?;
        let (second, _) = with_bus(&sim, "", |second| second.probe());
        assert!(second.unwrap_err().hint().unwrap().contains("one client"));
        bus.get(&group(56, 1))
    });
    assert_eq!(ended, Ok(255));
}

#[test]
fn a_port_is_for_one_at_a_time() {
    let sim = Sim::start(&["--pty"]);
    let (ended, _) = with_bus(&sim, "", |bus| {
        let (second, _) = with_bus(&sim, "", |second| second.probe());
        let error = second.unwrap_err();
        assert!(error.to_string().contains("(another program has it open)"), "{error}");
        bus.get(&group(56, 1))
    });
    assert_eq!(ended, Ok(255));
}

#[test]
fn where_nobody_listens_the_hint_is_the_same() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let options = options(&format!("127.0.0.1:{port}"), "");
    let (ended, _) = opened(ew_bus::open_hurried, &options, Duration::from_secs(60), |bus| bus.probe());
    let error = ended.unwrap_err();
    assert_eq!(error.to_string(), format!("cni 127.0.0.1:{port}: connect: connection refused"));
    assert!(error.hint().unwrap().contains("one client"));
}

/// As of a port of some other program's.
#[test]
fn what_speaks_and_says_nothing_of_an_interface_is_none() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        while std::io::Write::write_all(&mut client, b"!").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let options = options(&format!("127.0.0.1:{port}"), "");
    let (ended, _) = opened(ew_bus::open_hurried, &options, Duration::from_secs(60), |bus| bus.probe());
    let error = ended.unwrap_err();
    assert!(error.to_string().ends_with("it says nothing that an interface would"), "{error}");
    assert_eq!(error.exit(), Exit::Protocol);
}

#[test]
fn a_port_that_is_none_is_named() {
    let options = options("/nonexistent/ttyS9", "");
    let (ended, _) = opened(ew_bus::open_hurried, &options, Duration::from_secs(60), |bus| bus.probe());
    let error = ended.unwrap_err();
    assert_eq!(error.to_string(), "pci /nonexistent/ttyS9: open the serial port: no such file or directory");
    assert_eq!(error.exit(), Exit::Io);
}

#[test]
fn options_that_do_not_take_are_found_by_asking_again() {
    let sim = Sim::with_faults(&["stubborn"]);
    let (ended, _) = with_bus(&sim, "", |bus| bus.discover());
    let error = ended.unwrap_err();
    assert!(error.to_string().ends_with("interface options 1 ($30) do not become 58"), "{error}");
    assert_eq!(error.exit(), Exit::Protocol);
}

#[test]
fn a_level_is_read_or_its_absence_explained() {
    let sim = Sim::start(&[]);
    let (ended, seen) = with_bus(&sim, "", |bus| {
        assert_eq!(bus.get(&group(56, 11))?, 87);
        assert_eq!(bus.get(&group(56, 2))?, 0);
        assert_eq!(bus.get(&GroupAddress { network: String::new(), ..group(56, 254) })?, 99);
        let why = |bus: &mut dyn Bus, address: GroupAddress| bus.get(&address).unwrap_err().to_string();
        assert!(why(bus, group(56, 12)).contains("two outputs disagree, or noise (FFFF)"));
        assert!(why(bus, group(56, 13)).contains("damaged by noise"));
        let unnamed = GroupAddress { network: String::new(), ..group(56, 12) };
        assert!(why(bus, unnamed).contains(": 00/56/12: two outputs"));
        assert!(why(bus, group(56, 99)).ends_with("00/56/99: no output unit tells a level of this group"));
        assert!(why(bus, group(202, 7)).contains("no lighting application"));
        assert!(why(bus, group(56, 255)).contains("255 stands for unused"));
        let exit = |bus: &mut dyn Bus, address: GroupAddress| bus.get(&address).unwrap_err().exit();
        assert_eq!((exit(bus, group(56, 99)), exit(bus, group(202, 7))), (Exit::NoData, Exit::Usage));
        let elsewhere = GroupAddress { network: "254".into(), ..group(56, 1) };
        assert_eq!(exit(bus, elsewhere.clone()), Exit::Usage);
        assert!(why(bus, elsewhere).contains("254/56/1: not the network of the interface"));
        Ok(())
    });
    ended.unwrap();
    // One block each; conflicts and noise three times.
    assert_eq!(seen.sent_with("05FF007307"), 3 + 3 + 3 + 3 + 1 + 1);
}

#[test]
fn a_level_is_set_and_is_then_there() {
    let sim = Sim::start(&[]);
    let (ended, seen) = with_bus(&sim, "", |bus| {
        for level in [128, 0, 255, 1] {
            assert_eq!(bus.set(&group(56, 10), level)?, None);
            assert_eq!(bus.get(&group(56, 10))?, level);
        }
        assert!(bus.set(&group(202, 7), 1).is_err());
        assert!(bus.set(&GroupAddress { network: "254".into(), ..group(56, 10) }, 1).is_err());
        Ok(())
    });
    ended.unwrap();
    // APP/02: ramp at once, OFF, ON.
    let writes: Vec<_> = seen.sent().into_iter().filter(|line| line.starts_with("\\0538")).collect();
    let heads: Vec<_> = writes.iter().map(|line| &line[1..line.len() - 3]).collect();
    assert_eq!(heads, ["053800020A80", "053800010A", "053800790A", "053800020A01"]);
}

#[test]
fn a_bus_without_clock_is_told_from_a_silent_one() {
    for (fault, cause, hint) in [
        ("outcome=no-clock:9", "the bus has no clock (%)", "no clock on the bus"),
        ("outcome=unacknowledged:9", "nobody on the bus acknowledges (#)", "nobody acknowledged"),
    ] {
        let sim = Sim::with_faults(&[fault]);
        let (ended, seen) = with_bus(&sim, "", |bus| bus.set(&group(56, 10), 5));
        let error = ended.unwrap_err();
        assert!(error.to_string().ends_with(cause), "{error}");
        assert!(error.hint().unwrap().contains(hint), "{:?}", error.hint());
        assert_eq!(seen.sent_with("\\0538"), 3, "three tries");
    }
    let sim = Sim::with_faults(&["outcome=too-long:9"]);
    let (ended, seen) = with_bus(&sim, "", |bus| bus.set(&group(56, 10), 5));
    assert!(ended.unwrap_err().to_string().ends_with("the interface finds it too long (')"));
    assert_eq!(seen.sent_with("\\0538"), 1, "it will not get shorter");
}

#[test]
fn a_poll_has_every_group_that_an_output_has_and_asks_for_no_more() {
    let sim = Sim::start(&[]);
    let rows = |levels: &Levels| levels.groups.iter().map(short).collect::<Vec<_>>();
    let (levels, seen) = with_bus(&sim, "", |bus| bus.levels(Some(&[56])));
    let levels = levels.unwrap();
    assert_eq!(levels.incomplete_reasons, [""; 0]);
    // The first status shows 30, which tells no level; two more confirm it.
    assert_eq!((seen.sent_with("05FF007A38"), seen.sent_with("05FF007307")), (3, 8));
    // Not what only a unit's memory has.
    let expect: Vec<_> = EXPECT.into_iter().filter(|g| g.0 == 56 && g.1 != 40).collect();
    assert_eq!(rows(&levels), expect);

    // Without any named: those that the units work in.
    let (levels, _) = with_bus(&sim, "", |bus| bus.levels(None));
    let expect: Vec<_> = EXPECT.into_iter().filter(|g| g.1 != 40).collect();
    assert_eq!(rows(&levels.unwrap()), expect);

    // The configuration's, where it has some.
    let (levels, seen) = with_bus(&sim, "applications = [57]", |bus| bus.levels(None));
    assert_eq!(rows(&levels.unwrap()), [EXPECT[10]]);
    // Where every group tells its level, once is enough.
    assert_eq!((seen.sent_with("05FF007A39"), seen.sent_with("05FF007307")), (1, 8));

    // What one sample only shows is noise.
    let sim = Sim::with_faults(&["ghost"]);
    let (levels, seen) = with_bus(&sim, "applications = [57]", |bus| bus.levels(None));
    assert_eq!(rows(&levels.unwrap()), [EXPECT[10]]);
    assert_eq!(seen.sent_with("05FF007A39"), 3);
}

#[test]
fn a_bridge_is_told_of_for_what_is_behind_it_is_not_seen() {
    let sim = Sim::with_faults(&["bridge=9"]);
    let found = discover(&sim);
    let [bridge] = &found.warnings.iter().filter(|w| w.text.contains("bridge")).collect::<Vec<_>>()[..]
    else {
        panic!("{:?}", found.warnings)
    };
    assert_eq!(bridge.object.as_deref(), Some("unit 9"));
    assert!(bridge.text.contains("the network behind it is not seen"), "{}", bridge.text);
    let quiet = discover(&Sim::start(&[]));
    assert!(quiet.warnings.iter().all(|w| !w.text.contains("bridge")), "{:?}", quiet.warnings);
}

#[test]
fn what_no_output_has_is_not_set() {
    let sim = Sim::start(&[]);
    let (ended, seen) = with_bus(&sim, "", |bus| {
        let error = bus.set(&group(56, 99), 5).unwrap_err();
        assert!(
            error.to_string().ends_with("00/56/99: no output unit has this group, so nothing was sent"),
            "{error}"
        );
        Ok(())
    });
    ended.unwrap();
    assert_eq!(seen.sent_with("\\0538"), 0);
    // One that tells on and off only is there.
    let (ended, seen) = with_bus(&sim, "", |bus| bus.set(&group(56, 30), 0));
    assert_eq!(ended, Ok(None));
    assert_eq!(seen.sent_with("\\0538"), 1);
}

#[test]
fn a_probe_reads_only_and_the_interface_is_left_as_it_was() {
    let sim = Sim::start(&[]);
    // Another program's mode: SRCHK, SMART, MONITOR, IDMON, CONNECT.
    let mut other = TcpStream::connect(&sim.address).unwrap();
    other.write_all(b"~~~\r@A3300079\r").unwrap();
    let mut said = String::new();
    while !said.contains("323000") {
        let mut piece = [0; 64];
        let count = other.read(&mut piece).unwrap();
        assert_ne!(count, 0, "closed after {said:?}");
        said += &String::from_utf8_lossy(&piece[..count]);
    }
    drop(other);

    let probe = || {
        let (lines, seen) = with_bus(&sim, "", |bus| bus.probe());
        (lines.unwrap(), seen)
    };
    let expect = ["type PC_CNIED", "firmware 5.5.00", "options $79 (CONNECT SRCHK SMART MONITOR IDMON)"];
    let (lines, seen) = probe();
    assert_eq!(lines, expect);
    assert_eq!(seen.sent(), ["@2101", "@2101DE", "@2102DD", "@1A3001B5"]);

    let first = discover(&sim);
    assert!(first.warnings.iter().any(|w| w.text.contains("options 3 ($42) were 00 and are now 0A")));
    assert_eq!(probe().0, expect);
    // What is there is not written again: it wears.
    let (second, seen) = with_bus(&sim, "", |bus| bus.discover());
    assert_whole(&second.unwrap(), "again");
    assert_eq!(seen.sent_with("A342"), 0);
}

#[test]
fn measurements_cannot_be_asked_for() {
    let sim = Sim::start(&[]);
    let (ended, seen) = with_bus(&sim, "", |bus| bus.measure());
    assert!(ended.unwrap_err().to_string().contains("not told when asked"));
    assert_eq!(seen.sent(), [""; 0]);
}

/// A lower bound only, which no slow machine can break.
#[test]
fn status_requests_of_one_application_are_3_s_apart() {
    let sim = Sim::start(&[]);
    let (ended, seen) = opened(ew_bus::open, &sim.options(""), Duration::from_secs(120), |bus| {
        bus.get(&group(56, 1))?;
        let asked = Instant::now();
        // The other application need not wait for the first.
        bus.get(&group(57, 21))?;
        bus.get(&group(56, 1))?;
        Ok(asked.elapsed())
    });
    // The first was asked before its answer came: half a second is plenty for that.
    assert!(ended.unwrap() > Duration::from_millis(2500));
    assert_eq!(seen.sent_with("05FF007307"), 3);
}

/// The exec dialect over this backend.
#[test]
fn cbus_cli_speaks_for_it() {
    let sim = Sim::start(&[]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_ew-sim"))
        .args(["cbus-cli", &sim.address])
        .env("EW_PCI_HURRY", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"Sa=56,g=10,l=7\nGa=56,g=10\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("level:7"), "{text}");
}
