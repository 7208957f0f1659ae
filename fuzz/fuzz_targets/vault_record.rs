//! Records inside the encryption, and the rows of a vault.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| sealpost_client::engine::fuzzing::records(data));
