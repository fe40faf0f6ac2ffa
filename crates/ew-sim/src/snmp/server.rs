//! Sockets and delays: a thread for each socket, and one for all answers that leave later.

use super::agent::Agent;
use super::community::open;
use super::message::Version;
use super::usm::Engine;
use super::wire::{Delivery, Wire};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Largest request in bytes; longer ones are cut by the kernel and so not understood.
const REQUEST_BYTES_MAX: usize = 8192;
/// Most answers that wait at once (over 100 MB when all are full); more are lost, as on a congested line.
const WAITING_MAX: usize = 100_000;
/// A thread needs little more than its buffer, which is on the heap.
const STACK_BYTES: usize = 256 * 1024;

/// A switch and the line to it.
#[derive(Debug)]
pub(crate) struct Switch {
    /// Answers.
    pub(crate) agent: Agent,
    /// Speaks v3, where there are users; it has its socket to itself.
    pub(crate) engine: Option<Engine>,
    /// What becomes of the answers.
    pub(crate) wire: Wire,
}

/// The switches behind one socket, by community.
pub(crate) type Station = HashMap<Vec<u8>, Switch>;

/// Starts the thread that answers on `socket`, for as long as the process lives.
pub(crate) fn serve(
    socket: UdpSocket,
    station: Station,
    start: Instant,
    timer: Arc<Timer>,
) -> io::Result<()> {
    let socket = Arc::new(socket);
    thread::Builder::new().name("socket".into()).stack_size(STACK_BYTES).spawn(move || {
        let mut buffer = vec![0; REQUEST_BYTES_MAX];
        loop {
            match socket.recv_from(&mut buffer) {
                Ok((length, peer)) => {
                    let datagram = buffer.get(..length).unwrap_or_default();
                    for delivery in answer(datagram, &station, start.elapsed()) {
                        deliver(&socket, peer, delivery, &timer);
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // Nothing lasting is known here, but a loop must not run hot if there is.
                Err(_) => thread::sleep(Duration::from_millis(10)),
            }
        }
    })?;
    Ok(())
}

/// What leaves for a datagram; nothing for one that no switch understands or is meant by.
fn answer(datagram: &[u8], station: &Station, elapsed: Duration) -> Vec<Delivery> {
    let answered = match Version::of(datagram) {
        Ok(Version::V1 | Version::V2c) => by_community(datagram, station, elapsed),
        Ok(Version::V3) => by_engine(datagram, station, elapsed),
        Err(_) => None,
    };
    answered.map_or_else(Vec::new, |(switch, answer)| switch.wire.deliveries(answer))
}

fn by_community<'s>(
    datagram: &[u8],
    station: &'s Station,
    elapsed: Duration,
) -> Option<(&'s Switch, Vec<u8>)> {
    let (envelope, request) = open(datagram).ok()?;
    let switch = station.get(envelope.community)?;
    Some((switch, envelope.seal(&switch.agent.answer(&request, elapsed))))
}

fn by_engine<'s>(datagram: &[u8], station: &'s Station, elapsed: Duration) -> Option<(&'s Switch, Vec<u8>)> {
    let (switch, engine) = station.values().find_map(|switch| switch.engine.as_ref().map(|e| (switch, e)))?;
    let answer = engine.answer(datagram, elapsed, |request| switch.agent.answer(request, elapsed))?;
    Some((switch, answer))
}

fn deliver(socket: &Arc<UdpSocket>, peer: SocketAddr, delivery: Delivery, timer: &Timer) {
    if delivery.after.is_zero() {
        send(socket, peer, &delivery.datagram);
    } else if let Some(due) = Instant::now().checked_add(delivery.after) {
        timer.push(Waiting { due, socket: Arc::clone(socket), peer, datagram: delivery.datagram });
    }
}

fn send(socket: &UdpSocket, peer: SocketAddr, datagram: &[u8]) {
    // A datagram may be lost anywhere on its way, so also here: the client asks again.
    let _ = socket.send_to(datagram, peer);
}

/// An answer that leaves later.
#[derive(Debug)]
struct Waiting {
    due: Instant,
    socket: Arc<UdpSocket>,
    peer: SocketAddr,
    datagram: Vec<u8>,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Waiting) -> bool {
        self.due == other.due
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Waiting) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Waiting) -> std::cmp::Ordering {
        self.due.cmp(&other.due)
    }
}

/// Holds answers until they are due, so that a slow switch holds up no other.
#[derive(Debug, Default)]
pub(crate) struct Timer {
    waiting: Mutex<BinaryHeap<Reverse<Waiting>>>,
    earlier: Condvar,
}

impl Timer {
    /// Starts its thread, which lives as long as the process.
    pub(crate) fn start() -> io::Result<Arc<Timer>> {
        let timer = Arc::new(Timer::default());
        let own = Arc::clone(&timer);
        thread::Builder::new().name("timer".into()).stack_size(STACK_BYTES).spawn(move || {
            loop {
                let next = own.wait();
                send(&next.socket, next.peer, &next.datagram);
            }
        })?;
        Ok(timer)
    }

    fn push(&self, item: Waiting) {
        // No code that holds the lock can panic, and a heap is whole after any of its operations anyway.
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < WAITING_MAX {
            waiting.push(Reverse(item));
            self.earlier.notify_one();
        }
    }

    /// Sleeps until an answer is due, and takes it.
    fn wait(&self) -> Waiting {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let now = Instant::now();
            let pause = match waiting.pop() {
                Some(Reverse(first)) if first.due <= now => return first,
                Some(first) => {
                    let pause = first.0.due - now;
                    waiting.push(first);
                    Some(pause)
                }
                None => None,
            };
            waiting = match pause {
                Some(pause) => self
                    .earlier
                    .wait_timeout(waiting, pause)
                    .map_or_else(|e| e.into_inner().0, |(guard, _)| guard),
                None => self.earlier.wait(waiting).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timer_sends_in_order_of_time() {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let timer = Timer::start().unwrap();
        let start = Instant::now();
        for (millis, byte) in [(120, 3), (40, 1), (80, 2)] {
            let delivery = Delivery { after: Duration::from_millis(millis), datagram: vec![byte] };
            deliver(&socket, client.local_addr().unwrap(), delivery, &timer);
        }
        for expected in 1..=3 {
            let mut byte = [0];
            client.recv(&mut byte).unwrap();
            assert_eq!(byte, [expected]);
            assert!(start.elapsed() >= Duration::from_millis(40 * u64::from(expected)));
        }
    }
}
