//! The engine's house, read from its sources: one file hands on, parts own their state, and nothing goes in a circle.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use sealpost_harness::sources::{Arrow, Sources};

/// The parts. Each is a file of this name, and what lies in the folder beside it.
const PARTS: [&str; 7] = ["account", "directory", "sessions", "outbox", "inbox", "timeline", "link"];

/// Lines that a product file may have.
const LINES_MAX: usize = 500;
/// Lines that half of the product files may have.
const MEDIAN_LINES_MAX: usize = 150;

static SOURCES: LazyLock<Sources> =
    LazyLock::new(|| Sources::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap());

/// Returns the part that a file belongs to.
fn part_of(file: &Path) -> Option<&'static str> {
    let inside = file.strip_prefix("engine").ok()?;
    let first = inside.components().next()?.as_os_str().to_str()?;
    PARTS.into_iter().find(|part| first == *part || first.strip_suffix(".rs") == Some(part))
}

/// Returns whether a file is one that knows the parts: the engine, its routes, and the struct that holds the parts.
fn is_above_parts(file: &Path) -> bool {
    ["engine.rs", "engine/parts.rs", "engine/route.rs", "engine/fuzzing.rs"]
        .iter()
        .any(|above| file == Path::new(above))
        || file.starts_with("engine/route")
}

fn arrows(wrong: impl Fn(&Arrow) -> bool) -> Vec<&'static Arrow> {
    SOURCES.arrows().iter().filter(|arrow| wrong(arrow)).collect()
}

#[test]
fn every_part_is_there() {
    for part in PARTS {
        let file = PathBuf::from(format!("engine/{part}.rs"));
        assert!(SOURCES.files().iter().any(|it| it.path == file), "{part}");
    }
}

#[test]
fn impl_engine_stands_in_one_file() {
    assert_eq!(SOURCES.implementing("Engine"), [Path::new("engine.rs")]);
}

#[test]
fn no_part_imports_a_sibling() {
    let between = arrows(|arrow| match (part_of(&arrow.from), part_of(&arrow.to)) {
        (Some(from), Some(to)) => from != to,
        _ => false,
    });
    assert!(between.is_empty(), "{between:#?}");
}

#[test]
fn only_the_engine_and_its_routes_know_the_parts() {
    let in_engine = |file: &Path| file.starts_with("engine") || file == Path::new("engine.rs");
    let below = arrows(|arrow| {
        in_engine(&arrow.from)
            && part_of(&arrow.from).is_none()
            && part_of(&arrow.to).is_some()
            && !is_above_parts(&arrow.from)
    });
    assert!(below.is_empty(), "{below:#?}");
}

#[test]
fn no_part_knows_the_routes() {
    let upward = arrows(|arrow| part_of(&arrow.from).is_some() && is_above_parts(&arrow.to));
    assert!(upward.is_empty(), "{upward:#?}");
}

#[test]
fn there_is_no_circle_between_files_of_the_engine() {
    let circles = SOURCES.circles();
    let circles: Vec<_> =
        circles.iter().filter(|circle| circle.files.iter().any(|file| file.starts_with("engine"))).collect();
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn files_are_short() {
    let mut lines: Vec<usize> = SOURCES.files().iter().map(|file| file.lines).collect();
    lines.sort_unstable();
    assert!(lines.last().is_some_and(|longest| *longest <= LINES_MAX), "{lines:?}");
    assert!(lines.get(lines.len() / 2).is_some_and(|median| *median <= MEDIAN_LINES_MAX), "{lines:?}");
}
