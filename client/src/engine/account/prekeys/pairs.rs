//! Prekey pairs in the vault.

use std::collections::BTreeSet;

use sealpost_api::encoding::B64;
use sealpost_api::limits::ONE_TIME_PREKEYS_MAX_UPLOAD;
use sealpost_api::prekeys::{DevicePrekeys, OneTimePrekeyBody, SignedPrekeyBody};
use sealpost_crypto::prekey::ONE_TIME_PREKEY_KEPT_MS;
use sealpost_crypto::{
    DeviceAddress, DeviceIdentityKeyPair, InitialInfo, OneTimePrekeyId, OneTimePrekeyPair, PrekeyPrivates,
    SignedPrekeyId, SignedPrekeyPair, UnixMillis,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::keys::Keys;
use crate::engine::codec::Bin;
use crate::engine::error::EngineError;
use crate::engine::step::Step;
use crate::engine::store::clear;
use crate::vault::{Table, VaultTransaction};

const SIGNED: u8 = b's';
const ONE_TIME: u8 = b'o';

const DAMAGED: EngineError = EngineError::Record { what: "a prekey" };

fn key(kind: u8, id: u32) -> [u8; 5] {
    let [a, b, c, d] = id.to_be_bytes();
    [kind, a, b, c, d]
}

/// Prekey pairs that are not in `Table::Prekey` yet.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredPairs {
    signed: Bin<Zeroizing<Vec<u8>>>,
    one_time: Vec<Bin<Zeroizing<Vec<u8>>>>,
}

/// A device's first keys: as they go into a request, and as they are kept until it is answered.
pub(crate) struct FirstKeys {
    pub(crate) public: DevicePrekeys,
    pub(crate) keys: Keys,
    pub(crate) pairs: StoredPairs,
}

/// Draws the prekeys that a device begins with.
pub(crate) fn first_keys(
    step: &mut Step<'_>,
    address: &DeviceAddress,
    identity: &DeviceIdentityKeyPair,
) -> Result<FirstKeys, EngineError> {
    let signed = SignedPrekeyPair::generate(step.rng, SignedPrekeyId(1), step.now);
    let count = u32::try_from(ONE_TIME_PREKEYS_MAX_UPLOAD).map_err(|_| EngineError::Internal)?;
    let one_time: Vec<OneTimePrekeyPair> =
        (1..=count).map(|id| OneTimePrekeyPair::generate(step.rng, OneTimePrekeyId(id))).collect();
    Ok(FirstKeys {
        public: DevicePrekeys {
            device_id: address.device.get(),
            signed_prekey: signed_body(&signed, address, identity),
            one_time_prekeys: one_time.iter().map(one_time_body).collect(),
        },
        keys: Keys::first(count, 1, step.now.0),
        pairs: StoredPairs {
            signed: Bin(signed.to_bytes()),
            one_time: one_time.iter().map(|pair| Bin(pair.to_bytes())).collect(),
        },
    })
}

/// Returns a signed prekey as it goes into a request.
pub(super) fn signed_body(
    pair: &SignedPrekeyPair,
    address: &DeviceAddress,
    identity: &DeviceIdentityKeyPair,
) -> SignedPrekeyBody {
    let signed = pair.signed(address, identity);
    SignedPrekeyBody {
        id: signed.id.0,
        key: B64(signed.key),
        expires_at: signed.expires_at.0,
        signature: B64(signed.signature),
    }
}

/// Returns a one-time prekey as it goes into a request.
pub(super) fn one_time_body(pair: &OneTimePrekeyPair) -> OneTimePrekeyBody {
    let public = pair.public();
    OneTimePrekeyBody { id: public.id.0, key: B64(public.key) }
}

/// The private halves that one initial message needs, read before it is decrypted.
pub(crate) struct Privates {
    signed: Option<SignedPrekeyPair>,
    one_time: Option<OneTimePrekeyPair>,
}

impl Privates {
    /// No private halves, for a message that needs none.
    pub(crate) const NONE: Self = Self { signed: None, one_time: None };

    /// Reads those that are still kept.
    pub(super) fn read(
        vault: &mut dyn VaultTransaction,
        now: UnixMillis,
        info: &InitialInfo,
    ) -> Result<Self, EngineError> {
        let signed = signed(vault, info.signed_prekey_id)?.filter(|pair| pair.keep_until() > now);
        let one_time = match info.one_time_prekey_id {
            Some(id) => vault.get(Table::Prekey, &key(ONE_TIME, id.0))?.map(|bytes| one_time_pair(&bytes)),
            None => None,
        };
        Ok(Self { signed, one_time: one_time.transpose()?.map(|(pair, _)| pair) })
    }
}

impl PrekeyPrivates for Privates {
    fn signed_prekey(&self, id: SignedPrekeyId) -> Option<SignedPrekeyPair> {
        self.signed.clone().filter(|pair| pair.id() == id)
    }

    fn one_time_prekey(&self, id: OneTimePrekeyId) -> Option<OneTimePrekeyPair> {
        self.one_time.clone().filter(|pair| pair.id() == id)
    }
}

/// Reads a signed prekey.
pub(super) fn signed(
    vault: &mut dyn VaultTransaction,
    id: SignedPrekeyId,
) -> Result<Option<SignedPrekeyPair>, EngineError> {
    let bytes = vault.get(Table::Prekey, &key(SIGNED, id.0))?;
    bytes.map(|bytes| SignedPrekeyPair::from_bytes(&bytes).map_err(|_| DAMAGED)).transpose()
}

/// Reads a stored one-time prekey, and when it was found to have left the server.
fn one_time_pair(bytes: &[u8]) -> Result<(OneTimePrekeyPair, Option<UnixMillis>), EngineError> {
    let (pair, left) = bytes.split_at_checked(OneTimePrekeyPair::LEN).ok_or(DAMAGED)?;
    let pair = OneTimePrekeyPair::from_bytes(pair).map_err(|_| DAMAGED)?;
    let left = match left {
        [] => None,
        left => Some(UnixMillis(u64::from_be_bytes(left.try_into().map_err(|_| DAMAGED)?))),
    };
    Ok((pair, left))
}

/// Stores a signed prekey.
pub(super) fn store_signed(vault: &mut dyn VaultTransaction, pair: &SignedPrekeyPair) -> Result<(), EngineError> {
    Ok(vault.put(Table::Prekey, &key(SIGNED, pair.id().0), &pair.to_bytes())?)
}

/// Stores a one-time prekey.
pub(super) fn store_one_time(vault: &mut dyn VaultTransaction, pair: &OneTimePrekeyPair) -> Result<(), EngineError> {
    Ok(vault.put(Table::Prekey, &key(ONE_TIME, pair.id().0), &pair.to_bytes())?)
}

/// Puts drawn pairs where they are looked for.
pub(super) fn store_pairs(vault: &mut dyn VaultTransaction, pairs: &StoredPairs) -> Result<(), EngineError> {
    store_signed(vault, &SignedPrekeyPair::from_bytes(&pairs.signed.0).map_err(|_| DAMAGED)?)?;
    for Bin(bytes) in &pairs.one_time {
        store_one_time(vault, &OneTimePrekeyPair::from_bytes(bytes).map_err(|_| DAMAGED)?)?;
    }
    Ok(())
}

/// Removes every pair.
pub(super) fn clear_pairs(vault: &mut dyn VaultTransaction) -> Result<(), EngineError> {
    clear(vault, Table::Prekey)
}

/// Deletes a one-time prekey.
pub(super) fn delete_one_time(vault: &mut dyn VaultTransaction, id: OneTimePrekeyId) -> Result<(), EngineError> {
    vault.delete(Table::Prekey, &key(ONE_TIME, id.0))?;
    Ok(())
}

/// Drops the pairs whose time is over, and notes which one-time prekeys have left the server. Returns whether a signed
/// prekey was dropped.
pub(super) fn sweep(
    vault: &mut dyn VaultTransaction,
    now: UnixMillis,
    left: &BTreeSet<u32>,
) -> Result<bool, EngineError> {
    let mut dropped_signed = false;
    for (name, value) in vault.entries(Table::Prekey)? {
        if name.first() == Some(&SIGNED) {
            if SignedPrekeyPair::from_bytes(&value).map_err(|_| DAMAGED)?.keep_until() <= now {
                vault.delete(Table::Prekey, &name)?;
                dropped_signed = true;
            }
            continue;
        }
        let (pair, left_at) = one_time_pair(&value)?;
        match left_at {
            Some(left_at) if left_at.saturating_add(ONE_TIME_PREKEY_KEPT_MS) <= now => {
                vault.delete(Table::Prekey, &name)?;
            }
            None if !left.contains(&pair.id().0) => {
                let bytes = Zeroizing::new([pair.to_bytes().as_slice(), &now.0.to_be_bytes()].concat());
                vault.put(Table::Prekey, &name, &bytes)?;
            }
            Some(_) | None => {}
        }
    }
    Ok(dropped_signed)
}

/// Returns the signed prekeys whose private half is still kept.
pub(super) fn kept_signed(vault: &mut dyn VaultTransaction) -> Result<BTreeSet<SignedPrekeyId>, EngineError> {
    let names = vault.entries(Table::Prekey)?.into_iter().map(|(name, _)| name);
    let kept = names.filter_map(|name| {
        let id = name.strip_prefix(&[SIGNED])?.try_into().ok()?;
        Some(SignedPrekeyId(u32::from_be_bytes(id)))
    });
    Ok(kept.collect())
}
