//! SNMP's messages as bytes, both ways.
//!
//! Decoders take whatever a datagram holds: they never panic, and memory is never set aside for a length
//! that the far side names, only for what is there.

pub mod ber;
pub mod community;
pub mod pdu;
pub mod secure;

pub use ber::Malformed;
pub use pdu::{Kind, Pdu, TEXT_BYTES_MAX};
