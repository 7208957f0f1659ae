//! Process settings that every command makes first, so that no secret leaves the process by accident.

use sealpost_sabotage::{Countermeasure, without};
use std::io::Write as _;
use std::panic::{self, PanicHookInfo};

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit, umask};

/// Makes new files private, forbids core dumps (they would contain keys, tokens and passwords), and keeps input of
/// others out of panic messages.
pub fn begin() {
    umask(Mode::from_raw_mode(0o077));
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if setrlimit(Resource::Core, none).is_err() || set_dumpable_behavior(DumpableBehavior::NotDumpable).is_err() {
        // Nothing logs yet, and standard error may have no reader.
        let _told = writeln!(std::io::stderr(), "sealpost-server: core dumps could not be forbidden");
    }
    hide_panics();
}

/// Sets a panic hook that prints only the source line, because the message can contain input of others.
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
