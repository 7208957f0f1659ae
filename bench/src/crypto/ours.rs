//! Our side.

use anyhow::{Context as _, Result};
use sealpost_crypto::{
    AccountId, AccountIdentityKeyPair, DeviceAddress, DeviceEntry, DeviceId, DeviceIdentityKeyPair, DeviceList,
    DeviceListBody, LocalDevice, OneTimePrekeyId, OneTimePrekeyPair, PairSessions, PrekeyBundle, PrekeyPrivates,
    RegistrationId, RemoteDevice, SignedPrekeyId, SignedPrekeyPair, UnixMillis,
};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

/// One account with one device and one prekey of each kind.
struct Person {
    account: AccountIdentityKeyPair,
    identity: DeviceIdentityKeyPair,
    list: DeviceList,
    address: DeviceAddress,
    signed_prekey: SignedPrekeyPair,
    one_time_prekey: OneTimePrekeyPair,
}

impl Person {
    fn new() -> Result<Self> {
        let mut rng = rand::rng();
        let account = AccountIdentityKeyPair::generate(&mut rng);
        let identity = DeviceIdentityKeyPair::generate(&mut rng);
        let entry = DeviceEntry {
            device: DeviceId::PRIMARY,
            registration: RegistrationId::generate(&mut rng),
            identity: identity.public(),
        };
        let body = DeviceListBody {
            account: AccountId::generate(&mut rng),
            account_identity: account.public(),
            version: 1,
            previous_hash: [0; 32],
            new_identity: false,
            devices: vec![entry],
        };
        let list = DeviceList::sign(&account, body)?;
        let address = list.addresses().next().context("a list has a device")?;
        Ok(Self {
            address,
            account,
            identity,
            list,
            signed_prekey: SignedPrekeyPair::generate(&mut rng, SignedPrekeyId(1), NOW),
            one_time_prekey: OneTimePrekeyPair::generate(&mut rng, OneTimePrekeyId(1)),
        })
    }

    fn local(&self) -> LocalDevice<'_> {
        LocalDevice {
            address: self.address,
            account_identity: self.account.public(),
            identity: &self.identity,
            device_list: &self.list,
        }
    }

    fn remote(&self) -> Result<RemoteDevice> {
        RemoteDevice::from_list(&self.list, self.address.device).context("the device is in its list")
    }

    fn bundle(&self) -> PrekeyBundle {
        PrekeyBundle {
            address: self.address,
            signed_prekey: self.signed_prekey.signed(&self.address, &self.identity),
            one_time_prekey: Some(self.one_time_prekey.public()),
        }
    }
}

impl PrekeyPrivates for Person {
    fn signed_prekey(&self, _: SignedPrekeyId) -> Option<SignedPrekeyPair> {
        Some(self.signed_prekey.clone())
    }

    fn one_time_prekey(&self, _: OneTimePrekeyId) -> Option<OneTimePrekeyPair> {
        Some(self.one_time_prekey.clone())
    }
}

/// Two who begin and accept one session after another.
pub(crate) struct People {
    alice: Person,
    bob: Person,
    bundle: PrekeyBundle,
    alice_seen: RemoteDevice,
    bob_seen: RemoteDevice,
}

impl People {
    pub(crate) fn new() -> Result<Self> {
        let (alice, bob) = (Person::new()?, Person::new()?);
        let (alice_seen, bob_seen) = (alice.remote()?, bob.remote()?);
        Ok(Self { bundle: bob.bundle(), alice, bob, alice_seen, bob_seen })
    }

    /// Verifies a bundle, begins a session and encrypts the first message.
    pub(crate) fn initiate(&mut self, plaintext: &[u8]) -> Result<Vec<u8>> {
        let mut rng = rand::rng();
        let bundle = self.bundle.verify(&self.bob_seen, NOW)?;
        let mut sessions = PairSessions::new(self.bob_seen);
        sessions.initiate(&mut rng, &self.alice.local(), &bundle)?;
        Ok(sessions.encrypt(&mut rng, &self.alice.local(), plaintext)?)
    }

    /// Decrypts a first message, its sender's device list verified.
    pub(crate) fn accept(&mut self, message: &[u8]) -> Result<()> {
        let mut sessions = PairSessions::new(self.alice_seen);
        sessions.decrypt(&mut rand::rng(), &self.bob.local(), message, &self.bob)?;
        Ok(())
    }
}

/// Two in the middle of a conversation.
pub(crate) struct Conversation {
    alice: Person,
    bob: Person,
    at_alice: PairSessions,
    at_bob: PairSessions,
}

impl Conversation {
    pub(crate) fn settled() -> Result<Self> {
        let (alice, bob) = (Person::new()?, Person::new()?);
        let bundle = bob.bundle().verify(&bob.remote()?, NOW)?;
        let (mut at_alice, at_bob) = (PairSessions::new(bob.remote()?), PairSessions::new(alice.remote()?));
        at_alice.initiate(&mut rand::rng(), &alice.local(), &bundle)?;
        let mut conversation = Self { alice, bob, at_alice, at_bob };
        let message = conversation.alice_encrypts(b"first")?;
        conversation.bob_decrypts(&message)?;
        let message = conversation.bob_encrypts(b"reply")?;
        conversation.alice_decrypts(&message)?;
        let message = conversation.alice_encrypts(b"settled")?;
        conversation.bob_decrypts(&message)?;
        Ok(conversation)
    }

    pub(crate) fn alice_encrypts(&mut self, plaintext: &[u8]) -> Result<Vec<u8>> {
        Ok(self.at_alice.encrypt(&mut rand::rng(), &self.alice.local(), plaintext)?)
    }

    pub(crate) fn bob_encrypts(&mut self, plaintext: &[u8]) -> Result<Vec<u8>> {
        Ok(self.at_bob.encrypt(&mut rand::rng(), &self.bob.local(), plaintext)?)
    }

    pub(crate) fn alice_decrypts(&mut self, message: &[u8]) -> Result<()> {
        self.at_alice.decrypt(&mut rand::rng(), &self.alice.local(), message, &self.alice)?;
        Ok(())
    }

    pub(crate) fn bob_decrypts(&mut self, message: &[u8]) -> Result<()> {
        self.at_bob.decrypt(&mut rand::rng(), &self.bob.local(), message, &self.bob)?;
        Ok(())
    }
}
