//! A short run of the hostile generator; `torture hostile` runs it in full.

use sealpost_harness::cli::Programs;
use sealpost_torture::hostile::{Plan, run};

/// Hostile requests and frames in the short form. `SEALPOST_HOSTILE_REQUESTS=1000000` is the long one.
const REQUESTS: u64 = 20_000;

#[test]
fn hostile_requests_and_frames_make_no_panic_no_unexplained_5xx_and_disturb_nobody() {
    let programs = Programs::find(std::env::var_os("SEALPOST_TEST_PROGRAMS").map(Into::into)).unwrap();
    let requests = std::env::var("SEALPOST_HOSTILE_REQUESTS").map_or(REQUESTS, |text| text.parse().unwrap());
    let report = run(&programs, &Plan { requests, messages: 10, seed: 7 }).unwrap();
    assert!(report.is_clean(), "{report}");
    println!("{report}");
}
