//! `ew-sim pci`: a PC interface or CNI with a small network, written after the vendor's documents (Clipsal CBUS-SIUG
//! 1.17, CBUS-QS 2.0, APP/02) and not after the backends of `ew-bus`, which it is there to test.
//!
//! [`wire`] has the bytes, [`network`] the units and groups, [`interface`] turns characters into characters, [`serve`]
//! lets clients in.

mod fault;
mod interface;
mod network;
mod serve;
mod wire;

use crate::error::SimError;
use ew_core::Span;
use fault::Fault;
use interface::Interface;
use std::io::{self, Write};
use std::net::SocketAddr;

/// `ew-sim pci`.
#[derive(Debug, clap::Args)]
pub(crate) struct PciOptions {
    /// Where it listens as a CNI; port 0 takes any free one
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:0", conflicts_with = "pty")]
    listen: SocketAddr,

    /// A pseudo-terminal in place of TCP, as a PCI on a serial port
    #[arg(long)]
    pty: bool,

    /// A fault; may be repeated
    #[arg(long = "fault", value_name = "KIND[=ARG]")]
    faults: Vec<Fault>,

    /// Stop after this time [default: serve until SIGINT or SIGTERM]
    #[arg(long = "for", value_name = "DURATION")]
    pub(crate) for_time: Option<Span>,
}

/// Starts to answer; gives the kind of the backend for it and where it is.
pub(crate) fn start(options: &PciOptions) -> Result<(&'static str, String), SimError> {
    let interface = Interface::new(options.faults.clone());
    if options.pty {
        return Ok(("pci", serve::pty(interface)?));
    }
    Ok(("cni", serve::tcp(options.listen, interface)?.to_string()))
}

/// The ready sign: a line `KIND ADDRESS` and the line `ready`, or the same as one line of JSON.
pub(crate) fn announce(kind: &str, address: &str, json: bool, out: &mut dyn Write) -> io::Result<()> {
    let text = if json {
        format!("{}\n", serde_json::json!({ "kind": kind, "address": address }))
    } else {
        format!("{kind} {address}\nready\n")
    };
    out.write_all(text.as_bytes())?;
    out.flush()
}
