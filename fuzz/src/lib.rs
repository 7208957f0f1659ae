//! Helpers of the targets: two people who are the same in every run, so that a saved input keeps its meaning.

use std::sync::OnceLock;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use sealpost_api::ids::{ServerId, SessionId};
use sealpost_crypto::{
    AccountId, AccountIdentityKeyPair, DeviceAddress, DeviceEntry, DeviceId, DeviceIdentityKeyPair, DeviceList,
    DeviceListBody, LocalDevice, OneTimePrekeyId, OneTimePrekeyPair, PairSessions, PrekeyBundle, PrekeyPrivates,
    RegistrationId, RemoteDevice, SignedPrekey, SignedPrekeyId, SignedPrekeyPair, UnixMillis,
};
use sealpost_server::service::tokens::{TokenKey, TokenKeyId, Tokens};

/// The time of everything.
pub const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

/// Returns a generator with the same output in every run.
#[must_use]
pub fn rng() -> StdRng {
    StdRng::seed_from_u64(7)
}

/// A person with one device.
pub struct Person {
    account_identity: AccountIdentityKeyPair,
    identity: DeviceIdentityKeyPair,
    signed: SignedPrekeyPair,
    one_time: OneTimePrekeyPair,
    /// The device.
    pub address: DeviceAddress,
    /// The device list.
    pub list: DeviceList,
}

impl Person {
    fn new(seed: u64) -> Self {
        let rng = &mut StdRng::seed_from_u64(seed);
        let account_identity = AccountIdentityKeyPair::generate(rng);
        let identity = DeviceIdentityKeyPair::generate(rng);
        let address = DeviceAddress {
            account: AccountId::generate(rng),
            device: DeviceId::PRIMARY,
            registration: RegistrationId::generate(rng),
        };
        let entry =
            DeviceEntry { device: address.device, registration: address.registration, identity: identity.public() };
        let body = DeviceListBody {
            account: address.account,
            account_identity: account_identity.public(),
            version: 1,
            previous_hash: [0; 32],
            new_identity: false,
            devices: vec![entry],
        };
        let list = DeviceList::sign(&account_identity, body).expect("one device is a list");
        let signed = SignedPrekeyPair::generate(rng, SignedPrekeyId(1), NOW);
        let one_time = OneTimePrekeyPair::generate(rng, OneTimePrekeyId(1));
        Self { account_identity, identity, signed, one_time, address, list }
    }

    /// Returns Alice, who writes.
    #[must_use]
    pub fn alice() -> &'static Self {
        static ALICE: OnceLock<Person> = OnceLock::new();
        ALICE.get_or_init(|| Self::new(1))
    }

    /// Returns Bob, whose side the fuzzer attacks.
    #[must_use]
    pub fn bob() -> &'static Self {
        static BOB: OnceLock<Person> = OnceLock::new();
        BOB.get_or_init(|| Self::new(2))
    }

    /// Returns the device as its owner sees it.
    #[must_use]
    pub fn local(&self) -> LocalDevice<'_> {
        LocalDevice {
            address: self.address,
            account_identity: self.account_identity.public(),
            identity: &self.identity,
            device_list: &self.list,
        }
    }

    /// Returns the device as others see it.
    #[must_use]
    pub fn remote(&self) -> RemoteDevice {
        RemoteDevice::from_list(&self.list, self.address.device).expect("the device is in its list")
    }

    /// Returns the signed prekey in the form that the server stores.
    #[must_use]
    pub fn signed_prekey(&self) -> SignedPrekey {
        self.signed.signed(&self.address, &self.identity)
    }

    /// Returns the bundle that the server gives out.
    #[must_use]
    pub fn bundle(&self) -> PrekeyBundle {
        PrekeyBundle {
            address: self.address,
            signed_prekey: self.signed_prekey(),
            one_time_prekey: Some(self.one_time.public()),
        }
    }

    /// Returns three messages from Alice, and Bob's sessions after the first.
    #[must_use]
    pub fn conversation() -> &'static ([Vec<u8>; 3], Vec<u8>) {
        static CONVERSATION: OnceLock<([Vec<u8>; 3], Vec<u8>)> = OnceLock::new();
        CONVERSATION.get_or_init(|| {
            let (alice, bob, mut rng) = (Self::alice(), Self::bob(), rng());
            let mut sender = PairSessions::new(bob.remote());
            let bundle = bob.bundle().verify(&bob.remote(), NOW).expect("Bob signed it");
            sender.initiate(&mut rng, &alice.local(), &bundle).expect("Bob's keys are good");
            let messages =
                [0, 1, 2].map(|_| sender.encrypt(&mut rng, &alice.local(), b"Hello").expect("there is a session"));
            let mut receiver = PairSessions::new(alice.remote());
            let [first, ..] = &messages;
            receiver.decrypt(&mut rng, &bob.local(), first, bob).expect("it is for Bob");
            (messages, receiver.to_bytes().to_vec())
        })
    }

    /// Returns Bob's sessions with Alice after one message.
    #[must_use]
    pub fn session_with_alice(&self) -> PairSessions {
        PairSessions::from_bytes(&Self::conversation().1).expect("it was just written")
    }
}

impl PrekeyPrivates for Person {
    fn signed_prekey(&self, id: SignedPrekeyId) -> Option<SignedPrekeyPair> {
        (id == self.signed.id()).then(|| self.signed.clone())
    }

    fn one_time_prekey(&self, id: OneTimePrekeyId) -> Option<OneTimePrekeyPair> {
        (id == self.one_time.id()).then(|| self.one_time.clone())
    }
}

/// Returns a server's tokens.
#[must_use]
pub fn tokens() -> &'static Tokens {
    static TOKENS: OnceLock<Tokens> = OnceLock::new();
    TOKENS.get_or_init(|| {
        let id = TokenKeyId::parse("k1").expect("it is an id");
        Tokens::new(&[TokenKey::from_seed(id, &[9; 32])], ServerId::from_bytes([8; 16])).expect("one key will do")
    })
}

/// Returns the only token.
#[must_use]
pub fn issued_token() -> &'static str {
    static TOKEN: OnceLock<String> = OnceLock::new();
    TOKEN.get_or_init(|| {
        let session = SessionId::from_bytes([7; 16]);
        let token = tokens().issue(NOW, &Person::bob().address, session, 1).expect("nothing can fail");
        token.reveal().to_owned()
    })
}
