//! How the sources are built: arrows between files point one way.

use std::path::Path;

use sealpost_harness::sources::{Sources, SourcesError};

/// The longest file, in lines.
const LINES_MAX: usize = 500;
/// The median of all files, in lines.
const LINES_MEDIAN_MAX: usize = 150;

fn sources() -> Result<Sources, SourcesError> {
    Sources::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

#[test]
fn no_file_of_the_command_line_leads_back_to_itself() {
    let circles = sources().unwrap().circles();
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn nothing_but_the_list_of_commands_and_other_commands_uses_a_command() {
    let sources = sources().unwrap();
    let commands = Path::new("commands");
    let strangers: Vec<_> = sources
        .arrows()
        .iter()
        .filter(|arrow| arrow.to.starts_with(commands) && !arrow.from.starts_with(commands))
        .filter(|arrow| arrow.from != Path::new("commands.rs"))
        .collect();
    assert!(strangers.is_empty(), "{strangers:#?}");
    // The look would find such an arrow: the list has many.
    assert!(sources.arrows().iter().any(|arrow| arrow.to.starts_with(commands)));
}

#[test]
fn files_are_short() {
    let mut lines: Vec<usize> = sources().unwrap().files().iter().map(|file| file.lines).collect();
    lines.sort_unstable();
    assert!(lines[lines.len() / 2] <= LINES_MEDIAN_MAX && lines[lines.len() - 1] <= LINES_MAX, "{lines:?}");
}
