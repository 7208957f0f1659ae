//! All nodes of a store must have the same secrets. The store keeps their fingerprints, and the first node decides.

use super::error::Disagreed;
use crate::store::{Fact, NodeStore, StoreError};

/// How often a node tries to agree on a key while other nodes change it.
const TRIES: u32 = 8;

/// The fingerprints of one node's secrets.
pub(crate) struct Fingerprints {
    pub(super) names_key: [u8; 32],
    pub(super) pepper: [u8; 32],
    pub(super) signing: [u8; 32],
    /// The fingerprints of all accepted keys, and of those that these replaced.
    pub(super) known: Vec<[u8; 32]>,
}

/// Why the nodes do not agree.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgreeError {
    #[error(transparent)]
    Disagreed(#[from] Disagreed),
    #[error("the secrets of this node cannot be compared with the other nodes'")]
    Store(#[from] StoreError),
}

impl Fingerprints {
    /// Compares the fingerprints with those that the nodes of the store have agreed on; the first node decides. `many`
    /// says whether there can be other nodes whose tokens this one must accept.
    pub(crate) async fn agree(&self, store: &(impl NodeStore + ?Sized), many: bool) -> Result<(), AgreeError> {
        match self.agree_on_all(store, many).await {
            // A single node can start on a full disk, to deliver what it has. The next start records the agreement.
            Err(AgreeError::Store(StoreError::DiskFull)) if !many => Ok(()),
            agreed => agreed,
        }
    }

    async fn agree_on_all(&self, store: &(impl NodeStore + ?Sized), many: bool) -> Result<(), AgreeError> {
        if store.agree(Fact::NamesKey, self.names_key).await? != self.names_key {
            return Err(Disagreed::NamesKey.into());
        }
        if store.agree(Fact::Pepper, self.pepper).await? != self.pepper {
            return Err(Disagreed::Pepper.into());
        }
        if !many {
            return Ok(());
        }
        for _ in 0..TRIES {
            let signing = store.agree(Fact::TokenKey, self.signing).await?;
            if !self.known.contains(&signing) {
                return Err(Disagreed::TokenKey(hex::encode(signing)).into());
            }
            if signing == self.signing || store.agree_anew(Fact::TokenKey, signing, self.signing).await? {
                return Ok(());
            }
        }
        Err(StoreError::Busy.into())
    }
}
