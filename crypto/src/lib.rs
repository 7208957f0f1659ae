//! Keys, agreement and ratchets of Sealpost.
//!
//! The crate does no I/O, reads no clock, has no global state and draws no randomness of its own: whoever calls it hands
//! over time and a random number generator. Without its feature `session` it holds only what a server needs: keys, ids,
//! device lists, prekey signatures and signed statements.

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
#[cfg(all(test, feature = "session"))]
mod test_support;
#[cfg(all(test, feature = "session"))]
mod wycheproof_tests;
#[cfg(feature = "session")]
mod x3dh;
#[cfg(all(test, feature = "session"))]
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
