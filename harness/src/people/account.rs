//! An account: its identity key, its devices, its newest list.

use sealpost_api::accounts::{NewIdentityRequest, RegisterRequest};
use sealpost_api::devices::PublishDeviceListRequest;
use sealpost_api::encoding::{B64, EncodedDeviceList};
use sealpost_api::ids::ServerId;
use sealpost_api::password::Password;
use sealpost_api::prekeys::DevicePrekeys;
use sealpost_crypto::{AccountId, AccountIdentityKeyPair, DeviceList, DeviceListBody, UnixMillis};

use super::device::Device;

/// An account with its first device.
pub struct Account {
    /// What it is called.
    pub name: String,
    /// Its identity key.
    pub identity: AccountIdentityKeyPair,
    /// Its newest list.
    pub list: DeviceList,
    /// Its first device.
    pub device: Device,
}

impl Account {
    /// Makes an account with new keys, and a first list.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let account = AccountId::generate(&mut rand::rng());
        Self::with(name, account, |identity, device| DeviceListBody {
            account,
            account_identity: identity.public(),
            version: 1,
            previous_hash: [0; 32],
            new_identity: false,
            devices: vec![device.entry()],
        })
    }

    /// Makes the keys and the list with which the same account goes on under a new identity.
    #[must_use]
    pub fn renewed(&self) -> Self {
        Self::with(&self.name, self.id(), |identity, device| DeviceListBody {
            account: self.id(),
            account_identity: identity.public(),
            version: self.list.version().saturating_add(1),
            previous_hash: self.list.hash(),
            new_identity: true,
            devices: vec![device.entry()],
        })
    }

    fn with(
        name: &str,
        account: AccountId,
        body: impl FnOnce(&AccountIdentityKeyPair, &Device) -> DeviceListBody,
    ) -> Self {
        let identity = AccountIdentityKeyPair::generate(&mut rand::rng());
        let device = Device::new(account, 1);
        let list = sign(&identity, body(&identity, &device));
        Self { name: name.to_owned(), identity, list, device }
    }

    /// Returns the account's id.
    #[must_use]
    pub fn id(&self) -> AccountId {
        self.list.account()
    }

    /// Returns a registration, with one-time prekeys of these ids.
    #[must_use]
    pub fn registration(
        &self,
        (server, now): (ServerId, UnixMillis),
        password: &str,
        one_time: impl IntoIterator<Item = u32>,
    ) -> RegisterRequest {
        RegisterRequest {
            username: self.name.clone(),
            password: Password::new(password.to_owned()),
            invite: None,
            device_list: encoded(&self.list),
            device: self.device.prekeys(one_time, now),
            session: self.device.session_request(server),
        }
    }

    /// Returns the call by which the account goes on under the identity that it has now.
    #[must_use]
    pub fn renewal(
        &self,
        (server, now): (ServerId, UnixMillis),
        password: &str,
        one_time: impl IntoIterator<Item = u32>,
    ) -> NewIdentityRequest {
        NewIdentityRequest {
            username: self.name.clone(),
            password: Password::new(password.to_owned()),
            device_list: encoded(&self.list),
            device: self.device.prekeys(one_time, now),
            session: self.device.session_request(server),
        }
    }

    /// Signs the list that follows with these devices.
    #[must_use]
    pub fn next_list(&self, devices: &[&Device]) -> DeviceList {
        let body = DeviceListBody {
            version: self.list.version().saturating_add(1),
            previous_hash: self.list.hash(),
            devices: devices.iter().map(|device| device.entry()).collect(),
            ..self.list.body().clone()
        };
        sign(&self.identity, body)
    }
}

/// Returns the call that publishes a list, with the prekeys of the devices that it adds.
#[must_use]
pub fn publish_request(list: &DeviceList, added: Vec<DevicePrekeys>) -> PublishDeviceListRequest {
    PublishDeviceListRequest { device_list: encoded(list), added }
}

/// Signs a list that breaks no rule.
#[expect(clippy::expect_used, reason = "a test that makes another list has failed")]
fn sign(identity: &AccountIdentityKeyPair, body: DeviceListBody) -> DeviceList {
    DeviceList::sign(identity, body).expect("the list breaks no rule")
}

fn encoded(list: &DeviceList) -> B64<EncodedDeviceList> {
    B64(EncodedDeviceList(list.encoded().to_vec()))
}
