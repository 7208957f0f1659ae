//! Looking for what must not be there: many byte strings in many files at once.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

/// Every canary has at least so many bytes, so that none is found by chance.
const KEY: usize = 8;

/// What to look for: a name for each, and its bytes.
pub(crate) struct Canaries {
    all: Vec<(String, Vec<u8>)>,
    by_beginning: HashMap<[u8; KEY], Vec<usize>>,
    first: [bool; 256],
}

impl Canaries {
    pub(crate) fn new(all: Vec<(String, Vec<u8>)>) -> Self {
        let (mut by_beginning, mut first) = (HashMap::<_, Vec<_>>::new(), [false; 256]);
        for (at, (name, bytes)) in all.iter().enumerate() {
            let beginning: [u8; KEY] = *bytes.first_chunk().unwrap_or_else(|| panic!("{name} is too short"));
            by_beginning.entry(beginning).or_default().push(at);
            first[usize::from(beginning[0])] = true;
        }
        Self { all, by_beginning, first }
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// The names of those that are in these bytes.
    pub(crate) fn found_in(&self, place: &str, bytes: &[u8]) -> Vec<String> {
        let mut seen = vec![false; self.all.len()];
        for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| self.first[usize::from(**byte)]) {
            let rest = &bytes[at..];
            let Some(candidates) = rest.first_chunk::<KEY>().and_then(|key| self.by_beginning.get(key)) else {
                continue;
            };
            for candidate in candidates {
                seen[*candidate] |= rest.starts_with(&self.all[*candidate].1);
            }
        }
        let found = seen.iter().zip(&self.all).filter(|(seen, _)| **seen);
        found.map(|(_, (name, _))| format!("{name} in {place}")).collect()
    }

    /// The names of those that are in any file of the folder, and of those in it.
    pub(crate) fn found_below(&self, folder: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(self.found_below(&path));
            } else if path.is_file() {
                found.extend(self.found_in(&path.display().to_string(), &fs::read(&path).unwrap()));
            }
        }
        found
    }
}
