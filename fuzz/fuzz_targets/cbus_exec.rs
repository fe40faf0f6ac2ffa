//! What a child with a `ready>` prompt says.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| ew_bus::fuzzing::exec(text));
