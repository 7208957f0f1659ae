//! How a vault is sealed: its key, the passphrase that wraps it, and the values under it. Bytes in, bytes out: this module
//! knows no database and no file, and is handed its randomness.

mod key;
mod passphrase;
mod row;
mod sealer;
mod state;

pub(super) use key::{VaultKey, generate};
pub use passphrase::KdfParameters;
pub(super) use passphrase::{SALT_LEN, Wrapped};
pub(super) use sealer::{Blinded, Place, Sealer};
pub(super) use state::State;
