//! Prints the circles between the files of a folder: `cargo run -p sealpost-harness --example circles -- client/src`.
#![expect(clippy::expect_used, reason = "an example fails by panicking")]

use std::path::PathBuf;

use sealpost_harness::sources::Sources;

fn main() {
    for folder in std::env::args_os().skip(1).map(PathBuf::from) {
        let sources = Sources::read(&folder).expect("the folder is part of a crate");
        println!("{}: {} files", folder.display(), sources.files().len());
        for circle in sources.circles() {
            println!("{circle:#?}");
        }
    }
}
