//! A short run of the kill scenario; `torture kill` runs it in full.

use sealpost_harness::cli::Programs;
use sealpost_torture::kill::{Plan, run};

#[test]
fn under_kills_every_taken_message_is_shown_once_and_in_order() {
    let programs = Programs::find(std::env::var_os("SEALPOST_TEST_PROGRAMS").map(Into::into)).unwrap();
    let plan = Plan { messages: 120, kills: 15, accepted_kills: 3, seed: 7 };
    let report = run(&programs, &plan).unwrap();
    assert!(report.is_clean(), "{report}");
    println!("{report}");
}
