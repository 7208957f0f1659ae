//! Request bodies, each read as every type that a route takes.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| sealpost_server::fuzzing::bodies(data));
