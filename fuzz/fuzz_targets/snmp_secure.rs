//! Datagrams of SNMPv3: read or refused, encrypted or not; the header comes out as it went in.
#![no_main]

use ew_energy::wire::secure;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|datagram: &[u8]| {
    let Ok(envelope) = secure::open(datagram) else { return };
    assert!(envelope.signature.end <= datagram.len());
    let header = envelope.header.clone();
    let again = secure::seal(&header, envelope.signature.len(), &[0x30, 0]);
    assert_eq!(secure::open(&again).map(|envelope| envelope.header), Ok(header));
    // The cipher stands for itself, so that what is inside is reached.
    let _ = envelope.pdu(|_, data| Ok(data.to_vec()));
});
