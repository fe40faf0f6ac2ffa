//! What a C-Gate says: lines, replies, trees, levels, measurements, tags.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| ew_bus::fuzzing::cgate(bytes));
