//! Checks at the start that what is answered survives a power cut. Whatever breaks that is refused by name.

use std::path::Path;

use rusqlite::Connection;
use sealpost_sabotage::{Countermeasure, or_planted, refuses};

use super::open_error::OpenError;

/// What a process that has loaded libeatmydata shows in its memory map.
const EATMYDATA: &[u8] = b"libeatmydata";

/// File systems whose fsync promises less than that of a local disk, or on which the shared memory of a write-ahead log
/// does not work, as `statfs(2)` numbers them.
const UNSAFE: [(u64, &str); 16] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xfe53_4d42, "SMB"),
    (0xff53_4d42, "SMB"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
    (0x7375_7245, "Coda"),
    (0x564c, "NCP"),
    (0x00c3_6400, "Ceph"),
    (0x0bd0_0bd0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x2003_0528, "OrangeFS"),
    (0x0102_1997, "9P"),
    (0x786f_4256, "VirtualBox's shared folders"),
    (0x6573_5546, "FUSE"),
    (0x6573_5543, "FUSE"),
];

/// File systems that keep their promises, but only until the machine or the container ends.
const PASSING: [(u64, &str); 3] = [
    (0x0102_1994, "tmpfs, which is memory: everything is lost when the machine stops"),
    (0x8584_58f6, "ramfs, which is memory: everything is lost when the machine stops"),
    (0x794c_7630, "an overlay: everything is lost with the container; mount a volume there"),
];

/// Refuses to run under libeatmydata, which turns every fsync into nothing to speed up tests.
///
/// # Errors
/// [`OpenError::NotDurable`]
pub(super) fn refuse_eatmydata() -> Result<(), OpenError> {
    let maps = std::fs::read("/proc/self/maps").unwrap_or_default();
    let is_loaded = maps.windows(EATMYDATA.len()).any(|window| window == EATMYDATA);
    if refuses(Countermeasure::DurabilityCheck, is_loaded) {
        return Err(OpenError::NotDurable("libeatmydata is loaded, which turns fsync off; start without it"));
    }
    Ok(())
}

/// Refuses a file system that may lose what it was told to keep, unless the operator says that this one does not.
///
/// # Errors
/// [`OpenError::UnsafeFileSystem`]
pub(super) fn refuse_file_system(path: &Path, allowed: bool) -> Result<(), OpenError> {
    let kind = rustix::fs::statfs(path)
        .map_err(|error| OpenError::Folder { path: path.to_owned(), source: error.into() })?
        .f_type;
    let kind = u64::try_from(kind).unwrap_or_default();
    if let Some(what) = named(&PASSING, kind) {
        tracing::warn!(path = %path.display(), "the data folder is on {what}");
    }
    match named(&UNSAFE, kind) {
        Some(name) if refuses(Countermeasure::DurabilityCheck, !allowed) => {
            Err(OpenError::UnsafeFileSystem { path: path.to_owned(), kind: name })
        }
        Some(name) => {
            tracing::warn!(path = %path.display(), "the data folder is on {name}, which may lose what was accepted");
            Ok(())
        }
        None => Ok(()),
    }
}

/// Returns the name of a kind of file system, if it is listed.
fn named(kinds: &[(u64, &'static str)], kind: u64) -> Option<&'static str> {
    kinds.iter().find(|(number, _)| *number == kind).map(|(_, name)| *name)
}

/// Asks SQLite for its settings, because it silently ignores a setting that it does not accept.
///
/// # Errors
/// [`OpenError::NotDurable`]
pub(super) fn check(connection: &Connection) -> Result<(), OpenError> {
    // 2 is FULL; EXTRA, above it, is as good.
    let synchronous: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    if refuses(Countermeasure::DurabilityCheck, synchronous < 2) {
        return Err(OpenError::NotDurable("SQLite would not wait for the disk (`synchronous` is below FULL)"));
    }
    for (pragma, wanted) in
        [("secure_delete", or_planted(Countermeasure::SecureDelete, 1_i64, 0)), ("wal_autocheckpoint", 0)]
    {
        if connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0))? != wanted {
            return Err(OpenError::NotDurable("SQLite refuses a setting that durability depends on"));
        }
    }
    if connection.pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0))? != "wal" {
        return Err(OpenError::NotDurable("the file system does not support a write-ahead log"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_of_other_machines_are_known_by_name_and_local_ones_are_not() {
        for (kind, name) in [(0x6969, "NFS"), (0xff53_4d42, "SMB"), (0x0102_1997, "9P"), (0x6573_5546, "FUSE")] {
            assert_eq!(named(&UNSAFE, kind), Some(name));
        }
        // ext4, XFS, btrfs, ZFS, F2FS, bcachefs.
        for local in [0xef53, 0x5846_5342, 0x9123_683e, 0x2fc1_2fc1, 0xf2f5_2010, 0xca45_1a4e] {
            assert_eq!(named(&UNSAFE, local).or(named(&PASSING, local)), None, "{local:#x}");
        }
    }
}
