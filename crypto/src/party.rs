//! The two devices of a conversation, as a session sees them.

use crate::device_list::DeviceList;
use crate::identity::{AccountIdentityKey, DeviceIdentityKey, DeviceIdentityKeyPair};
use crate::ids::{DeviceAddress, DeviceId};
use crate::labels;
use crate::message::VERSION;
use sealpost_sabotage::{Countermeasure, or_planted};

/// Our own device.
#[derive(Debug, Clone, Copy)]
pub struct LocalDevice<'a> {
    /// Its address.
    pub address: DeviceAddress,
    /// Our account's identity key.
    pub account_identity: AccountIdentityKey,
    /// The device's identity key pair.
    pub identity: &'a DeviceIdentityKeyPair,
    /// Our account's newest device list, which every initial message carries.
    pub device_list: &'a DeviceList,
}

/// A device that we write to. Its keys come from its account's verified device list, never from a bundle or a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteDevice {
    /// Its address.
    pub address: DeviceAddress,
    /// Its account's identity key.
    pub account_identity: AccountIdentityKey,
    /// The device's identity key.
    pub identity: DeviceIdentityKey,
}

impl RemoteDevice {
    /// Returns the device of this id in a verified list, or `None` if the list does not have it.
    #[must_use]
    pub fn from_list(list: &DeviceList, device: DeviceId) -> Option<Self> {
        let entry = list.device(device)?;
        Some(Self {
            address: DeviceAddress { account: list.account(), device, registration: entry.registration },
            account_identity: list.account_identity(),
            identity: entry.identity,
        })
    }

    /// Returns whether the list names this device with the same address and keys.
    pub(crate) fn is_in(&self, list: &DeviceList) -> bool {
        Self::from_list(list, self.address.device).as_ref() == Some(self)
    }
}

/// One side of an agreement as the associated data binds it. Without that binding, one person's keys could be passed off as
/// another's (X3DH section 4.8).
pub(crate) struct Participant {
    pub(crate) address: DeviceAddress,
    pub(crate) account_identity: AccountIdentityKey,
}

impl From<&LocalDevice<'_>> for Participant {
    fn from(device: &LocalDevice<'_>) -> Self {
        Self { address: device.address, account_identity: device.account_identity }
    }
}

impl From<&RemoteDevice> for Participant {
    fn from(device: &RemoteDevice) -> Self {
        Self { address: device.address, account_identity: device.account_identity }
    }
}

/// Returns the appendix of X3DH's `AD`: label (26) ‖ version (1), then for the initiator and for the responder: account id
/// (16) ‖ device id (1) ‖ registration id (32) ‖ `Encode(account identity key)` (33).
pub(crate) fn appendix(initiator: &Participant, responder: &Participant) -> Vec<u8> {
    let bound = [
        labels::X3DH_APPENDIX,
        &[VERSION],
        &initiator.address.to_bytes(),
        &initiator.account_identity.encode(),
        &responder.address.to_bytes(),
        &responder.account_identity.encode(),
    ]
    .concat();
    or_planted(Countermeasure::PartyBinding, bound, Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::AccountIdentityKeyPair;
    use crate::ids::{AccountId, RegistrationId};

    /// One participant as (account, device, registration, key seed), so that each can be changed alone.
    fn participant([account, device, registration, seed]: [u8; 4]) -> Participant {
        Participant {
            address: DeviceAddress {
                account: AccountId::from_bytes([account; 16]),
                device: DeviceId::new(device).unwrap(),
                registration: RegistrationId::from_bytes([registration; 32]),
            },
            account_identity: AccountIdentityKeyPair::from_seed(&[seed; 32]).public(),
        }
    }

    #[test]
    fn the_appendix_binds_every_id_and_key_of_both_sides_and_who_began() {
        let (alice, bob) = ([1, 2, 3, 4], [5, 6, 7, 8]);
        let mut seen = vec![appendix(&participant(alice), &participant(bob))];
        seen.push(appendix(&participant(bob), &participant(alice)));
        for field in 0..4 {
            let (mut other_alice, mut other_bob) = (alice, bob);
            other_alice[field] = 9;
            other_bob[field] = 9;
            seen.push(appendix(&participant(other_alice), &participant(bob)));
            seen.push(appendix(&participant(alice), &participant(other_bob)));
        }
        assert!(seen.iter().all(|appendix| appendix.len() == 191));
        let count = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), count);
    }
}
