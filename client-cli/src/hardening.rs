//! What every command does before anything else, so that no secret leaves the process by accident.

use std::io::Write as _;
use std::panic::{self, PanicHookInfo};

use rustix::process::{Resource, Rlimit, setrlimit, umask};

/// Makes new files private, forbids core dumps (they would hold keys, texts and passwords), and keeps texts out of what a
/// panic says.
pub(crate) fn begin() {
    // Files that this program or a library creates are for this user alone.
    umask(rustix::fs::Mode::from_raw_mode(0o077));
    if forbid_cores().is_err() {
        let _told = writeln!(std::io::stderr(), "sealpost: core dumps could not be forbidden");
    }
    panic::set_hook(Box::new(say_where));
}

fn forbid_cores() -> rustix::io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    // A program that collects cores is not bound by the limit; this stops it.
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Says where a panic happened, and no more: its text may hold what somebody wrote.
fn say_where(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map_or_else(String::new, |place| format!(" at {}:{}", place.file(), place.line()));
    let _told = writeln!(std::io::stderr(), "sealpost: failed unexpectedly{place}; this is a bug, please report it");
}

#[cfg(test)]
mod tests {
    const PANICS: &str = "SEALPOST_TEST_PANICS";

    /// Runs this test again in a process of its own, because the hook holds for the whole process.
    #[test]
    fn a_panic_is_told_by_its_place_and_not_by_what_was_written() {
        if let Ok(payload) = std::env::var(PANICS) {
            super::begin();
            panic!("{payload}");
        }
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "hardening::tests::a_panic_is_told_by_its_place_and_not_by_what_was_written",
                "--nocapture",
            ])
            .env(PANICS, "canary text")
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        assert!(said.contains("failed unexpectedly at") && said.contains("hardening.rs:"), "{said}");
        assert!(!said.contains("canary"), "{said}");
    }
}
