//! What a PCI or CNI says: signs, lines, statuses.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| ew_bus::fuzzing::pci(bytes));
