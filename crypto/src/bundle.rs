//! Prekey bundles: what a server gives to whoever wants to write to a device for the first time.
//!
//! A [`PrekeyBundle`] is what the server says; a [`VerifiedPrekeyBundle`] was signed by the device. Only the latter starts a
//! session, and there is no way to make one but to verify.

use crate::ids::{DeviceAddress, UnixMillis};
use crate::party::RemoteDevice;
use crate::prekey::{OneTimePrekey, SignedPrekey, SignedPrekeyError, VerifiedSignedPrekey};

/// A bundle as it came. It has no identity key: that comes from the verified device list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrekeyBundle {
    /// Whose keys the server says these are.
    pub address: DeviceAddress,
    /// The device's signed prekey.
    pub signed_prekey: SignedPrekey,
    /// A one-time prekey, unless they ran out.
    pub one_time_prekey: Option<OneTimePrekey>,
}

/// A bundle that must not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The bundle is another device's than the one it was asked for.
    #[error("a prekey bundle is another device's")]
    WrongDevice,
    /// The signed prekey is forged or expired.
    #[error("a prekey bundle's signed prekey can't be used")]
    SignedPrekey(#[source] SignedPrekeyError),
}

impl PrekeyBundle {
    /// Verifies that the device signed these keys, for its address, and that they have not expired at `now`.
    ///
    /// No private key is used before this succeeded.
    ///
    /// # Errors
    /// [`BundleError`]
    pub fn verify(&self, remote: &RemoteDevice, now: UnixMillis) -> Result<VerifiedPrekeyBundle, BundleError> {
        if self.address != remote.address {
            return Err(BundleError::WrongDevice);
        }
        let signed_prekey =
            self.signed_prekey.verify(&remote.address, &remote.identity, now).map_err(BundleError::SignedPrekey)?;
        Ok(VerifiedPrekeyBundle { remote: *remote, signed_prekey, one_time_prekey: self.one_time_prekey })
    }
}

/// A bundle whose signed prekey was verified against the device's identity key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedPrekeyBundle {
    remote: RemoteDevice,
    signed_prekey: VerifiedSignedPrekey,
    one_time_prekey: Option<OneTimePrekey>,
}

impl VerifiedPrekeyBundle {
    /// The device whose keys these are.
    #[must_use]
    pub fn remote(&self) -> &RemoteDevice {
        &self.remote
    }

    /// The signed prekey.
    #[must_use]
    pub fn signed_prekey(&self) -> &VerifiedSignedPrekey {
        &self.signed_prekey
    }

    /// The one-time prekey, unless they ran out.
    #[must_use]
    pub fn one_time_prekey(&self) -> Option<&OneTimePrekey> {
        self.one_time_prekey.as_ref()
    }
}
