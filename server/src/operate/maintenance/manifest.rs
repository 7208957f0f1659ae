//! The manifest of a backup: its files and their SHA-256.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use super::files::{self, Entry};
use crate::store::factory::folder::DATABASE;

/// Its name in the backup. It is written last, so that a folder with it is a complete backup.
pub(super) const NAME: &str = "manifest.json";
/// The only format so far.
const FORMAT: u32 = 1;
/// The largest manifest that is read, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// `manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub(super) format: u32,
    /// The version of the program that made the backup.
    pub(super) program: String,
    /// Version of the database's schema.
    pub(super) schema: i64,
    /// The time of the backup, in milliseconds since 1970.
    pub(super) taken_at: u64,
    pub(super) accounts: u64,
    pub(super) devices: u64,
    pub(super) queued_messages: u64,
    pub(super) files: Vec<Entry>,
}

impl Manifest {
    /// Creates a manifest of this program's version and format.
    pub(super) fn new(taken_at: u64) -> Self {
        Self {
            format: FORMAT,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            schema: 0,
            taken_at,
            accounts: 0,
            devices: 0,
            queued_messages: 0,
            files: Vec::new(),
        }
    }

    /// Reads a manifest, and refuses one that is not of a backup of ours. The files are not checked yet.
    pub(super) fn read(backup: &Path) -> Result<Self> {
        let path = backup.join(NAME);
        let length = fs::metadata(&path)
            .with_context(|| format!("{} is no finished backup: {NAME} cannot be read", backup.display()))?
            .len();
        if length > MAX_BYTES {
            bail!("{} is larger than 1 MiB", path.display());
        }
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let manifest: Self =
            serde_json::from_slice(&text).with_context(|| format!("{} is not what `backup` writes", path.display()))?;
        if manifest.format != FORMAT {
            bail!("the backup has form {}, and this program knows form {FORMAT}; use a newer program", manifest.format);
        }
        Ok(manifest)
    }

    /// Returns the differences between the backup and its manifest, in words.
    pub(super) fn differences(&self, backup: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for needed in [DATABASE, files::RETIRED_NAMES_KEY] {
            if !self.files.iter().any(|entry| entry.name == needed) {
                found.push(format!("{needed} is not among its files"));
            }
        }
        for entry in &self.files {
            // A backup can come from elsewhere, so its manifest must name only files inside it.
            if !files::is_inside(&entry.name) {
                found.push(format!("{} is no name of a file in a backup", entry.name));
                continue;
            }
            match files::entry(backup, &entry.name) {
                Err(error) => found.push(format!("{error:#}")),
                Ok(now) if now != *entry => found.push(format!("{} differs from what was backed up", entry.name)),
                Ok(_) => {}
            }
        }
        found
    }
}
