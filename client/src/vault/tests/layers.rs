//! Which module of the vault may know what, read in its sources.

use std::path::{Path, PathBuf};

use super::*;

/// The sources of one module: its file, and those of its folder. The tests within them are left out.
fn sources(module: &str) -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/vault");
    let below = fs::read_dir(folder.join(module)).into_iter().flatten().map(|entry| entry.unwrap().path());
    let paths = below.chain([folder.join(format!("{module}.rs"))]);
    paths
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            (path, text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned())
        })
        .collect()
}

fn names_none_of(module: &str, foreign: &[&str]) {
    let sources = sources(module);
    for (path, text) in &sources {
        for word in foreign {
            assert!(!text.contains(word), "{} names {word}", path.display());
        }
    }
}

#[test]
fn the_sealing_knows_no_database_no_file_no_clock_and_no_randomness_of_its_own() {
    assert!(sources("sealing").len() > 5, "these are not all of its files");
    names_none_of(
        "sealing",
        &["rusqlite", "sqlite", "std::fs", "std::path", "std::time", "rand::", "keyring", "tokio", "cfg("],
    );
}

#[test]
fn sqlite_knows_no_mode_of_files_and_no_key_ring_of_a_desktop() {
    assert!(sources("sqlite").len() > 6, "these are not all of its files");
    names_none_of("sqlite", &["std::fs", "std::os", "secret_service", "LocalKeyring", "tokio"]);
    for module in ["browser", "unguarded"] {
        names_none_of(module, &["std::fs", "std::os", "secret_service", "tokio"]);
    }
}

#[test]
fn the_port_knows_no_adapter() {
    for module in ["port", "error"] {
        names_none_of(module, &["rusqlite", "sealing::", "sqlite::", "std::fs", "aes_gcm", "rand::"]);
    }
}
