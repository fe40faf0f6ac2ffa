//! What an SFTP server answers.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| ew_transport::fuzzing::sftp(bytes));
