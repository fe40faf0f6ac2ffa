//! EnergyWise switches that answer SNMP v1 (RFC 1157), v2c (RFC 1901, RFC 3416) and v3 (RFC 3412, RFC 3414)
//! over UDP.
//!
//! A datagram goes through its envelope (`community` or `usm`), `message` (what is asked), `agent` (the answer from a `mib`, and from its `flaw`s),
//! `wire` (what becomes of the answer) and `server` (sockets and delays).

mod agent;
mod announce;
mod ber;
mod community;
mod drift;
mod fault;
mod flaw;
mod message;
mod mib;
mod model;
mod oid;
mod server;
mod snmprec;
mod start;
mod usm;
mod value;
mod wire;

pub(crate) use announce::announce;
pub(crate) use fault::FaultSpec;
pub(crate) use start::start;
pub(crate) use usm::UserSpec;
