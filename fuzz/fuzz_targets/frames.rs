//! Frames of the stream in both directions: a frame that decodes encodes to bytes that decode to the same frame.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sealpost_api::frames::{ClientFrame, ServerFrame};

fuzz_target!(|data: &[u8]| {
    if let Ok(frame) = ClientFrame::decode(Bytes::copy_from_slice(data)) {
        assert!(ClientFrame::decode(frame.encode()).is_ok_and(|again| again.encode() == frame.encode()));
    }
    if let Ok(frame) = ServerFrame::decode(Bytes::copy_from_slice(data)) {
        assert!(ServerFrame::decode(frame.encode()).is_ok_and(|again| again.encode() == frame.encode()));
    }
});
