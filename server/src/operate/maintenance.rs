//! The operator's commands on a data folder: `backup`, `restore` and `verify`.

mod backup;
mod files;
mod manifest;
mod restore;
mod verify;

pub use backup::run as backup;
pub use restore::run as restore;
pub use verify::run as verify;
