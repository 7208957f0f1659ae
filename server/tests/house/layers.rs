use std::path::Path;

use sealpost_harness::sources::{Arrow, Sources};

/// From the top down. A file may use what is in its own room and in the floors below it, and nothing beside or above it.
const FLOORS: [&[&str]; 8] = [
    &["main", "fuzzing"],
    &["process"],
    &["operate"],
    &["edge"],
    &["service"],
    &["store", "relay"],
    &["domain"],
    &["base"],
];
/// The crate's root only names the rooms.
const ROOT: &str = "lib";

fn sources() -> Sources {
    Sources::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").as_path()).unwrap()
}

/// The first part of a path in `src`, without the ending of a file.
fn room(path: &Path) -> String {
    let first = path.components().next().unwrap();
    Path::new(first.as_os_str()).file_stem().unwrap().to_str().unwrap().to_owned()
}

fn floor(room: &str) -> usize {
    FLOORS.iter().position(|floor| floor.contains(&room)).unwrap_or_else(|| panic!("{room} is on no floor"))
}

fn is_allowed(arrow: &Arrow) -> bool {
    let (from, to) = (room(&arrow.from), room(&arrow.to));
    from == to || from == ROOT || floor(&from) < floor(&to)
}

#[test]
fn arrows_between_layers_only_point_down() {
    let sources = sources();
    let up: Vec<_> = sources.arrows().iter().filter(|arrow| !is_allowed(arrow)).collect();
    assert!(up.is_empty(), "{up:#?}");
    // Else the test would hold for sources that are not read.
    let crossing = sources.arrows().iter().filter(|arrow| room(&arrow.from) != room(&arrow.to)).count();
    assert!(crossing > 300, "{crossing} arrows between rooms");
}

#[test]
fn every_file_is_in_a_room() {
    let sources = sources();
    for file in sources.files() {
        let room = room(&file.path);
        if room != ROOT {
            floor(&room);
        }
    }
}

#[test]
fn no_file_is_part_of_a_circle() {
    let circles = sources().circles();
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn no_file_has_more_than_500_lines() {
    let sources = sources();
    let long: Vec<_> = sources.files().iter().filter(|file| file.lines > 500).collect();
    assert!(long.is_empty(), "{long:#?}");
}
