//! Datagrams of SNMPv1 and SNMPv2c: read or refused; what is a request again comes out as it went in.
#![no_main]

use ew_energy::Value;
use ew_energy::wire::{TEXT_BYTES_MAX, community};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|datagram: &[u8]| {
    for version in [community::V1, community::V2C] {
        let Ok(pdu) = community::open(version, datagram) else { continue };
        assert!(pdu.varbinds.len() <= datagram.len() / 4);
        for varbind in &pdu.varbinds {
            assert!((1..=128).contains(&varbind.oid.numbers().len()));
            if let Value::Text(text) = &varbind.value {
                assert!(text.len() <= TEXT_BYTES_MAX);
            }
        }
        if pdu.varbinds.iter().all(|varbind| varbind.value == Value::Absent) {
            let again = community::open(version, &community::seal(version, b"public", &pdu));
            assert_eq!(again.map(|pdu| pdu.request_id), Ok(pdu.request_id));
        }
    }
});
