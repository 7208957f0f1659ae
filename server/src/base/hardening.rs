//! What every command asks for before anything else, so that no secret leaves the process by accident.

use sealpost_sabotage::{Countermeasure, without};
use std::io::Write as _;
use std::panic::{self, PanicHookInfo};

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit, umask};

/// Makes new files private, forbids core dumps (they would hold keys, tokens and passwords), and keeps what somebody sent out
/// of the text of a panic.
pub fn begin() {
    umask(Mode::from_raw_mode(0o077));
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if setrlimit(Resource::Core, none).is_err() || set_dumpable_behavior(DumpableBehavior::NotDumpable).is_err() {
        // Nothing logs yet, and nobody may be there to read it.
        let _told = writeln!(std::io::stderr(), "sealpost-server: core dumps could not be forbidden");
    }
    hide_panics();
}

/// From now on a panic says where it happened and no more: its text may hold what somebody sent.
pub fn hide_panics() {
    if !planted_talk() {
        panic::set_hook(Box::new(say_where));
    }
}

/// Returns whether panics print their text, in a build that leaves the countermeasure out.
fn planted_talk() -> bool {
    without(Countermeasure::NoCoreDumps)
}

fn say_where(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map_or_else(String::new, |place| format!(" at {}:{}", place.file(), place.line()));
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("without a name").to_owned();
    let _told = writeln!(std::io::stderr(), "sealpost-server: a thread ({thread}) failed unexpectedly{place}");
}
