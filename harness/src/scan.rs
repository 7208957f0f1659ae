//! Looking for what must not be there: many byte strings in many files at once.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Shortest canary, in bytes, so that none is found by chance.
const KEY: usize = 8;

/// What to look for.
pub struct Canaries {
    all: Vec<(String, Vec<u8>)>,
    by_beginning: HashMap<[u8; KEY], Vec<usize>>,
    /// Whether some canary begins with a byte: most bytes of a file need no look into the map.
    first: [bool; 256],
}

impl Canaries {
    /// Takes a name for each canary, and its bytes.
    ///
    /// # Errors
    /// If one is shorter than 8 bytes.
    pub fn new(all: Vec<(String, Vec<u8>)>) -> Result<Self> {
        let (mut by_beginning, mut first) = (HashMap::<_, Vec<_>>::new(), [false; 256]);
        for (at, (name, bytes)) in all.iter().enumerate() {
            let beginning: [u8; KEY] = *bytes.first_chunk().with_context(|| format!("{name} is too short"))?;
            by_beginning.entry(beginning).or_default().push(at);
            if let Some(begins) = beginning.first().and_then(|byte| first.get_mut(usize::from(*byte))) {
                *begins = true;
            }
        }
        Ok(Self { all, by_beginning, first })
    }

    /// Returns how many canaries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Returns whether there is nothing to look for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Names the canaries that are in these bytes.
    #[must_use]
    pub fn found_in(&self, place: &str, bytes: &[u8]) -> Vec<String> {
        let mut seen = vec![false; self.all.len()];
        let may_begin = |byte: &u8| self.first.get(usize::from(*byte)).copied().unwrap_or_default();
        for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| may_begin(byte)) {
            let rest = bytes.get(at..).unwrap_or_default();
            let Some(candidates) = rest.first_chunk::<KEY>().and_then(|key| self.by_beginning.get(key)) else {
                continue;
            };
            for candidate in candidates {
                if let (Some(seen), Some((_, canary))) = (seen.get_mut(*candidate), self.all.get(*candidate)) {
                    *seen |= rest.starts_with(canary);
                }
            }
        }
        let found = seen.iter().zip(&self.all).filter(|(seen, _)| **seen);
        found.map(|(_, (name, _))| format!("{name} in {place}")).collect()
    }

    /// Names the canaries that are in any file of a folder, or of the folders in it.
    ///
    /// # Errors
    /// If something there cannot be read.
    pub fn found_below(&self, folder: &Path) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                found.extend(self.found_below(&path)?);
            } else if path.is_file() {
                found.extend(self.found_in(&path.display().to_string(), &fs::read(&path)?));
            }
        }
        Ok(found)
    }
}
