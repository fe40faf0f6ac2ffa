//! The command line.

use crate::cbus_cli::CbusCliOptions;
use crate::cgate::CgateOptions;
use crate::pci::PciOptions;
use crate::snmp::{FaultSpec, UserSpec};
use clap::{Parser, Subcommand, ValueEnum};
use ew_cli::Common;
use ew_core::{Exit, Span};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Most switches with a socket, and so a thread, each.
pub(crate) const SWITCHES_BY_PORT_MAX: u16 = 1000;

/// The domain of generated switches.
const DOMAIN: &str = "com.example.hq";

/// The community of switches that are told apart by port.
const COMMUNITY: &str = "public";

/// Simulators of site gear with faults, for trials and tests
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, after_help = top_help())]
pub struct Args {
    /// What every program has; the simulators read no configuration.
    #[command(flatten)]
    pub common: Common,
    /// Which gear; none with `--check`.
    #[command(subcommand)]
    pub(crate) simulator: Option<Simulator>,
}

/// One simulator a subcommand.
#[derive(Debug, Subcommand)]
pub(crate) enum Simulator {
    /// EnergyWise switches that answer SNMP v1, v2c and v3 over UDP
    #[command(after_help = snmp_help())]
    Snmp(SnmpOptions),
    /// A C-Bus command line with the ready> prompt, for backend exec: over a CNI or PCI, or a bus in memory
    #[command(name = "cbus-cli", after_help = cbus_cli_help())]
    CbusCli(CbusCliOptions),
    /// A C-Gate server with a small project, over TCP, TLS or stdin and stdout
    #[command(after_help = cgate_help())]
    Cgate(CgateOptions),
    /// A C-Bus PC interface: a CNI on TCP or a PCI on a pseudo-terminal, with a small network behind it
    #[command(after_help = pci_help())]
    Pci(PciOptions),
}

/// How switches in one process are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// A socket each, on consecutive ports (port 0: any free ones); all have one community
    Port,
    /// One socket for all; switch n answers to the community of its name: sw0001, sw0002, …
    Community,
}

/// `ew-sim snmp`.
#[derive(Debug, clap::Args)]
pub(crate) struct SnmpOptions {
    /// Where the first switch listens; port 0 takes any free one
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,

    /// How many switches: sw0001, sw0002, … (up to 1000 by port, 9999 by community)
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=9999))]
    pub(crate) switches: u16,

    /// How the switches are told apart
    #[arg(long, value_enum, default_value_t = By::Port)]
    pub(crate) by: By,

    /// The community of every switch with `--by port` [default: public]
    #[arg(long, value_name = "TEXT")]
    community: Option<String>,

    /// Serve these rows (snmpsim's .snmprec format: OID|TAG|VALUE) rather than generated ones; of several
    /// switches each has its own name in sysName and all else alike
    #[arg(long, value_name = "FILE", conflicts_with_all = ["domain", "entities"])]
    pub(crate) data: Option<PathBuf>,

    /// The EnergyWise domain of generated switches [default: com.example.hq]
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,

    /// Entities of a generated switch besides itself
    #[arg(long, value_name = "K", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub(crate) entities: u32,

    /// Let usage wander around its start with every second, and sysUpTime run
    #[arg(long)]
    pub(crate) drift: bool,

    /// Other numbers and other luck, the same in each run for the same seed
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) seed: u64,

    /// A fault of one switch, or of `all`; may be repeated, later ones win
    #[arg(long = "fault", value_name = "KIND=SWITCH[:ARG]")]
    pub(crate) faults: Vec<FaultSpec>,

    /// A user of SNMPv3, who is served beside the community; may be repeated
    #[arg(long = "v3-user", value_name = "NAME[:AUTH:AUTHPASS[:PRIV:PRIVPASS]]")]
    pub(crate) v3_users: Vec<UserSpec>,

    /// Stop after this time [default: serve until SIGINT or SIGTERM]
    #[arg(long = "for", value_name = "DURATION")]
    pub(crate) for_time: Option<Span>,
}

impl SnmpOptions {
    /// The community of every switch that has a port of its own; an error text where it would have no effect.
    pub(crate) fn shared_community(&self) -> Result<&str, String> {
        match (&self.community, self.by) {
            (Some(_), By::Community) => {
                Err("--community goes with --by port; by community each switch answers to its own name"
                    .into())
            }
            (Some(community), By::Port) => Ok(community),
            (None, _) => Ok(COMMUNITY),
        }
    }

    /// The EnergyWise domain of generated switches.
    pub(crate) fn domain(&self) -> &str {
        self.domain.as_deref().unwrap_or(DOMAIN)
    }
}

fn top_help() -> String {
    format!(
        "\
Example:
  ew-sim snmp --listen 127.0.0.1:16161

`ew-sim snmp --help` tells more, and so with the others.

{}",
        Exit::HELP
    )
}

fn snmp_help() -> String {
    format!(
        "\
Faults (PERCENT is how often, 100 if not given; the same times in each run for the same --seed):
  silent=SWITCH                 never answers
  slow=SWITCH:DURATION          answers that much later; the other switches do not wait for it
  lossy=SWITCH:PERCENT          loses requests
  duplicating=SWITCH[:PERCENT]  sends answers twice
  truncated=SWITCH[:PERCENT]    sends only the first half of answers
  corrupt=SWITCH[:PERCENT]      changes one to three bytes of answers
  wrong-domain=SWITCH[:NAME]    has another cewDomainName than is announced
  non-increasing=SWITCH[:HOW]   GETNEXT and GETBULK go wrong at the second row of a table's
                                column: repeat (it again; the default) or back (the one before)
  too-big=SWITCH[:N]            answers tooBig where over N (10) repetitions or names are asked for

SNMPv3, with --by port; each switch is an engine of its own:
  AUTH  md5, sha, sha224, sha256, sha384, sha512
  PRIV  des, aes, aes192, aes256; aes192c, aes256c: with keys made longer as Cisco does
  A user is served at the level of the passwords given; below it the answer is authorizationError.

Once every switch answers, stdout has for each a line `NAME ADDRESS COMMUNITY DOMAIN`, then the
line `ready`; with --json instead one line:
  {{\"switches\":[{{\"name\":…,\"address\":…,\"community\":…,\"domain\":…}}]}}

Examples:
  ew-sim snmp --listen 127.0.0.1:16161
  snmpbulkwalk -v2c -c public 127.0.0.1:16161 1.3.6.1.4.1.9.9.683
  ew-sim snmp --listen 127.0.0.1:16161 --v3-user poller:sha256:authpass1:aes:privpass1
  snmpget -v3 -l authPriv -u poller -a SHA-256 -A authpass1 -x AES -X privpass1 \\
      127.0.0.1:16161 1.3.6.1.2.1.1.5.0
  ew-sim snmp --listen 127.0.0.1:16161 --switches 100 --by community --drift \\
      --fault silent=sw0002 --fault slow=sw0003:500ms --fault lossy=all:5

{}",
        Exit::HELP
    )
}

fn cbus_cli_help() -> String {
    format!(
        "\
Commands on stdin, one a line; each reply ends with a line ready>:
  D                   what is on the bus: unit:N,network:PATH[,apps:N,… | ,groups:N,…]
  Ga=APP,g=GROUP      a level: level:N
  Sa=APP,g=GROUP,l=N  sets it
What cannot be done is answered with error: and the reason. Over a real interface D takes a minute or two
(raise reply_timeout of the bus), and levels are those of the scan for a minute.

Examples:
  ew-sim cbus-cli --fake
  command = [\"ew-sim\", \"cbus-cli\", \"192.0.2.20:10001\"]   in [cbus.backend.exec]
  command = [\"ew-sim\", \"cbus-cli\", \"/dev/ttyS0\"]

{}",
        Exit::HELP
    )
}

fn cgate_help() -> String {
    format!(
        "\
Faults (COMMAND is the first words of the commands that it is about, as in denied=PROJECT):
  silent-banner        accepts and says nothing, as to a machine that is not in the access list
  tls-port             says nothing, and a TLS alert to whoever speaks in the clear
  refused              421 in place of the banner
  cut=COMMAND[:N]      the connection ends amid the reply, N times
  stalled=COMMAND      no reply
  denied=COMMAND       420; unsupported=COMMAND 402; broken=COMMAND 500
  hole=COMMAND         a row of 408 amid the reply, which ends well
  syncing[=N]          networks are being synchronised, until asked for their state N times
  closed               networks are closed until NET OPEN
  not-loaded           the project is not loaded until PROJECT LOAD
  bad-group=GROUP      408 for its level, amid good rows
  lost-group=GROUP     its level is 0 and its state error
  events               events of all kinds between the lines
  xml-bytes=N          the tag database is one line of N bytes
  bomb                 entities before the tag database
  bare-lf              every line ends with LF alone
  case=upper|lower     parameters come back in that case
  slow=DURATION        before each reply
  pieces=N             all that is sent goes in pieces of N bytes

Once it answers, stdout has the line `PROJECT ADDRESS plain|tls` and the line `ready`; with --json
instead one line: {{\"project\":…,\"address\":…,\"tls\":…}}

Examples:
  ew-sim cgate --listen 127.0.0.1:20023
  ew-sim cgate --tls ca.pem --access monitor --fault syncing=3
  command = [\"ew-sim\", \"cgate\", \"--stdio\"]   in [cbus.backend.cgate]

{}",
        Exit::HELP
    )
}

fn pci_help() -> String {
    format!(
        "\
The network has relays, dimmers, a key input, a sensor and groups of lighting 56 and 57, one of them in
conflict (12), one destroyed by noise (13), one of a unit that tells on and off only (30).

Faults (N is how many times, 1 if not given; those that count look at commands for the bus):
  reject[=N]            says ! to a command
  outcome=SIGN[:N]      confirms as unacknowledged (#), corrupted ($), no-clock (%), too-long (') or
                        bad-checksum (!), and does not send
  unconfirmed[=N]       loses a confirmation
  late-confirmation     confirms after the reply in place of before it
  header=+1, header=-1  headers of statuses count a byte too many or too few
  foreign-status        another client's status, codings 40 and 47, stands before each of ours
  disorder              the lines of a status come last first
  ghost[=N]             a binary status has a group and a unit too many
  garble[=N]            the first line of a reply has a wrong checksum
  lost-plus             the power-up sign is one + only
  null                  a line `null` stands before each reply
  silent-unit=UNIT      is there and does not answer
  mute                  never says anything
  stubborn              acknowledges interface options 1 and does not take them
  power-cycle=N         is powered up anew at the Nth command
  hang-up[=N]           closes a connection at once
  old                   knows neither EXSTAT nor IDMON

Once it answers, stdout has a line `cni IP:PORT` or `pci DEVICE`, then the line `ready`; with --json
instead one line {{\"kind\":…,\"address\":…}}. One client at a time; a second is sent away.

Examples:
  ew-sim pci --listen 127.0.0.1:10001
  ew-sim pci --pty --fault ghost --fault outcome=no-clock:3

{}",
        Exit::HELP
    )
}
