//! What a profile needs of an agent.

use crate::{EnergyError, Oid};

/// A value as far as a profile cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// INTEGER, Counter32, Gauge32/Unsigned32, TimeTicks, and Counter64 as far as it fits.
    Integer(i64),
    /// OCTET STRING.
    Text(Vec<u8>),
    /// noSuchObject, noSuchInstance, NULL; in SNMPv1 noSuchName.
    Absent,
    /// endOfMibView: nothing follows.
    EndOfView,
    /// Any other type.
    Other,
}

/// An object and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VarBind {
    /// Which instance.
    pub oid: Oid,
    /// Its value.
    pub value: Value,
}

/// A device that answers for its objects. Every call is bounded in time by the agent itself; `object`
/// is the name of what is asked, for messages.
pub trait Agent {
    /// One instance; [`Value::Absent`] where the agent has none.
    fn get(&mut self, oid: &Oid, object: &str) -> Result<Value, EnergyError>;

    /// Several instances, by as few requests as the agent allows: a value for each, in their order.
    fn get_many(&mut self, oids: &[Oid], object: &str) -> Result<Vec<Value>, EnergyError> {
        oids.iter().map(|oid| self.get(oid, object)).collect()
    }

    /// What follows each of `after`, up to `repetitions` times, row by row: first the successor of each,
    /// then the successor of those, and so on. The last row may be cut off. At least one instance.
    fn get_bulk(
        &mut self,
        after: &[Oid],
        repetitions: u32,
        object: &str,
    ) -> Result<Vec<VarBind>, EnergyError>;

    /// [`Agent::get_many`] of scalars (instances that end with `.0`) and [`Agent::get_bulk`], by one request
    /// where the agent's version of SNMP has a way.
    fn get_with_bulk(
        &mut self,
        scalars: &[Oid],
        after: &[Oid],
        repetitions: u32,
        object: &str,
    ) -> Result<(Vec<Value>, Vec<VarBind>), EnergyError> {
        Ok((self.get_many(scalars, object)?, self.get_bulk(after, repetitions, object)?))
    }

    /// How many requests were sent so far, repeated ones included.
    fn requests(&self) -> u32;

    /// The far side as messages name it, such as `192.0.2.10:161`.
    fn peer(&self) -> &str;
}
