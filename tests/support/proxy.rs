//! A TCP proxy on loopback that makes a far side slow, silent or gone.
//!
//! Used by several test programs, each of which needs a part of it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What becomes of a connection; counts are bytes from the client to the server.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plan {
    /// Both sides are cut after so many bytes.
    pub cut_after: Option<u64>,
    /// Nothing moves any more, in either direction, after so many bytes.
    pub stall_after: Option<u64>,
    /// So many bytes a second, at most.
    pub rate: Option<u64>,
    /// Bytes from the server are lost after the client has sent so many, and the connection is cut with
    /// the first of them: the request was carried out and its answer never came.
    pub deafen_after: Option<u64>,
    /// The same, but the connection stays: an answer that is long in coming.
    pub mute_after: Option<u64>,
}

impl Plan {
    /// Everything passes.
    pub fn open() -> Plan {
        Plan::default()
    }

    pub fn cut_after(bytes: u64) -> Plan {
        Plan { cut_after: Some(bytes), ..Plan::default() }
    }

    pub fn stall_after(bytes: u64) -> Plan {
        Plan { stall_after: Some(bytes), ..Plan::default() }
    }

    pub fn rate(bytes_per_second: u64) -> Plan {
        Plan { rate: Some(bytes_per_second), ..Plan::default() }
    }

    pub fn deafen_after(bytes: u64) -> Plan {
        Plan { deafen_after: Some(bytes), ..Plan::default() }
    }

    pub fn mute_after(bytes: u64) -> Plan {
        Plan { mute_after: Some(bytes), ..Plan::default() }
    }
}

#[derive(Default)]
struct Shared {
    is_over: AtomicBool,
    up: AtomicU64,
    connections: AtomicUsize,
    /// A server spoke last.
    was_answered: AtomicBool,
    turns: AtomicUsize,
    plan: Mutex<Plan>,
    sockets: Mutex<Vec<TcpStream>>,
}

/// A proxy that runs until it is dropped.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<thread::JoinHandle<()>>,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1 and passes connections on to `target`.
    pub fn start(target: SocketAddr, plan: Plan) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { plan: Mutex::new(plan), ..Shared::default() });
        let inner = Arc::clone(&shared);
        let listener = thread::spawn(move || {
            for client in listener.incoming() {
                if inner.is_over.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(client) = client else { continue };
                inner.connections.fetch_add(1, Ordering::SeqCst);
                serve(client, target, &inner);
            }
        });
        Proxy { address, shared, listener: Some(listener) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What becomes of connections from now on.
    pub fn set_plan(&self, plan: Plan) {
        *self.shared.plan.lock().unwrap() = plan;
    }

    /// Bytes from clients to the server so far, over all connections.
    pub fn bytes_up(&self) -> u64 {
        self.shared.up.load(Ordering::SeqCst)
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How often a client spoke after the server had: each time it waited for an answer, which on a long line costs a
    /// round trip. With one connection at a time.
    pub fn turns(&self) -> usize {
        self.shared.turns.load(Ordering::SeqCst)
    }

    /// Waits until so many bytes have gone up; false after `limit`.
    pub fn wait_for_bytes_up(&self, bytes: u64, limit: Duration) -> bool {
        let step = Duration::from_millis(5);
        let mut waited = Duration::ZERO;
        while self.bytes_up() < bytes {
            if waited >= limit {
                return false;
            }
            thread::sleep(step);
            waited += step;
        }
        true
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        for socket in self.shared.sockets.lock().unwrap().drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

fn serve(client: TcpStream, target: SocketAddr, shared: &Arc<Shared>) {
    let Ok(server) = TcpStream::connect(target) else { return };
    let plan = *shared.plan.lock().unwrap();
    {
        let mut sockets = shared.sockets.lock().unwrap();
        for socket in [&client, &server] {
            let _ = socket.set_nodelay(true);
            sockets.push(socket.try_clone().unwrap());
        }
    }
    let sent = Arc::new(AtomicU64::new(0));
    let (shared_up, sent_up) = (Arc::clone(shared), Arc::clone(&sent));
    let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || up(from, to, plan, &shared_up, &sent_up));
    let shared = Arc::clone(shared);
    thread::spawn(move || down(server, client, plan, &shared, &sent));
}

fn up(mut from: TcpStream, mut to: TcpStream, plan: Plan, shared: &Shared, sent: &AtomicU64) {
    let mut piece = [0; 16 * 1024];
    let limit = plan.cut_after.or(plan.stall_after).unwrap_or(u64::MAX);
    loop {
        let left = limit.saturating_sub(sent.load(Ordering::SeqCst));
        if left == 0 {
            if plan.stall_after.is_some() {
                wait_for_the_end(shared);
            }
            break;
        }
        let room = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
        let count = match from.read(&mut piece[..room]) {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        if let Some(rate) = plan.rate {
            thread::sleep(Duration::from_secs_f64(count as f64 / rate as f64));
        }
        sent.fetch_add(count as u64, Ordering::SeqCst);
        shared.up.fetch_add(count as u64, Ordering::SeqCst);
        if shared.was_answered.swap(false, Ordering::SeqCst) {
            shared.turns.fetch_add(1, Ordering::SeqCst);
        }
        if to.write_all(&piece[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

fn down(mut from: TcpStream, mut to: TcpStream, plan: Plan, shared: &Shared, sent: &AtomicU64) {
    let mut piece = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut piece) {
        let so_far = sent.load(Ordering::SeqCst);
        if plan.stall_after.or(plan.mute_after).is_some_and(|limit| so_far >= limit) {
            wait_for_the_end(shared);
        }
        shared.was_answered.store(true, Ordering::SeqCst);
        if plan.deafen_after.is_some_and(|limit| so_far >= limit) || to.write_all(&piece[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

fn wait_for_the_end(shared: &Shared) {
    while !shared.is_over.load(Ordering::SeqCst) {
        thread::sleep(Duration::from_millis(5));
    }
}
