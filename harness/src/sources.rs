//! Reads the sources of a crate, and tells which file uses which.
//!
//! An arrow goes from a file to each file that defines a name which the first one uses. A name is followed through
//! imports, globs and re-exports to its definition. Three things are no arrow:
//!
//! - `mod child;`, which only says that a file belongs to the crate;
//! - a re-export (`pub use child::Name;`), unless the same file uses the name too;
//! - everything below `#[cfg(test)]`: tests look at what they test, from anywhere.
//!
//! Calls of methods show no path, so they are no arrows of their own: the import of the type or the trait is one.
//!
//! ```no_run
//! use sealpost_harness::sources::Sources;
//!
//! let sources = Sources::read("src".as_ref()).unwrap();
//! assert!(sources.circles().is_empty(), "{:#?}", sources.circles());
//! ```

mod code;
mod error;
mod modules;
mod names;
mod resolve;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;

pub use self::error::SourcesError;

/// The product files of a folder, and the arrows between them.
pub struct Sources {
    files: Vec<File>,
    arrows: BTreeSet<Arrow>,
}

/// A product file. Files that only tests see are not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Relative to the folder that was read.
    pub path: PathBuf,
    /// How many lines it has, comments and empty ones included.
    pub lines: usize,
    /// The types for which it has an `impl` without a trait.
    pub implemented: BTreeSet<String>,
}

/// Says that one file uses a name that another one defines.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrow {
    /// The file that uses the name, relative to the folder that was read.
    pub from: PathBuf,
    /// The file that defines it, relative to the folder that was read.
    pub to: PathBuf,
    /// The last part of the path that uses it.
    pub name: String,
}

impl fmt::Debug for Arrow {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{} -> {}: {}", self.from.display(), self.to.display(), self.name)
    }
}

/// Files each of which leads to each other one, with the arrows between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circle {
    /// The files, in order of their paths.
    pub files: Vec<PathBuf>,
    /// What ties them.
    pub arrows: Vec<Arrow>,
}

impl Sources {
    /// Reads the product files of a folder: the `src` of a crate, or a folder below it.
    ///
    /// # Errors
    /// If no crate encloses the folder, or a file cannot be read or parsed.
    pub fn read(folder: &Path) -> Result<Self, SourcesError> {
        let read = modules::read(folder)?;
        let inside = |file: &Path| file.strip_prefix(folder).ok().map(Path::to_path_buf);
        let mut files: BTreeMap<PathBuf, File> = BTreeMap::new();
        let mut arrows = BTreeSet::new();
        for tree in &read.trees {
            for module in &tree.modules {
                let Some(path) = inside(&module.file) else { continue };
                let lines = read.lines.get(&module.file).copied().unwrap_or_default();
                let file = files.entry(path.clone()).or_insert(File { path, lines, implemented: BTreeSet::new() });
                file.implemented.extend(module.implemented.iter().cloned());
            }
            arrows.extend(
                resolve::arrows(tree)
                    .into_iter()
                    .filter_map(|(from, to, name)| Some(Arrow { from: inside(&from)?, to: inside(&to)?, name })),
            );
        }
        Ok(Self { files: files.into_values().collect(), arrows })
    }

    /// Returns the files, in order of their paths.
    #[must_use]
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// Returns the arrows between the files.
    #[must_use]
    pub fn arrows(&self) -> &BTreeSet<Arrow> {
        &self.arrows
    }

    /// Returns the files that have an `impl` of this type without a trait.
    #[must_use]
    pub fn implementing(&self, name: &str) -> Vec<&Path> {
        self.files.iter().filter(|file| file.implemented.contains(name)).map(|file| file.path.as_path()).collect()
    }

    /// Finds the circles: the strongly connected components that have more than one file.
    #[must_use]
    pub fn circles(&self) -> Vec<Circle> {
        let graph: DiGraphMap<&Path, ()> =
            self.arrows.iter().map(|arrow| (arrow.from.as_path(), arrow.to.as_path(), ())).collect();
        let mut circles: Vec<Circle> = tarjan_scc(&graph)
            .into_iter()
            .filter(|component| component.len() > 1)
            .map(|component| {
                let files: BTreeSet<PathBuf> = component.into_iter().map(Path::to_path_buf).collect();
                let within = |arrow: &&Arrow| files.contains(&arrow.from) && files.contains(&arrow.to);
                let arrows = self.arrows.iter().filter(within).cloned().collect();
                Circle { files: files.into_iter().collect(), arrows }
            })
            .collect();
        circles.sort_by(|one, other| one.files.cmp(&other.files));
        circles
    }
}

/// Returns the product files of a folder, in order of their paths.
///
/// # Errors
/// As [`Sources::read`].
pub fn files(folder: &Path) -> Result<Vec<File>, SourcesError> {
    Ok(Sources::read(folder)?.files)
}

/// Finds the circles between the files of a folder.
///
/// # Errors
/// As [`Sources::read`].
pub fn circles(folder: &Path) -> Result<Vec<Circle>, SourcesError> {
    Ok(Sources::read(folder)?.circles())
}
