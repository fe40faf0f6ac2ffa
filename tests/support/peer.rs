//! An SNMP peer that answers as a test tells it to, over a socket of its own; its bytes are laid by hand.
#![allow(dead_code, reason = "each test uses its own part")]

use ew_energy::Oid;
use ew_energy::wire::{Kind, Pdu, community, secure};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

pub(crate) const DOMAIN_NAME: &[u32] = &[1, 3, 6, 1, 4, 1, 9, 9, 683, 1, 3, 0];
pub(crate) const ENT_ENTRY: &[u32] = &[1, 3, 6, 1, 4, 1, 9, 9, 683, 1, 6, 1];

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OCTETS: u8 = 0x04;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const GAUGE32: u8 = 0x42;
const OID: u8 = 0x06;
const RESPONSE: u8 = 0xa2;

/// What came, and from whom.
pub(crate) struct Asked {
    pub(crate) pdu: Pdu,
    pub(crate) from: SocketAddr,
    /// The header of SNMPv3, else an empty one.
    pub(crate) header: secure::Header,
}

/// Ended when dropped.
pub(crate) struct Peer {
    port: u16,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Peer {
    /// On a free port of 127.0.0.1; sends what `answer` makes of each request, in this order.
    pub(crate) fn start(mut answer: impl FnMut(&Asked) -> Vec<Vec<u8>> + Send + 'static) -> Peer {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let port = socket.local_addr().unwrap().port();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = spawn(move || {
            let mut buffer = [0; 65_536];
            while !stopped.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                for datagram in answer(&read(&buffer[..length], from)) {
                    // Who asked may be gone by now.
                    let _ = socket.send_to(&datagram, from);
                }
            }
        });
        Peer { port, stop, thread: Some(thread) }
    }

    /// The UDP port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn read(datagram: &[u8], from: SocketAddr) -> Asked {
    if let Ok(envelope) = secure::open(datagram) {
        let header = envelope.header.clone();
        // What is encrypted is not read; the header is enough to lie about it.
        let nothing = Pdu::request(Kind::Get, header.id, []);
        let pdu = envelope.pdu(|_, _| Err(ew_energy::wire::Malformed(String::new()))).unwrap_or(nothing);
        return Asked { pdu, from, header };
    }
    let pdu = community::open(community::V2C, datagram).unwrap();
    Asked { pdu, from, header: secure::Header::default() }
}

/// Tag, length, value.
pub(crate) fn tlv(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len();
    let mut bytes = match length {
        0..=0x7f => vec![tag, length as u8],
        _ => vec![tag, 0x83, (length >> 16) as u8, (length >> 8) as u8, length as u8],
    };
    bytes.extend_from_slice(contents);
    bytes
}

pub(crate) fn integer(number: i32) -> Vec<u8> {
    tlv(INTEGER, &number.to_be_bytes())
}

pub(crate) fn oid(numbers: &[u32]) -> Vec<u8> {
    let mut contents = vec![(numbers[0] * 40 + numbers[1]) as u8];
    for number in &numbers[2..] {
        for shift in [28, 21, 14, 7] {
            if number >> shift > 0 {
                contents.push(0x80 | (number >> shift & 0x7f) as u8);
            }
        }
        contents.push((number & 0x7f) as u8);
    }
    tlv(OID, &contents)
}

/// An object with a finished value.
pub(crate) type Cell = (Vec<u32>, Vec<u8>);

/// A response of SNMPv2c.
pub(crate) fn response(request_id: i32, cells: &[Cell]) -> Vec<u8> {
    failing(request_id, 0, cells)
}

/// The same with an error-status.
pub(crate) fn failing(request_id: i32, status: i32, cells: &[Cell]) -> Vec<u8> {
    let pdu = response_pdu(RESPONSE, request_id, status, cells);
    tlv(SEQUENCE, &[integer(1), tlv(OCTETS, b"public"), pdu].concat())
}

/// A PDU of any kind.
pub(crate) fn response_pdu(kind: u8, request_id: i32, status: i32, cells: &[Cell]) -> Vec<u8> {
    let list = cells.iter().flat_map(|(object, value)| tlv(SEQUENCE, &[oid(object), value.clone()].concat()));
    let list = tlv(SEQUENCE, &list.collect::<Vec<u8>>());
    tlv(kind, &[integer(request_id), integer(status), integer(0), list].concat())
}

/// `cewEntTable` of so many entities of 10 W with their domain's name, and one object behind it.
pub(crate) fn table(domain: &str, entities: u32) -> Vec<Cell> {
    let mut cells = vec![(DOMAIN_NAME.to_vec(), tlv(OCTETS, domain.as_bytes()))];
    for column in [4, 7, 8, 9, 12, 20] {
        for index in 1..=entities {
            let value = match column {
                4 => tlv(OCTETS, format!("e{index}").as_bytes()),
                7 => integer(0),
                8 => tlv(GAUGE32, &[10]),
                9 => integer(4),
                _ => integer(1),
            };
            cells.push(([ENT_ENTRY, &[column, index]].concat(), value));
        }
    }
    cells.push((vec![1, 3, 6, 1, 4, 1, 9, 9, 684, 0], integer(1)));
    cells
}

/// What an agent of these objects, which are in order, answers to a GETBULK.
pub(crate) fn honest(asked: &Asked, objects: &[Cell]) -> Vec<Cell> {
    let next = |after: &Oid| {
        let found = objects.iter().find(|(object, _)| object.as_slice() > after.numbers());
        found.cloned().unwrap_or_else(|| (after.numbers().to_vec(), vec![0x82, 0]))
    };
    let asked_for: Vec<Oid> = asked.pdu.varbinds.iter().map(|varbind| varbind.oid.clone()).collect();
    let (scalars, columns) = asked_for.split_at(asked.pdu.status as usize);
    let mut cells: Vec<Cell> = scalars.iter().map(next).collect();
    let mut at = columns.to_vec();
    for _ in 0..asked.pdu.index {
        for oid in &mut at {
            let cell = next(oid);
            *oid = Oid::new(&cell.0);
            cells.push(cell);
        }
        // RFC 3416, 4.2.3: an answer may end where nothing follows.
        if at.iter().all(|oid| objects.iter().all(|(object, _)| object.as_slice() <= oid.numbers())) {
            break;
        }
    }
    cells
}
