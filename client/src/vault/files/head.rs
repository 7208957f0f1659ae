//! The first 100 bytes of a vault's file, which are looked at before SQLite opens it: a foreign, shortened or newer file is
//! refused without a lock, a journal or a byte written.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::modes::{journal_waits, storage};
use crate::vault::error::VaultError;
use crate::vault::sqlite::{APPLICATION_ID, FORMAT};

/// The first bytes of every SQLite 3 file.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Where SQLite keeps the size of a page, u16 be, in bytes (1 stands for 65,536, which no vault has).
const PAGE_SIZE_AT: usize = 16;
/// Where SQLite keeps the number of pages, u32 be.
const PAGE_COUNT_AT: usize = 28;
/// Where SQLite keeps `PRAGMA user_version`, u32 be.
const USER_VERSION_AT: usize = 60;
/// Where SQLite keeps `PRAGMA application_id`, u32 be.
const APPLICATION_ID_AT: usize = 68;
/// Length of SQLite's file header.
const FILE_HEADER_LEN: usize = 100;

/// Refuses a file that is no vault, one of a newer version, or one that was cut off, by its first bytes alone.
pub(in crate::vault) fn check_file(path: &Path) -> Result<(), VaultError> {
    let damaged = || VaultError::Damaged { what: "file header" };
    let mut bytes = [0_u8; FILE_HEADER_LEN];
    let mut file = File::open(path).map_err(|error| storage(&error))?;
    file.read_exact(&mut bytes)
        .map_err(|error| if error.kind() == io::ErrorKind::UnexpectedEof { damaged() } else { storage(&error) })?;
    let number = |at: usize| {
        bytes.get(at..).and_then(|rest| rest.first_chunk()).map(|bytes| u32::from_be_bytes(*bytes)).ok_or_else(damaged)
    };
    if !bytes.starts_with(MAGIC) || number(APPLICATION_ID_AT)? != APPLICATION_ID {
        return Err(damaged());
    }
    match number(USER_VERSION_AT)? {
        FORMAT => {}
        format if format > FORMAT => return Err(VaultError::Newer { format: i64::from(format) }),
        _ => return Err(VaultError::Damaged { what: "format" }),
    }
    // SQLite itself overlooks a last page that is cut off. While a journal waits, pages may rightly be missing here.
    let page_size = number(PAGE_SIZE_AT)? >> 16;
    let whole = u64::from(page_size).saturating_mul(u64::from(number(PAGE_COUNT_AT)?));
    let length = file.metadata().map_err(|error| storage(&error))?.len();
    if length < whole && !journal_waits(path) {
        return Err(VaultError::Damaged { what: "file (its end is missing)" });
    }
    Ok(())
}
