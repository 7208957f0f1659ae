//! What an upload of prekeys comes to, which is the same in every store.

use std::collections::BTreeMap;

use sealpost_api::ids::KeyEpoch;
use sealpost_api::limits::ONE_TIME_PREKEYS_MAX_STORED;
use sealpost_crypto::{OneTimePrekey, SignedPrekey};
use sealpost_sabotage::{Countermeasure, without};

use super::UploadPrekeys;

/// What a device has.
pub(super) struct StoredKeys {
    pub(super) key_epoch: KeyEpoch,
    /// The highest id of a one-time prekey that it ever uploaded.
    pub(super) max_issued: u32,
    /// The one-time prekeys that are left, by id.
    pub(super) one_time: BTreeMap<u32, [u8; 32]>,
    pub(super) signed: Option<SignedPrekey>,
}

/// What is to be added to that; nothing, if all is there.
pub(super) struct Added<'a> {
    pub(super) one_time: Vec<&'a OneTimePrekey>,
    pub(super) signed: Option<&'a SignedPrekey>,
}

impl StoredKeys {
    /// What an upload adds, or why it does not.
    pub(super) fn decide<'a>(
        &self,
        key_epoch: KeyEpoch,
        one_time: &'a [OneTimePrekey],
        signed: Option<&'a SignedPrekey>,
    ) -> Result<Added<'a>, UploadPrekeys> {
        if self.key_epoch != key_epoch {
            return Err(UploadPrekeys::KeyEpochConflict);
        }
        if let Some(id) = self.conflict(one_time, signed) {
            return Err(UploadPrekeys::IdConflict(id));
        }
        let new: Vec<_> =
            one_time.iter().filter(|key| key.id.0 > self.max_issued || without(Countermeasure::MaxIssuedId)).collect();
        if !new.is_empty() && self.one_time.len().saturating_add(new.len()) > ONE_TIME_PREKEYS_MAX_STORED {
            return Err(UploadPrekeys::Full);
        }
        let newer = |signed: &&SignedPrekey| self.signed.as_ref().is_none_or(|current| current.id < signed.id);
        Ok(Added { one_time: new, signed: signed.filter(newer) })
    }

    /// An id that is stored, or named twice here, with another key.
    fn conflict(&self, one_time: &[OneTimePrekey], signed: Option<&SignedPrekey>) -> Option<u32> {
        let mut given = BTreeMap::new();
        for key in one_time {
            let bytes = *key.key.as_bytes();
            let others = [self.one_time.get(&key.id.0).copied(), given.insert(key.id.0, bytes)];
            if others.into_iter().flatten().any(|other| other != bytes) {
                return Some(key.id.0);
            }
        }
        let (signed, current) = signed.zip(self.signed.as_ref())?;
        (signed.id == current.id && signed != current).then_some(signed.id.0)
    }
}

impl Added<'_> {
    /// Whether there is nothing to add.
    pub(super) fn is_empty(&self) -> bool {
        self.one_time.is_empty() && self.signed.is_none()
    }
}
