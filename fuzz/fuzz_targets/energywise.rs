//! A switch that answers each request with the next part of the input: its reading is whole or refused, in a
//! bounded number of requests.
#![no_main]

use ew_energy::wire::{Kind, Pdu, ber};
use ew_energy::{Agent, EnergyError, Oid, Value, VarBind, energywise};
use libfuzzer_sys::fuzz_target;

/// Two bytes of length before each answer, which is a PDU.
struct Script<'a> {
    rest: &'a [u8],
    requests: u32,
}

impl Script<'_> {
    fn answer(&mut self) -> Result<Vec<VarBind>, EnergyError> {
        self.requests += 1;
        let ended = |cause: &str| EnergyError::Breach {
            peer: self.peer().to_owned(),
            object: "script".to_owned(),
            cause: cause.to_owned(),
        };
        let Some((length, rest)) = self.rest.split_at_checked(2) else { return Err(ended("end")) };
        let length = usize::from(length[0]) << 8 | usize::from(length[1]);
        let (answer, rest) = rest.split_at(length.min(rest.len()));
        let pdu = Pdu::decode(&mut ber::Reader::new(answer)).map_err(|e| ended(&e.0))?;
        self.rest = rest;
        match pdu.kind {
            Kind::Response => Ok(pdu.varbinds),
            _ => Err(EnergyError::Device {
                peer: self.peer().to_owned(),
                object: "script".to_owned(),
                status: "tooBig",
            }),
        }
    }
}

impl Agent for Script<'_> {
    fn get(&mut self, _: &Oid, _: &str) -> Result<Value, EnergyError> {
        Ok(self.answer()?.pop().map_or(Value::Absent, |varbind| varbind.value))
    }

    fn get_bulk(&mut self, _: &[Oid], _: u32, _: &str) -> Result<Vec<VarBind>, EnergyError> {
        self.answer()
    }

    fn requests(&self) -> u32 {
        self.requests
    }

    fn peer(&self) -> &str {
        "fuzz:161"
    }
}

fuzz_target!(|script: &[u8]| {
    let mut agent = Script { rest: script, requests: 0 };
    let query = energywise::Query { domain: Some("com.a"), importance: 100, repetitions: 25, names: true };
    if let Ok(usage) = energywise::read(&mut agent, &query) {
        assert!(usage.watts.is_finite() && usage.watts >= 0.0);
    }
    // Each answer takes two bytes at least, and a refusal halves what is asked for.
    assert!(agent.requests as usize <= script.len() / 2 + 1);
});
