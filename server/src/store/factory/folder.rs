//! The data folder of a store that is one file: for backing it up, restoring it and examining it.

use std::path::Path;

use sealpost_api::ids::StoreId;

use crate::store::back_end::{AfterRestore, Store as _};
pub use crate::store::embedded::{
    BackupError, Copied, DATABASE, LOCK, OpenError, RESTORING, Report, TableReport, copy_database, inspect, lock_folder,
};
use crate::store::embedded::{EmbeddedOptions, EmbeddedStore};
use crate::store::error::StoreError;

/// What became of a restored database.
pub struct Restored {
    /// What ended in it.
    pub ended: Result<AfterRestore, StoreError>,
    /// What is wrong with it.
    pub findings: Result<Vec<String>, StoreError>,
}

/// Makes a copied database one that can be served: applies the migrations that it lacks, ends what must not come back
/// to life, checks it, and writes its log back. `random` is not used unless there is no database.
///
/// # Errors
/// [`OpenError`]
pub async fn finish_restore(folder: &Path, random: &[u8; 32], store: StoreId) -> Result<Restored, OpenError> {
    // The reserve is for a server that accepts messages, and `serve` judges the file system: a restore must be possible
    // everywhere.
    let options = EmbeddedOptions { reserve_bytes: 0, allow_unsafe_filesystem: true, ..EmbeddedOptions::default() };
    let opened = EmbeddedStore::open(folder, &options, random)?;
    let ended = opened.after_restore(store).await;
    let findings = opened.verify().await;
    opened.close().await;
    Ok(Restored { ended, findings })
}
