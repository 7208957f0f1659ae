//! Decides what an upload of prekeys adds to what a device has stored.

use std::collections::BTreeMap;

use sealpost_api::ids::KeyEpoch;
use sealpost_api::limits::ONE_TIME_PREKEYS_MAX_STORED;
use sealpost_crypto::{OneTimePrekey, SignedPrekey};
use sealpost_sabotage::{Countermeasure, holds};

/// The prekeys that a device has stored.
pub struct StoredKeys {
    /// The device's key epoch.
    pub key_epoch: KeyEpoch,
    /// The highest id of a one-time prekey that the device ever uploaded.
    pub max_issued: u32,
    /// The one-time prekeys that are left, by id.
    pub one_time: BTreeMap<u32, [u8; 32]>,
    /// The signed prekey.
    pub signed: Option<SignedPrekey>,
}

/// What an upload adds; empty if all of it is stored already.
pub struct Added<'a> {
    /// One-time prekeys with ids that were never uploaded.
    pub one_time: Vec<&'a OneTimePrekey>,
    /// The signed prekey, if it is newer than the stored one.
    pub signed: Option<&'a SignedPrekey>,
}

/// Why an upload is refused. Nothing of it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadRefusal {
    /// The device has another key epoch.
    KeyEpochConflict,
    /// This id is stored, or named twice in the upload, with another key.
    IdConflict(u32),
    /// More one-time prekeys than allowed would be stored.
    Full,
}

impl StoredKeys {
    /// Returns what an upload adds. Ids at or below the highest ever uploaded add nothing, so that repeating an upload
    /// whose keys were taken meanwhile does not bring one of them back.
    ///
    /// # Errors
    /// [`UploadRefusal`]
    pub fn decide<'a>(
        &self,
        key_epoch: KeyEpoch,
        one_time: &'a [OneTimePrekey],
        signed: Option<&'a SignedPrekey>,
    ) -> Result<Added<'a>, UploadRefusal> {
        if self.key_epoch != key_epoch {
            return Err(UploadRefusal::KeyEpochConflict);
        }
        if let Some(id) = self.conflict(one_time, signed) {
            return Err(UploadRefusal::IdConflict(id));
        }
        let is_new = |key: &&OneTimePrekey| holds(Countermeasure::MaxIssuedId, key.id.0 > self.max_issued);
        let new: Vec<_> = one_time.iter().filter(is_new).collect();
        if !new.is_empty() && self.one_time.len().saturating_add(new.len()) > ONE_TIME_PREKEYS_MAX_STORED {
            return Err(UploadRefusal::Full);
        }
        let is_newer = |signed: &&SignedPrekey| self.signed.as_ref().is_none_or(|current| current.id < signed.id);
        Ok(Added { one_time: new, signed: signed.filter(is_newer) })
    }

    /// Returns an id that is stored, or named twice in the upload, with another key.
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
    /// Returns whether everything in the upload is stored already.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.one_time.is_empty() && self.signed.is_none()
    }
}
