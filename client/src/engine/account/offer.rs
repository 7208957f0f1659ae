//! Becoming a device of an existing account: the device is offered, listed by the primary one, and logs in.

use sealpost_api::password::Password;
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, DeviceAddress, DeviceId, DeviceIdentityKeyPair, DeviceList, RegistrationId};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::prekeys::{Keys, StoredPairs, first_keys};
use super::request::{AccountRequest, Aim, NewDevice};
use crate::engine::codec::{Bin, bin};
use crate::engine::command::{DeviceOffer, Outcome};
use crate::engine::error::EngineError;
use crate::engine::records::StoredMe;
use crate::engine::step::Step;
use crate::engine::store::{Record, Single};
use crate::engine::waiting::Begun;
use crate::vault::Table;

/// A device that was offered to an account and is not in its list yet.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Offered {
    username: Bin<Username>,
    #[serde(with = "bin")]
    address: DeviceAddress,
    device_seed: Bin<Zeroizing<[u8; 32]>>,
    keys: Keys,
    pairs: StoredPairs,
}

impl Record for Offered {
    const TABLE: Table = Table::Identity;
    const KEY: &'static [u8] = b"offered";
    const WHAT: &'static str = "the offered device";
}

/// Makes this profile a device that waits to be listed.
pub(super) fn offer(
    offered: &mut Single<Offered>,
    step: &mut Step<'_>,
    username: Username,
    account: AccountId,
    device: DeviceId,
) -> Result<Begun, EngineError> {
    let registration = RegistrationId::generate(step.rng);
    let address = DeviceAddress { account, device, registration };
    let identity = DeviceIdentityKeyPair::generate(step.rng);
    let first = first_keys(step, &address, &identity)?;
    offered.set(Offered {
        username: Bin(username),
        address,
        device_seed: Bin(identity.seed()),
        keys: first.keys,
        pairs: first.pairs,
    });
    let offer = DeviceOffer { address, identity: identity.public(), prekeys: first.public };
    Ok(Begun::Done(Outcome::Offer(Box::new(offer))))
}

/// Returns the request to log in on the offered device; `None` if the list does not have it. The offer stays until the
/// log-in is done, for another try.
pub(super) fn join(offered: &Offered, password: Password, device_list: &[u8]) -> Option<AccountRequest> {
    let identity = DeviceIdentityKeyPair::from_seed(&offered.device_seed.0).public();
    let list = DeviceList::decode(device_list).ok()?;
    let entry = list.device(offered.address.device).filter(|_| list.contains(&offered.address))?;
    if entry.identity != identity {
        return None;
    }
    let me = StoredMe {
        username: offered.username.clone(),
        account_seed: None,
        device_seed: offered.device_seed.clone(),
        device: offered.address.device.get(),
        registration: offered.address.registration,
        lists: vec![Bin(list)],
    };
    let device = NewDevice { me, keys: offered.keys.clone(), pairs: offered.pairs.clone() };
    Some(AccountRequest::new(offered.username.0.clone(), password, Aim::Join(Box::new(device))))
}
