//! Records of a client: those inside the encryption, and those of its vault.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| sealpost_client::engine::fuzzing::records(data));
