//! The store's files: none leads back to itself, and a back end is known by name in its own folder and in the factory only.

use std::path::Path;

use sealpost_harness::sources::{circles, files};

fn sources() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))
}

#[test]
fn no_file_of_the_store_leads_back_to_itself() {
    let store = sources().join("store");
    let found = circles(&store).unwrap();
    assert!(found.is_empty(), "{found:#?}");
    assert!(files(&store).unwrap().len() > 100, "the store's files were not found");
}

#[test]
fn the_median_file_of_the_store_has_at_most_150_lines_and_none_300() {
    let mut lines: Vec<usize> = files(&sources().join("store")).unwrap().iter().map(|file| file.lines).collect();
    lines.sort_unstable();
    let (median, longest) = (lines[lines.len() / 2], lines[lines.len() - 1]);
    assert!(median <= 150 && longest < 300, "median {median}, longest {longest}");
}

#[test]
fn a_back_end_is_named_in_its_folder_and_in_the_factory_only() {
    let knows = |path: &Path| {
        let room = path.with_extension("");
        ["store/embedded", "store/mongodb", "store/factory"].iter().any(|folder| room.starts_with(folder))
    };
    let mut seen = 0;
    for file in files(sources()).unwrap().iter().filter(|file| !knows(&file.path)) {
        seen += 1;
        let text = std::fs::read_to_string(sources().join(&file.path)).unwrap();
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for name in ["embedded::", "mongodb::", "Embedded", "Mongo("] {
                assert!(!line.contains(name), "{} names a back end: {line}", file.path.display());
            }
        }
    }
    assert!(seen > 100, "the server's files were not found");
}
