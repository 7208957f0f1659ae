//! SQLite in a browser: in the origin's private file system (OPFS), from a dedicated worker.
//!
//! The `sahpool` VFS opens its files once, in [`install`], and reads and writes them synchronously from then on, so that a
//! transaction is on the disk when it returns, as natively. While one worker has the files, `install` fails in every other:
//! one tab owns the vault. The vault itself is made and opened by `Vault::create_unguarded` and `Vault::open_unguarded`.

use sqlite_wasm_rs::WasmOsCallback;
use sqlite_wasm_vfs::sahpool::{self, OpfsSAHError, OpfsSAHPoolCfgBuilder};

use super::error::VaultError;

/// How many files are kept open: the vault, its journals, and a few to spare.
const FILES: usize = 6;

/// Makes this folder of the origin's private file system the place of every database, and takes it for this worker alone.
///
/// # Errors
/// [`VaultError::InUse`] while it is being installed elsewhere; [`VaultError::Storage`] when another worker has the folder,
/// or when there is no such file system, as in a private window of some browsers.
pub async fn install(folder: &str) -> Result<(), VaultError> {
    let pool = OpfsSAHPoolCfgBuilder::new().directory(folder).initial_capacity(FILES).build();
    sahpool::install::<WasmOsCallback>(&pool, true).await.map(|_| ()).map_err(|error| refused(&error))
}

/// Returns what an error of the file system means.
fn refused(error: &OpfsSAHError) -> VaultError {
    match error {
        OpfsSAHError::Busy => VaultError::InUse,
        other => VaultError::Storage { reason: other.to_string() },
    }
}
