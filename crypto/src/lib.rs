//! Keys, agreement and ratchets of Sealpost: X3DH revision 1 and the double ratchet revision 4, in one suite.
//!
//! The crate does no I/O, reads no clock, keeps no global state and draws no randomness of its own: the caller passes in the
//! time and a random number generator.
//!
//! A client decodes a [`DeviceList`], takes a [`RemoteDevice`] from it, verifies a [`PrekeyBundle`] against that device, and
//! keeps one [`PairSessions`] for each device. `examples/two_people.rs` shows both sides of a conversation.
//!
//! ```
//! # #[cfg(feature = "session")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use sealpost_crypto::*;
//!
//! # let mut rng = rand::rng();
//! # let now = UnixMillis(1_800_000_000_000);
//! # struct Person {
//! #     account: AccountIdentityKeyPair,
//! #     identity: DeviceIdentityKeyPair,
//! #     list: DeviceList,
//! #     signed: SignedPrekeyPair,
//! # }
//! # impl Person {
//! #     fn local(&self) -> LocalDevice<'_> {
//! #         LocalDevice {
//! #             address: self.list.addresses().next().unwrap(),
//! #             account_identity: self.account.public(),
//! #             identity: &self.identity,
//! #             device_list: &self.list,
//! #         }
//! #     }
//! # }
//! # let mut person = || -> Result<Person, DeviceListError> {
//! #     let account = AccountIdentityKeyPair::generate(&mut rng);
//! #     let identity = DeviceIdentityKeyPair::generate(&mut rng);
//! #     let device = DeviceEntry {
//! #         device: DeviceId::PRIMARY,
//! #         registration: RegistrationId::generate(&mut rng),
//! #         identity: identity.public(),
//! #     };
//! #     let body = DeviceListBody::first(AccountId::generate(&mut rng), account.public(), device);
//! #     let list = DeviceList::sign(&account, body)?;
//! #     let signed = SignedPrekeyPair::generate(&mut rng, SignedPrekeyId(1), now);
//! #     Ok(Person { account, identity, list, signed })
//! # };
//! # let (alice, bob) = (person()?, person()?);
//! # let mut rng = rand::rng();
//! # let (bobs_encoded_list, alices_pinned_list) = (bob.list.encoded(), &alice.list);
//! # let bundle = PrekeyBundle {
//! #     address: bob.local().address,
//! #     signed_prekey: bob.signed.signed(&bob.local().address, &bob.identity),
//! #     one_time_prekey: None,
//! # };
//! // Alice has pinned Bob's account identity key and fetched his list and a bundle from the server:
//! let list = DeviceList::decode(bobs_encoded_list)?;
//! let remote = RemoteDevice::from_list(&list, DeviceId::PRIMARY).ok_or("Bob has no such device")?;
//! let mut sessions = PairSessions::new(remote);
//! sessions.initiate(&mut rng, &alice.local(), &bundle.verify(&remote, now)?)?;
//! let message = sessions.encrypt(&mut rng, &alice.local(), b"Hello, Bob")?;
//!
//! // Bob takes Alice's device from her list:
//! let remote = RemoteDevice::from_list(alices_pinned_list, DeviceId::PRIMARY).ok_or("Alice has no such device")?;
//! let mut sessions = PairSessions::new(remote);
//! let decrypted = sessions.decrypt(&mut rng, &bob.local(), &message, &bob.signed)?;
//! assert_eq!(decrypted.plaintext.as_slice(), b"Hello, Bob");
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "session"))]
//! # fn main() {}
//! ```
//!
//! # Features
//!
//! `session` (default): X3DH, the ratchet, sessions and safety numbers. Without it the crate contains only what a server
//! needs: keys, ids, device lists, prekey signatures and signed statements.
//!
//! # Cautions
//!
//! - Store the changed [`PairSessions`] in the same transaction as everything else that the message changes. Commit it before
//!   an encrypted message leaves and before a decrypted one is acknowledged: a restored older state would use message keys
//!   twice.
//! - Secrets are boxed and wiped on drop. Copies that the compiler makes on the stack, in registers or while it moves a value
//!   are not wiped.

#[cfg(feature = "session")]
pub mod bundle;
pub mod device_list;
pub mod identity;
pub mod ids;
pub mod labels;
#[cfg(feature = "session")]
pub mod message;
#[cfg(feature = "session")]
pub mod padding;
#[cfg(feature = "session")]
pub mod pair;
#[cfg(feature = "session")]
pub mod party;
pub mod prekey;
#[cfg(feature = "session")]
pub mod safety_number;
#[cfg(feature = "session")]
pub mod state;
pub mod statement;

#[cfg(feature = "session")]
mod dh;
#[cfg(feature = "session")]
mod kdf;
#[cfg(feature = "session")]
mod ratchet;
mod reader;
#[cfg(feature = "session")]
mod session;
#[cfg(test)]
#[cfg(feature = "session")]
mod test_support;
#[cfg(test)]
#[cfg(feature = "session")]
mod wycheproof_tests;
#[cfg(feature = "session")]
mod x3dh;
#[cfg(test)]
#[cfg(feature = "session")]
mod zeroize_tests;

#[cfg(feature = "session")]
pub use bundle::{BundleError, PrekeyBundle, VerifiedPrekeyBundle};
pub use device_list::{
    DEVICE_LIST_MAX_BYTES, DeviceEntry, DeviceList, DeviceListBody, DeviceListError, MAX_DEVICES, SuccessionError,
};
#[cfg(feature = "session")]
pub use dh::NonContributory;
pub use identity::{
    AccountIdentityKey, AccountIdentityKeyPair, BadSignature, DeviceIdentityKey, DeviceIdentityKeyPair,
    IdentityKeyError, Signature,
};
pub use ids::{
    AccountId, DeviceAddress, DeviceId, OneTimePrekeyId, ParseIdError, RegistrationId, SignedPrekeyId, UnixMillis,
};
#[cfg(feature = "session")]
pub use message::{InitialInfo, MessageError};
#[cfg(feature = "session")]
pub use pair::{DecryptError, Decrypted, EncryptError, InitiateError, PairSessions, PrekeyPrivates};
#[cfg(feature = "session")]
pub use party::{LocalDevice, RemoteDevice};
pub use prekey::{
    OneTimePrekey, OneTimePrekeyPair, PrekeyError, PrekeyPublic, SignedPrekey, SignedPrekeyError, SignedPrekeyPair,
    VerifiedSignedPrekey,
};
#[cfg(feature = "session")]
pub use safety_number::SafetyNumber;
#[cfg(feature = "session")]
pub use state::StateError;
pub use statement::{LoginStatement, RefreshStatement, refresh_token_hash};
