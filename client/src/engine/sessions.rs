//! The ratchet sessions: begun from bundles, used for every message, and repaired when messages cannot be read.

mod bundles;
mod open;
mod pairs;
pub(crate) mod repair;

use std::collections::BTreeSet;

use sealpost_api::prekeys::DeviceBundle;
use sealpost_crypto::{
    AccountId, AccountIdentityKey, DeviceAddress, DeviceId, DeviceList, InitialInfo, PairSessions, PrekeyPrivates,
    RemoteDevice, SignedPrekeyId,
};
use sealpost_sabotage::{Countermeasure, holds};

pub(crate) use bundles::{ask_for_bundles, on_bundles_answer};
pub(crate) use open::Opened;

use super::error::EngineError;
use super::people::People;
use super::records::Me;
use super::step::Step;
use super::store::Cache;
use crate::vault::VaultTransaction;
use bundles::Bundle;

/// Sessions kept in memory: with this many other devices at a time.
const CACHED_MAX: usize = 256;

/// The sessions' state.
pub(crate) struct Sessions {
    pairs: Cache<PairSessions>,
    /// Devices that a session was begun with and nothing was sent in it.
    fresh: BTreeSet<DeviceAddress>,
    /// Devices that have no usable prekey now and get no copy until they come back.
    away: BTreeSet<DeviceAddress>,
}

impl Sessions {
    pub(crate) const fn new() -> Self {
        Self { pairs: Cache::new(CACHED_MAX), fresh: BTreeSet::new(), away: BTreeSet::new() }
    }

    /// Writes what has changed.
    pub(crate) fn flush(&mut self, vault: &mut dyn VaultTransaction) -> Result<(), EngineError> {
        self.pairs.flush(vault)
    }

    /// Opens a message.
    pub(crate) fn open(
        &mut self,
        step: &mut Step<'_>,
        people: People<'_>,
        (from, ciphertext): (DeviceAddress, &[u8]),
        info: Option<&InitialInfo>,
        privates: &dyn PrekeyPrivates,
    ) -> Result<Opened, EngineError> {
        open::open(&mut self.pairs, step, people, (from, ciphertext), info, privates)
    }

    /// Encrypts for a device. `None` if the session's chain is used up: another session is to be begun.
    pub(crate) fn encrypt(
        &mut self,
        step: &mut Step<'_>,
        me: &Me,
        address: DeviceAddress,
        plaintext: &[u8],
    ) -> Result<Option<Vec<u8>>, EngineError> {
        let pair = self.pairs.edit(step.vault, &address)?.ok_or(EngineError::Internal)?;
        let Ok(ciphertext) = pair.encrypt(step.rng, &me.local(), plaintext) else {
            pair.archive_active();
            return Ok(None);
        };
        self.fresh.remove(&address);
        Ok(Some(ciphertext))
    }

    /// Returns the devices that a session must be begun with before a message can be sent to them. A repair request needs
    /// one in which nothing was sent yet.
    pub(crate) fn missing(
        &mut self,
        step: &mut Step<'_>,
        list: &DeviceList,
        targets: &[DeviceAddress],
        fresh: bool,
    ) -> Result<Vec<DeviceId>, EngineError> {
        let mut missing = Vec::new();
        for address in targets {
            // Only a session with the keys of the pinned list: another could have been begun before that was pinned.
            let listed = RemoteDevice::from_list(list, address.device);
            let pair = self.pairs.get(step.vault, address)?;
            let usable = pair.is_some_and(|pair| {
                pair.has_sending_session() && holds(Countermeasure::IdentityPin, listed.as_ref() == Some(pair.remote()))
            });
            if !usable || (fresh && !self.fresh.contains(address)) {
                missing.push(address.device);
            }
        }
        Ok(missing)
    }

    /// Begins sessions from bundles that came under an account's pinned list.
    pub(crate) fn begin(
        &mut self,
        step: &mut Step<'_>,
        me: &Me,
        list: &DeviceList,
        taken: &[DeviceBundle],
    ) -> Result<(), EngineError> {
        let mut begun = false;
        for bundle in taken {
            match bundles::begin(&mut self.pairs, step, me, list, bundle)? {
                Bundle::Session(address) => {
                    self.fresh.insert(address);
                    begun = true;
                }
                Bundle::Away(address) => {
                    self.away.insert(address);
                }
                Bundle::NoKeys => bundles::wait_for_keys(step, list.account()),
                Bundle::Unacceptable => {
                    bundles::unacceptable(step, list.account());
                    return Ok(());
                }
            }
        }
        if !begun {
            bundles::wait(step, list.account());
        }
        Ok(())
    }

    /// Returns whether a device has been away for so long that it gets no copies.
    pub(crate) fn is_away(&self, address: &DeviceAddress) -> bool {
        self.away.contains(address)
    }

    /// Tries every device of an account again.
    pub(crate) fn try_again(&mut self, account: AccountId) {
        self.away.retain(|address| address.account != account);
    }

    /// Returns the account identity key that the sessions with a device were begun with. They are in memory after one of
    /// its messages was opened.
    pub(crate) fn identity(&self, address: &DeviceAddress) -> Option<AccountIdentityKey> {
        self.pairs.peek(address).map(|pair| pair.remote().account_identity)
    }

    /// Forbids all sessions to send, because their ratchets may have advanced elsewhere.
    pub(crate) fn retire(&mut self, vault: &mut dyn VaultTransaction) -> Result<(), EngineError> {
        self.fresh.clear();
        self.pairs.edit_all(vault, PairSessions::make_receive_only)
    }

    /// Forgets the base keys whose replay would need a signed prekey that is gone.
    pub(crate) fn forget_base_keys(
        &mut self,
        vault: &mut dyn VaultTransaction,
        alive: &BTreeSet<SignedPrekeyId>,
    ) -> Result<(), EngineError> {
        self.pairs.edit_all(vault, |pair| pair.forget_base_keys(|id| alive.contains(&id)))
    }

    /// Forgets a device.
    pub(crate) fn forget(
        &mut self,
        vault: &mut dyn VaultTransaction,
        address: &DeviceAddress,
    ) -> Result<(), EngineError> {
        self.fresh.remove(address);
        self.away.remove(address);
        self.pairs.remove(vault, address)
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self, vault: &mut dyn VaultTransaction) -> Result<(), EngineError> {
        self.fresh.clear();
        self.pairs.clear(vault)
    }
}
