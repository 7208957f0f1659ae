//! The audit log: one line for each act of an operator, appended and synced before the operator gets the answer.
//!
//! Accounts are named by their id, so that an erased account leaves no name in the log. Nothing secret is written.
//! `users show` prints the id of an existing account.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use sealpost_crypto::UnixMillis;
use serde::Serialize;

use crate::domain::date::rfc3339;

/// The log's name in the data folder.
const NAME: &str = "audit.log";
/// The size at which a log is put aside: some 20,000 acts.
const FILE_MAX_BYTES: u64 = 4 * 1024 * 1024;
/// The number of logs put aside; `audit.log.1` is the newest, and the oldest is deleted. All logs together have at most
/// 20 MiB.
const KEPT: u32 = 4;

/// A line.
#[derive(Debug, Serialize)]
struct Line<'a> {
    at: String,
    act: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    uid: u32,
    outcome: &'a str,
}

/// The log.
#[derive(Debug)]
pub struct Audit {
    path: PathBuf,
    max_bytes: u64,
    writing: Mutex<()>,
}

impl Audit {
    /// Opens the log of a data folder.
    #[must_use]
    pub fn new(data: &Path) -> Self {
        Self { path: data.join(NAME), max_bytes: FILE_MAX_BYTES, writing: Mutex::new(()) }
    }

    /// Records an act: when, what, on which account or invite, by which user of this machine, and its outcome.
    ///
    /// # Errors
    /// An error if the line may not be on the disk.
    pub fn note(&self, at: UnixMillis, act: &str, target: Option<&str>, uid: u32, outcome: &str) -> io::Result<()> {
        let mut line = serde_json::to_vec(&Line { at: rfc3339(at), act, target, uid, outcome })?;
        line.push(b'\n');
        let _writing = self.writing.lock();
        let new = match fs::metadata(&self.path) {
            Ok(found) if found.len() >= self.max_bytes => {
                self.put_aside()?;
                true
            }
            Ok(_) => false,
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return Err(error),
        };
        let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.path)?;
        file.write_all(&line)?;
        file.sync_data()?;
        if new { self.sync_folder() } else { Ok(()) }
    }

    fn aside(&self, number: u32) -> PathBuf {
        self.path.with_file_name(format!("{NAME}.{number}"))
    }

    fn put_aside(&self) -> io::Result<()> {
        for number in (1..KEPT).rev() {
            match fs::rename(self.aside(number), self.aside(number.saturating_add(1))) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, self.aside(1))
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_line_says_when_what_on_whom_by_whom_and_how_it_ended() {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit::new(folder.path());
        audit.note(UnixMillis(1_800_000_000_000), "users_disable", Some("0a"), 1_000, "ok").unwrap();
        audit.note(UnixMillis(1_800_000_001_000), "reload", None, 0, "invalid").unwrap();
        let path = folder.path().join(NAME);
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "{\"at\":\"2027-01-15T08:00:00Z\",\"act\":\"users_disable\",\"target\":\"0a\",\"uid\":1000,\"outcome\":\"ok\"}\n\
             {\"at\":\"2027-01-15T08:00:01Z\",\"act\":\"reload\",\"uid\":0,\"outcome\":\"invalid\"}\n"
        );
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_full_log_is_put_aside_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit { max_bytes: 1, ..Audit::new(folder.path()) };
        for second in 0..10 {
            audit.note(UnixMillis(second * 1_000), "reload", None, 0, "ok").unwrap();
        }
        let mut names: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["audit.log", "audit.log.1", "audit.log.2", "audit.log.3", "audit.log.4"]);
        let seconds = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap().contains("00:00:09Z");
        assert!(seconds("audit.log") && !seconds("audit.log.1"));
    }
}
