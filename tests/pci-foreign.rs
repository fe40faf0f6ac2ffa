//! Other people's C-Bus programs against ours, both ways: what is written after the same documents by different hands
//! should agree. They are fetched by `scripts/foreign-cbus.sh`; without them each test says so and passes.
//!
//! None of them is the standard: they are asked only what they are known to do right.
#![allow(clippy::unwrap_used)]

#[path = "support/pci.rs"]
mod pci;

use ew_bus::{BusError, GroupAddress};
use pci::{Sim, opened, options, with_bus};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const WITHIN: Duration = Duration::from_secs(120);

/// Where they are, or why not.
fn foreign() -> Option<PathBuf> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/foreign-cbus");
    if dir.join("commit").is_file() {
        return Some(dir);
    }
    // Not by println!, which a test that passes keeps to itself.
    let _ = writeln!(
        io::stderr(),
        "not cross-checked: no foreign programs; scripts/foreign-cbus.sh fetches them"
    );
    None
}

/// Ended when dropped.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn tools(dir: &std::path::Path, arguments: &[&str]) -> String {
    let output = Command::new(dir.join("target/debug/cbus-tools")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Their reader takes no confirmation that is glued to a reply, as real ones are, so none is sent.
#[test]
fn their_interrogator_finds_our_simulated_units() {
    let Some(dir) = foreign() else { return };
    let sim = Sim::with_faults(&["unconfirmed=100000"]);
    let arguments =
        ["interrogate", "--tcp", &sim.address, "--discover", "--max-address", "9", "--timeout", "1"];
    let found = tools(&dir, &arguments);
    let expect = "Unit 1 (0x01): RELDN12\nUnit 3 (0x03): DIMDN8\nUnit 4 (0x04): DIMDN4\nUnit 5 (0x05): KEYGL5\n\
                  Unit 6 (0x06): PCLOCAL4\nUnit 7 (0x07): RELAY4\nUnit 9 (0x09): SENTEMP\n";
    assert_eq!(found, expect);
}

/// Statuses that our simulator sends, and commands that our backend sends, as their decoder reads them.
#[test]
fn their_decoder_reads_our_lines() {
    let Some(dir) = foreign() else { return };
    let decoded = |arguments: &[&str]| {
        let text = tools(&dir, &[&["decode"], arguments].concat());
        text.lines().last().unwrap().to_owned()
    };
    let sim = Sim::start(&[]);
    let group = GroupAddress { network: "00".into(), application: 56, group: 10 };
    let (ended, seen) = with_bus(&sim, "applications = [56]", |bus| {
        bus.discover()?;
        bus.set(&group, 128)
    });
    ended.unwrap();
    let sent = seen.sent();
    let command = |start: &str| sent.iter().find(|line| line.starts_with(start)).unwrap().as_str();
    let levels = decoded(&["-c", command("\\05FF007307")]);
    assert!(
        levels.contains(r#"{"child_application":56,"group_address":0,"level_request":true,"#),
        "{levels}"
    );
    let ramp = decoded(&["-c", command("\\053800")]);
    assert!(ramp.contains(r#""duration":0,"group_address":10,"level":128,"sal":"lighting_ramp""#), "{ramp}");
    let came = seen.came();
    let line = |start: &str| came.iter().find(|line| line.starts_with(start)).unwrap().as_str();
    let levels = decoded(&[line("86101000F9073800")]);
    assert!(levels.contains(r#""levels":[null,255,0,null,null,null,null,null,null,null,128]"#), "{levels}");
    let switches = decoded(&[line("86101000F9003800")]);
    assert!(switches.contains(r#""group_states":[0,1,2,0,0,0,0,0,0,0,1,1,3,1,0,"#), "{switches}");
}

/// It knows reset, options and confirmations; neither recall nor statuses in SMART mode.
#[test]
fn their_simulator_confirms_what_we_set() {
    let Some(dir) = foreign() else { return };
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = Command::new(dir.join("target/debug/cbus-simulator"));
    command.args(["127.0.0.1", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
    let _peer = Peer(command.spawn().unwrap());
    let since = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(since.elapsed() < WITHIN, "cbus-simulator does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    let options = options(&format!("127.0.0.1:{port}"), "reply_timeout = \"500ms\"");
    let group = GroupAddress { network: "00".into(), application: 56, group: 33 };
    let (ended, _) = opened(ew_bus::open_hurried, &options, WITHIN, |bus| bus.set(&group, 255));
    assert_eq!(ended, Ok(None));
    let (ended, _) = opened(ew_bus::open_hurried, &options, WITHIN, |bus| bus.get(&group));
    assert!(
        matches!(&ended, Err(BusError::Unreachable { cause, .. }) if cause == "the interface confirms nothing"
        || cause == "no whole answer"),
        "{ended:?}"
    );
}

/// It answers direct questions without a checksum.
#[test]
fn their_emulator_says_what_it_is() {
    let Some(dir) = foreign() else { return };
    let script = "import asyncio\nfrom cbus.esp32.emulator import ESP32Emulator, ESP32EmulatorConfig\n\
                  async def main():\n    emulator = ESP32Emulator(ESP32EmulatorConfig(tcp_port=0))\n    \
                  await emulator.start()\n    print(emulator.actual_port, flush=True)\n    await asyncio.sleep(600)\n\
                  asyncio.run(main())\n";
    let mut peer = Command::new(dir.join("venv/bin/python"))
        .args(["-c", script])
        .env("PYTHONPATH", dir.join("source/python-legacy"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = peer.stdout.take().unwrap();
    let _peer = Peer(peer);
    let port = BufReader::new(stdout).lines().next().unwrap().unwrap();
    let options = options(&format!("127.0.0.1:{port}"), "reply_timeout = \"500ms\"");
    let (ended, _) = opened(ew_bus::open_hurried, &options, WITHIN, |bus| bus.probe());
    assert_eq!(ended.unwrap(), ["type PC_CNIED", "firmware 5.5.00", "options not told"]);
}
