//! The operator's commands on a data folder: `backup`, `restore` and `verify`.

mod backup;
mod files;
mod manifest;
mod restore;
mod verify;

pub use backup::{BackupArgs, run as backup};
pub use restore::{RestoreArgs, run as restore};
pub use verify::{VerifyArgs, run as verify};
