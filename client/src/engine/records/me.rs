//! Who this profile is.

use sealpost_api::username::Username;
use sealpost_crypto::{
    AccountIdentityKeyPair, DeviceAddress, DeviceId, DeviceIdentityKeyPair, DeviceList, LocalDevice, RegistrationId,
};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::engine::codec::{Bin, bin};
use crate::engine::store::Record;
use crate::vault::Table;

/// Who this profile is, as stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredMe {
    pub(crate) username: Bin<Username>,
    /// Only on the primary device.
    pub(crate) account_seed: Option<Bin<Zeroizing<[u8; 32]>>>,
    pub(crate) device_seed: Bin<Zeroizing<[u8; 32]>>,
    pub(crate) device: u8,
    #[serde(with = "bin")]
    pub(crate) registration: RegistrationId,
    /// The account's device lists that this profile knows, oldest first; the last is the newest.
    pub(crate) lists: Vec<Bin<DeviceList>>,
}

/// Who this profile is.
pub(crate) struct Me {
    pub(crate) username: Username,
    /// Only on the primary device.
    pub(crate) account_identity: Option<AccountIdentityKeyPair>,
    pub(crate) identity: DeviceIdentityKeyPair,
    pub(crate) address: DeviceAddress,
    /// The newest device list of the account.
    pub(crate) list: DeviceList,
    /// Older lists of the account, oldest first.
    pub(crate) older: Vec<DeviceList>,
}

impl Me {
    /// Reads the stored form; `None` if it does not fit together.
    pub(crate) fn from_stored(stored: StoredMe) -> Option<Self> {
        let mut lists: Vec<DeviceList> = stored.lists.into_iter().map(|list| list.0).collect();
        let list = lists.pop()?;
        Some(Self {
            username: stored.username.0,
            account_identity: stored.account_seed.map(|seed| AccountIdentityKeyPair::from_seed(&seed.0)),
            identity: DeviceIdentityKeyPair::from_seed(&stored.device_seed.0),
            address: DeviceAddress {
                account: list.account(),
                device: DeviceId::new(stored.device).ok()?,
                registration: stored.registration,
            },
            list,
            older: lists,
        })
    }

    fn to_stored(&self) -> StoredMe {
        StoredMe {
            username: Bin(self.username.clone()),
            account_seed: self.account_identity.as_ref().map(|pair| Bin(pair.seed())),
            device_seed: Bin(self.identity.seed()),
            device: self.address.device.get(),
            registration: self.address.registration,
            lists: self.older.iter().chain([&self.list]).cloned().map(Bin).collect(),
        }
    }

    /// Returns this device as a session sees it.
    pub(crate) fn local(&self) -> LocalDevice<'_> {
        LocalDevice {
            address: self.address,
            account_identity: self.list.account_identity(),
            identity: &self.identity,
            device_list: &self.list,
        }
    }
}

impl Record for Me {
    const TABLE: Table = Table::Identity;
    const KEY: &'static [u8] = b"me";
    const WHAT: &'static str = "the account";
}

impl Serialize for Me {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_stored().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Me {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_stored(StoredMe::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("not an account"))
    }
}
