//! What a row holds, and what an answer says of a name.

use super::ber::{self, tag};
use super::oid::Oid;
use std::sync::Arc;

/// Application-wide and context tags of SNMP values (RFC 2578, RFC 3416).
const IP_ADDRESS: u8 = 0x40;
const COUNTER32: u8 = 0x41;
const UNSIGNED32: u8 = 0x42;
const TIME_TICKS: u8 = 0x43;
const COUNTER64: u8 = 0x46;
const NO_SUCH_OBJECT: u8 = 0x80;
const NO_SUCH_INSTANCE: u8 = 0x81;
const END_OF_MIB_VIEW: u8 = 0x82;

/// The value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// INTEGER, Integer32.
    Integer(i32),
    /// OCTET STRING, and so BITS; shared, since thousands of rows say the same.
    Octets(Arc<[u8]>),
    /// NULL.
    Null,
    /// OBJECT IDENTIFIER.
    Oid(Oid),
    /// IpAddress.
    IpAddress([u8; 4]),
    /// Counter32.
    Counter32(u32),
    /// Gauge32, Unsigned32.
    Unsigned32(u32),
    /// TimeTicks, in hundredths of a second.
    TimeTicks(u32),
    /// Counter64, which v1 cannot carry.
    Counter64(u64),
}

impl Value {
    /// An OCTET STRING from text.
    pub(crate) fn text(text: &str) -> Value {
        Value::Octets(text.as_bytes().into())
    }

    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Value::Integer(number) => ber::put_integer(out, *number),
            Value::Octets(bytes) => ber::put(out, tag::OCTETS, bytes),
            Value::Null => ber::put(out, tag::NULL, &[]),
            Value::Oid(oid) => ber::put_oid(out, oid),
            Value::IpAddress(bytes) => ber::put(out, IP_ADDRESS, bytes),
            Value::Counter32(number) => ber::put_unsigned(out, COUNTER32, u64::from(*number)),
            Value::Unsigned32(number) => ber::put_unsigned(out, UNSIGNED32, u64::from(*number)),
            Value::TimeTicks(number) => ber::put_unsigned(out, TIME_TICKS, u64::from(*number)),
            Value::Counter64(number) => ber::put_unsigned(out, COUNTER64, *number),
        }
    }
}

/// What an answer says of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Its value.
    Value(Value),
    /// There is no such object at all.
    NoSuchObject,
    /// There is the object, but not this instance of it.
    NoSuchInstance,
    /// No row comes after it.
    EndOfMibView,
}

impl Answer {
    /// Appends the variable binding of `name`.
    pub(crate) fn put(&self, name: &Oid, out: &mut Vec<u8>) {
        let mut binding = Vec::with_capacity(name.arcs().len() + 24);
        ber::put_oid(&mut binding, name);
        match self {
            Answer::Value(value) => value.put(&mut binding),
            Answer::NoSuchObject => ber::put(&mut binding, NO_SUCH_OBJECT, &[]),
            Answer::NoSuchInstance => ber::put(&mut binding, NO_SUCH_INSTANCE, &[]),
            Answer::EndOfMibView => ber::put(&mut binding, END_OF_MIB_VIEW, &[]),
        }
        ber::put(out, tag::SEQUENCE, &binding);
    }
}
