//! Marks that a move leaves in a data folder.

use super::files::Folder;
use super::open_error::OpenError;

/// A folder in the target's data folder, in which the database is made. The database leaves it when it is complete.
pub(super) const UNFINISHED: &str = "moving";
/// A file beside a database that was moved elsewhere.
pub(super) const MOVED: &str = "moved";

/// Refuses a folder into which a move has begun and not finished, and one whose store was moved elsewhere.
pub(super) fn refuse_moved(folder: &Folder) -> Result<(), OpenError> {
    if folder.path().join(UNFINISHED).exists() {
        return Err(OpenError::Moving { path: folder.path().to_owned() });
    }
    let note = folder.path().join(MOVED);
    if note.exists() { Err(OpenError::Moved { note }) } else { Ok(()) }
}
