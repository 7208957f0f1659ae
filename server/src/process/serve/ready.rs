//! The messages for people and scripts once the server serves.

use std::fs;
use std::io;
use std::path::Path;

use serde::Serialize;

use crate::base::files::{FileError, replace};

/// The object in the ready file.
#[derive(Debug, Serialize)]
pub(super) struct Ready {
    url: String,
    /// The path of the built-in authority's certificate; `null` with the operator's certificate or without TLS.
    ca: Option<String>,
    /// Its SHA-256, in hex.
    fingerprint: Option<String>,
    private: String,
    pid: u32,
}

impl Ready {
    pub(super) fn new(url: String, ca: Option<(&Path, &str)>, private: String) -> Self {
        Self {
            url,
            ca: ca.map(|(path, _)| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).display().to_string()),
            fingerprint: ca.map(|(_, fingerprint)| fingerprint.to_owned()),
            private,
            pid: std::process::id(),
        }
    }

    /// Prints the addresses for the person who started the server.
    pub(super) fn print(&self) {
        println!("Sealpost serves at {}", self.url);
        if let (Some(ca), Some(fingerprint)) = (&self.ca, &self.fingerprint) {
            println!("Its own certificate authority: {ca}");
            println!("SHA-256 fingerprint of it, for people to compare: {fingerprint}");
        }
        println!("Metrics and health: {}", self.private);
    }

    /// Writes the file atomically, so that no waiting program reads a part of it.
    pub(super) fn write(&self, path: &Path) -> Result<(), FileError> {
        let mut text = serde_json::to_vec(self).map_err(|error| FileError::Io(path.to_owned(), error.into()))?;
        text.push(b'\n');
        replace(path, &text, 0o600)
    }
}

/// Removes the file of an earlier run, so that nobody takes it for this one's.
pub(super) fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::Io(path.to_owned(), error)),
        _ => Ok(()),
    }
}
