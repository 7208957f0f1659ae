//! Helpers that several test modules share.

use std::collections::HashMap;

use rand_core::{CryptoRng, Infallible, TryCryptoRng, TryRng};

use crate::*;

/// A generator that returns exactly the bytes it was given, and fails a test that asks for more.
pub(crate) struct ReplayRng {
    bytes: Vec<u8>,
    used: usize,
}

impl ReplayRng {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), used: 0 }
    }

    pub(crate) fn is_used_up(&self) -> bool {
        self.used == self.bytes.len()
    }
}

impl TryRng for ReplayRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes).map(|()| u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes).map(|()| u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        let end = self.used + dst.len();
        dst.copy_from_slice(self.bytes.get(self.used..end).expect("no more randomness was expected to be drawn"));
        self.used = end;
        Ok(())
    }
}

impl TryCryptoRng for ReplayRng {}

/// Returns a generator with the same output in every run.
pub(crate) fn seeded_rng(seed: u64) -> impl CryptoRng {
    use rand::SeedableRng as _;
    rand::rngs::StdRng::seed_from_u64(seed)
}

/// Returns every encoding for which X25519 gives zeros: the points of low order, their encodings above p, and each of those
/// with the top bit set, which X25519 ignores.
pub(crate) fn low_order_encodings() -> Vec<[u8; 32]> {
    let mut encodings = crate::prekey::LOW_ORDER.to_vec();
    for low in [0xed, 0xee] {
        let mut above = [0xff; 32];
        (above[0], above[31]) = (low, 0x7f);
        encodings.push(above);
    }
    for mut encoding in encodings.clone() {
        encoding[31] |= 0x80;
        encodings.push(encoding);
    }
    encodings
}

/// Returns every encoding of the eight points of small order that decodes without the strict checks.
pub(crate) fn small_order_identities() -> Vec<DeviceIdentityKey> {
    let canonical = curve25519_dalek::constants::EIGHT_TORSION.map(|point| point.compress().to_bytes());
    // p and p + 1: second encodings of y = 0 and y = 1. A set sign is a second encoding where x = 0.
    let above = [0xed, 0xee].map(|low| {
        let mut above = [0xff; 32];
        (above[0], above[31]) = (low, 0x7f);
        above
    });
    let encodings = canonical.into_iter().chain(above).flat_map(|bytes| {
        let mut signed = bytes;
        signed[31] ^= 0x80;
        [bytes, signed]
    });
    encodings.filter_map(|bytes| DeviceIdentityKey::unchecked(&bytes)).collect()
}

/// A person: an account with one device and its prekeys.
pub(crate) struct Person {
    pub(crate) account: AccountIdentityKeyPair,
    pub(crate) identity: DeviceIdentityKeyPair,
    pub(crate) list: DeviceList,
    pub(crate) address: DeviceAddress,
    pub(crate) signed_prekeys: HashMap<SignedPrekeyId, SignedPrekeyPair>,
    pub(crate) one_time_prekeys: HashMap<OneTimePrekeyId, OneTimePrekeyPair>,
}

pub(crate) const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

impl Person {
    /// Makes a person with signed prekey 1 and one-time prekeys 1 to 50.
    pub(crate) fn new<R: CryptoRng>(rng: &mut R) -> Self {
        let account = AccountIdentityKeyPair::generate(rng);
        let identity = DeviceIdentityKeyPair::generate(rng);
        let entry = DeviceEntry {
            device: DeviceId::PRIMARY,
            registration: RegistrationId::generate(rng),
            identity: identity.public(),
        };
        let body = DeviceListBody::first(AccountId::generate(rng), account.public(), entry);
        let list = DeviceList::sign(&account, body).unwrap();
        let address = list.addresses().next().unwrap();
        let mut person =
            Self { account, identity, list, address, signed_prekeys: HashMap::new(), one_time_prekeys: HashMap::new() };
        person.add_signed_prekey(rng, 1);
        for id in 1..=50 {
            let pair = OneTimePrekeyPair::generate(rng, OneTimePrekeyId(id));
            person.one_time_prekeys.insert(pair.id(), pair);
        }
        person
    }

    pub(crate) fn add_signed_prekey<R: CryptoRng>(&mut self, rng: &mut R, id: u32) {
        let pair = SignedPrekeyPair::generate(rng, SignedPrekeyId(id), NOW);
        self.signed_prekeys.insert(pair.id(), pair);
    }

    pub(crate) fn local(&self) -> LocalDevice<'_> {
        LocalDevice {
            address: self.address,
            account_identity: self.account.public(),
            identity: &self.identity,
            device_list: &self.list,
        }
    }

    pub(crate) fn remote(&self) -> RemoteDevice {
        RemoteDevice::from_list(&self.list, self.address.device).unwrap()
    }

    pub(crate) fn raw_bundle(&self, one_time: Option<u32>) -> PrekeyBundle {
        PrekeyBundle {
            address: self.address,
            signed_prekey: self.signed_prekeys[&SignedPrekeyId(1)].signed(&self.address, &self.identity),
            one_time_prekey: one_time.map(|id| self.one_time_prekeys[&OneTimePrekeyId(id)].public()),
        }
    }

    pub(crate) fn bundle(&self, one_time: Option<u32>) -> VerifiedPrekeyBundle {
        self.raw_bundle(one_time).verify(&self.remote(), NOW).unwrap()
    }
}

impl PrekeyPrivates for Person {
    fn signed_prekey(&self, id: SignedPrekeyId) -> Option<SignedPrekeyPair> {
        self.signed_prekeys.get(&id).cloned()
    }

    fn one_time_prekey(&self, id: OneTimePrekeyId) -> Option<OneTimePrekeyPair> {
        self.one_time_prekeys.get(&id).cloned()
    }
}
