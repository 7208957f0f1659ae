//! Keys, agreement and ratchets of Sealpost.
//!
//! The crate does no I/O, reads no clock, has no global state and draws no randomness of its own: whoever calls it hands
//! over time and a random number generator. Without its feature `session` it holds only what a server needs: keys, ids,
//! device lists, prekey signatures and signed statements.

pub mod device_list;
pub mod identity;
pub mod ids;
pub mod labels;
pub mod prekey;
pub mod statement;

#[cfg(feature = "session")]
mod dh;
#[cfg(feature = "session")]
mod kdf;
#[cfg(feature = "session")]
mod ratchet;
mod reader;
#[cfg(all(test, feature = "session"))]
mod test_support;
#[cfg(feature = "session")]
mod x3dh;

pub use device_list::{
    DEVICE_LIST_MAX_BYTES, DeviceEntry, DeviceList, DeviceListBody, DeviceListError, MAX_DEVICES, SuccessionError,
};
pub use identity::{
    AccountIdentityKey, AccountIdentityKeyPair, BadSignature, DeviceIdentityKey, DeviceIdentityKeyPair,
    IdentityKeyError, Signature,
};
pub use ids::{
    AccountId, DeviceAddress, DeviceId, OneTimePrekeyId, ParseIdError, RegistrationId, SignedPrekeyId, UnixMillis,
};
pub use prekey::{
    OneTimePrekey, OneTimePrekeyPair, PrekeyError, PrekeyPublic, SignedPrekey, SignedPrekeyError, SignedPrekeyPair,
    VerifiedSignedPrekey,
};
pub use statement::{LoginStatement, RefreshStatement, refresh_token_hash};
