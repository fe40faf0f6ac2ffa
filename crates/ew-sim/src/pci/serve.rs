//! Where clients come in: TCP as a CNI, one at a time, or a pseudo-terminal as a PCI.

use super::interface::Interface;
use crate::error::SimError;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

const READ_MAX: usize = 256;
/// How often a terminal that nobody has open is looked at.
const TICK: Duration = Duration::from_millis(10);
/// How often a second client looks whether the first has gone.
const GRACE_TICKS: u32 = 30;

/// Listens; a second client is sent away as long as there is a first.
pub(super) fn tcp(address: SocketAddr, interface: Interface) -> Result<SocketAddr, SimError> {
    let listen = |source| SimError::Listen { address, source };
    let listener = TcpListener::bind(address).map_err(listen)?;
    let bound = listener.local_addr().map_err(listen)?;
    let interface = Arc::new(Mutex::new(interface));
    let is_taken = Arc::new(AtomicBool::new(false));
    start(move || {
        for stream in listener.incoming().flatten() {
            // A client that has just gone away is noticed a moment later.
            if lock(&interface).hangs_up() || !(0..GRACE_TICKS).any(|_| takes(&is_taken)) {
                continue;
            }
            let (interface, is_taken) = (Arc::clone(&interface), Arc::clone(&is_taken));
            thread::spawn(move || {
                // A client that goes away is no matter.
                let _ = attend(stream, &interface);
                is_taken.store(false, Ordering::Release);
            });
        }
    })?;
    Ok(bound)
}

/// Whether the only place was free.
fn takes(is_taken: &AtomicBool) -> bool {
    let is_free = !is_taken.swap(true, Ordering::AcqRel);
    if !is_free {
        thread::sleep(TICK);
    }
    is_free
}

fn attend(mut stream: TcpStream, interface: &Mutex<Interface>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(lock(interface).greeting().as_bytes())?;
    let mut buffer = [0; READ_MAX];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        let said = lock(interface).feed(buffer.get(..count).unwrap_or_default());
        stream.write_all(said.as_bytes())?;
    }
}

/// Opens a pseudo-terminal and gives the name of its other end.
pub(super) fn pty(mut interface: Interface) -> Result<String, SimError> {
    let (mut master, name) = open_pty().map_err(|source| SimError::Terminal { source })?;
    start(move || {
        let mut buffer = [0; READ_MAX];
        let greeting = interface.greeting();
        let _ = master.write_all(greeting.as_bytes());
        loop {
            match master.read(&mut buffer) {
                Ok(count) => {
                    let said = interface.feed(buffer.get(..count).unwrap_or_default());
                    let _ = master.write_all(said.as_bytes());
                }
                // As long as nobody has the other end open.
                Err(_) => thread::sleep(TICK),
            }
        }
    })?;
    Ok(name)
}

/// Without echo and line editing, like a serial line.
fn open_pty() -> io::Result<(File, String)> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let name = ptsname(&master, Vec::new())?.into_string().map_err(io::Error::other)?;
    // The settings stay with the pair.
    let other_end = OpenOptions::new().read(true).write(true).open(&name)?;
    let mut settings = tcgetattr(&other_end)?;
    settings.make_raw();
    tcsetattr(&other_end, OptionalActions::Now, &settings)?;
    Ok((File::from(master), name))
}

fn start(work: impl FnOnce() + Send + 'static) -> Result<(), SimError> {
    thread::Builder::new().spawn(work).map(drop).map_err(|source| SimError::Thread { source })
}

fn lock(interface: &Mutex<Interface>) -> std::sync::MutexGuard<'_, Interface> {
    interface.lock().unwrap_or_else(PoisonError::into_inner)
}
