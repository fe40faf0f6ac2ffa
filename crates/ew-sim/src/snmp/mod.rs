//! EnergyWise switches that answer SNMP v1 (RFC 1157) and v2c (RFC 1901, RFC 3416) over UDP.
//!
//! A datagram goes through `message` (what is asked), `agent` (the answer from a `mib`), `fault` (what becomes
//! of the answer) and `server` (sockets and delays).

mod agent;
mod announce;
mod ber;
mod drift;
mod fault;
mod message;
mod mib;
mod model;
mod oid;
mod server;
mod snmprec;
mod start;
mod value;

pub(crate) use announce::announce;
pub(crate) use fault::FaultSpec;
pub(crate) use start::start;
