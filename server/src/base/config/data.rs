//! The default data folder.

use std::path::{Path, PathBuf};

use directories::ProjectDirs;

/// The user has no home for the data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no data folder for this user; name one with --data")]
pub struct NoDataFolder;

/// Returns the named data folder, or the default one of this user.
///
/// # Errors
/// [`NoDataFolder`] if none is named and this user has no home.
pub fn data_folder(named: Option<&Path>) -> Result<PathBuf, NoDataFolder> {
    match named {
        Some(named) => Ok(named.to_owned()),
        None => Ok(ProjectDirs::from("", "", "sealpost-server").ok_or(NoDataFolder)?.data_dir().to_owned()),
    }
}
