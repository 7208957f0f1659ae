//! Why sources could not be read.

use std::io;
use std::path::PathBuf;

/// Why sources could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SourcesError {
    /// Neither the folder nor one above it has a `lib.rs` or a `main.rs`.
    #[error("no crate encloses {}", .0.display())]
    NoCrate(PathBuf),
    /// A module is declared, and its file is not there.
    #[error("{} declares the module {name}, which has no file", .file.display())]
    NoFile {
        /// The file that declares the module.
        file: PathBuf,
        /// The module.
        name: String,
    },
    /// A file could not be read.
    #[error("cannot read {}", .file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is no Rust source.
    #[error("{} is no Rust source", .file.display())]
    Parse {
        /// The file.
        file: PathBuf,
        /// What the parser said.
        source: syn::Error,
    },
}
