//! People and devices for the cases: real keys and signed lists, made from a counter so that no two are alike.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use sealpost_api::frames::{Copy, Send, SendKind};
use sealpost_api::ids::{ConnectionEpoch, MessageNumber, RefreshTokenHash, RowId, SessionId};
use sealpost_api::username::Username;
use sealpost_crypto::{
    AccountId, AccountIdentityKeyPair, DeviceAddress, DeviceEntry, DeviceId, DeviceIdentityKeyPair, DeviceList,
    DeviceListBody, OneTimePrekey, OneTimePrekeyId, PrekeyPublic, RegistrationId, Signature, SignedPrekey,
    SignedPrekeyId, UnixMillis,
};
use sealpost_server::store::{
    Accept, AcceptOutcome, CreateAccount, DeviceKeys, LogIn, NewAccount, NewSession, OpenConnection, PublishList,
    PublishOutcome, QueueItem, QueueLimits, StartSession, Store,
};

/// The store under test.
pub(crate) type S = Arc<dyn Store>;
/// The time at which every case begins.
pub(crate) const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
/// A day, in ms.
pub(crate) const DAY: u64 = 24 * 3_600_000;
/// Quotas that no case meets by accident.
pub(crate) const LIMITS: QueueLimits = QueueLimits {
    messages_max: 10_000,
    bytes_max: 64 * 1024 * 1024,
    sender_messages_max: 10_000,
    dormant_after_millis: 30 * DAY,
};

/// How much a test does: as said here, or as an environment variable says for the long form.
pub(crate) fn size(variable: &str, short: usize) -> usize {
    std::env::var(variable).map_or(short, |text| text.parse().unwrap())
}

/// Bytes that were never given before.
pub(crate) fn fresh<const N: usize>() -> [u8; N] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0x2a; N];
    bytes[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    bytes
}

pub(crate) fn id(device: u8) -> DeviceId {
    DeviceId::new(device).unwrap()
}

pub(crate) fn one_time(key_id: u32) -> OneTimePrekey {
    OneTimePrekey { id: OneTimePrekeyId(key_id), key: PrekeyPublic::from_bytes(&fresh()).unwrap() }
}

pub(crate) fn signed(key_id: u32) -> SignedPrekey {
    SignedPrekey {
        id: SignedPrekeyId(key_id),
        key: PrekeyPublic::from_bytes(&fresh()).unwrap(),
        expires_at: NOW.saturating_add(45 * DAY),
        signature: Signature::from_bytes([3; 64]),
    }
}

/// What everybody registers with.
const PASSWORD_HASH: &str = "hash 1";

/// A session for somebody who showed the password that people register with.
pub(crate) fn with_password(session: NewSession) -> LogIn {
    LogIn { session, password_hash: PASSWORD_HASH.to_owned() }
}

/// A device with an open connection.
#[derive(Clone)]
pub(crate) struct Device {
    pub(crate) address: DeviceAddress,
    pub(crate) entry: DeviceEntry,
    pub(crate) session: SessionId,
    pub(crate) refresh_hash: RefreshTokenHash,
    pub(crate) epoch: ConnectionEpoch,
}

impl Device {
    pub(crate) fn new(account: AccountId, device: u8) -> Self {
        let registration = RegistrationId::from_bytes(fresh());
        let identity = DeviceIdentityKeyPair::from_seed(&fresh()).public();
        Self {
            address: DeviceAddress { account, device: id(device), registration },
            entry: DeviceEntry { device: id(device), registration, identity },
            session: SessionId::from_bytes(fresh()),
            refresh_hash: RefreshTokenHash::from_bytes(fresh()),
            epoch: ConnectionEpoch(0),
        }
    }

    pub(crate) fn new_session(&self) -> NewSession {
        NewSession { id: self.session, address: self.address, refresh_hash: self.refresh_hash }
    }

    /// The same with the password that people register with.
    pub(crate) fn log_in(&self) -> LogIn {
        with_password(self.new_session())
    }

    pub(crate) fn keys(&self) -> DeviceKeys {
        DeviceKeys { device: self.address.device, signed_prekey: signed(1), one_time_prekeys: vec![] }
    }

    /// Opens a connection and remembers its epoch.
    pub(crate) async fn connect(&mut self, store: &S, now: UnixMillis) {
        match store.open_connection(self.address, self.session, 1, now).await.unwrap() {
            OpenConnection::Opened { epoch, .. } => self.epoch = epoch,
            OpenConnection::Refused => panic!("the connection was refused"),
        }
    }

    /// A copy of `text` for this device.
    pub(crate) fn copy(&self, text: &str) -> Copy {
        Copy {
            device: self.address.device,
            registration: self.address.registration,
            ciphertext: Bytes::copy_from_slice(text.as_bytes()),
        }
    }

    pub(crate) fn accept(&self, number: u64, to: AccountId, copies: Vec<Copy>) -> Accept {
        Accept {
            from: self.address,
            epoch: self.epoch,
            send: Send { number: MessageNumber(number), to, kind: SendKind::Message, copies },
            rate: Ok(()),
            limits: LIMITS,
        }
    }

    /// Sends `text` to every device of `to`.
    pub(crate) async fn send(&self, store: &S, number: u64, to: &Person, text: &str) -> AcceptOutcome {
        let copies = to.devices.iter().map(|device| device.copy(text)).collect();
        store.accept(self.accept(number, to.id, copies), NOW).await.unwrap()
    }

    /// Everything that waits.
    pub(crate) async fn waiting(&self, store: &S) -> Vec<QueueItem> {
        store.undelivered(self.address, &BTreeSet::new(), 100_000, usize::MAX).await.unwrap()
    }

    /// The texts of the messages that wait, with their senders.
    pub(crate) async fn texts(&self, store: &S) -> Vec<(DeviceAddress, u64, String)> {
        let messages = self.waiting(store).await.into_iter().filter_map(|item| match item {
            QueueItem::Message { from, number, ciphertext, .. } => {
                Some((from, number.0, String::from_utf8(ciphertext.to_vec()).unwrap()))
            }
            _ => None,
        });
        messages.collect()
    }

    pub(crate) async fn ack(&self, store: &S, ids: &[RowId]) -> Option<u64> {
        store.acknowledge(self.address, self.epoch, ids.to_vec()).await.unwrap()
    }
}

/// An account with its keys and devices.
pub(crate) struct Person {
    pub(crate) id: AccountId,
    pub(crate) name: Username,
    pub(crate) keys: AccountIdentityKeyPair,
    pub(crate) list: DeviceList,
    pub(crate) devices: Vec<Device>,
}

impl Person {
    /// Not registered yet; one device.
    pub(crate) fn new(name: &str) -> Self {
        let keys = AccountIdentityKeyPair::from_seed(&fresh());
        let account = AccountId::from_bytes(fresh());
        let device = Device::new(account, 1);
        let list = sign(&keys, account, 1, [0; 32], false, std::slice::from_ref(&device));
        Self { id: account, name: Username::parse(name).unwrap(), keys, list, devices: vec![device] }
    }

    /// Registered, with this many devices, all connected.
    pub(crate) async fn register(store: &S, name: &str, devices: u8) -> Self {
        let mut person = Self::new(name);
        assert_eq!(store.create_account(person.new_account(), NOW).await.unwrap(), CreateAccount::Created);
        person.devices[0].connect(store, NOW).await;
        for device in 2..=devices {
            person.add_device(store, device).await;
        }
        person
    }

    pub(crate) fn new_account(&self) -> NewAccount {
        NewAccount {
            username: self.name.clone(),
            username_hash: self.name_hash(),
            password_hash: PASSWORD_HASH.to_owned(),
            device_list: self.list.clone(),
            keys: self.devices[0].keys(),
            session: self.devices[0].new_session(),
            invite_hash: None,
        }
    }

    pub(crate) fn name_hash(&self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash[..self.name.as_str().len()].copy_from_slice(self.name.as_str().as_bytes());
        hash
    }

    /// The list that follows with these devices.
    pub(crate) fn next_list(&self, devices: &[Device]) -> DeviceList {
        sign(&self.keys, self.id, self.list.version() + 1, self.list.hash(), false, devices)
    }

    /// Publishes a list with these devices, in place of the present ones.
    pub(crate) async fn publish(&mut self, store: &S, devices: Vec<Device>) -> PublishOutcome {
        let known: Vec<_> = self.devices.iter().map(|device| device.address).collect();
        let added = devices.iter().filter(|device| !known.contains(&device.address)).map(Device::keys).collect();
        let list = self.next_list(&devices);
        let publish = PublishList { device_list: list.clone(), added, log_in: None };
        let outcome = store.publish_device_list(publish, NOW).await.unwrap();
        if matches!(outcome, PublishOutcome::Published { .. }) {
            (self.list, self.devices) = (list, devices);
        }
        outcome
    }

    /// Adds a device, with a session and a connection.
    pub(crate) async fn add_device(&mut self, store: &S, device: u8) {
        let mut devices = self.devices.clone();
        devices.push(Device::new(self.id, device));
        assert!(matches!(self.publish(store, devices).await, PublishOutcome::Published { .. }));
        let added = self.devices.last_mut().unwrap();
        let started = store.start_session(added.log_in(), NOW).await.unwrap();
        assert!(matches!(started, StartSession::Started { generation: 1, .. }), "{started:?}");
        added.connect(store, NOW).await;
    }
}

pub(crate) fn sign(
    keys: &AccountIdentityKeyPair,
    account: AccountId,
    version: u64,
    previous_hash: [u8; 32],
    new_identity: bool,
    devices: &[Device],
) -> DeviceList {
    let body = DeviceListBody {
        account,
        account_identity: keys.public(),
        version,
        previous_hash,
        new_identity,
        devices: devices.iter().map(|device| device.entry).collect(),
    };
    DeviceList::sign(keys, body).unwrap()
}

/// The rows of an accepted message.
pub(crate) fn rows(outcome: AcceptOutcome) -> Vec<RowId> {
    match outcome {
        AcceptOutcome::Accepted { rows, .. } => rows.into_iter().map(|(_, row)| row).collect(),
        other => panic!("not accepted: {other:?}"),
    }
}
