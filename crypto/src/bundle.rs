//! Prekey bundles: the keys of a device that a server returns to someone who writes to it for the first time.
//!
//! A [`PrekeyBundle`] is the server's unproven claim. A [`VerifiedPrekeyBundle`] is known to be signed by the device. Only the
//! latter starts a session, and only [`PrekeyBundle::verify`] creates one.

use crate::ids::{DeviceAddress, UnixMillis};
use crate::party::RemoteDevice;
use crate::prekey::{OneTimePrekey, SignedPrekey, SignedPrekeyError, VerifiedSignedPrekey};

/// A bundle that is not verified yet. It has no identity key: that comes from the verified device list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrekeyBundle {
    /// The device that the server says the keys belong to.
    pub address: DeviceAddress,
    /// The device's signed prekey.
    pub signed_prekey: SignedPrekey,
    /// A one-time prekey, unless the device has none left.
    pub one_time_prekey: Option<OneTimePrekey>,
}

/// Why a bundle must not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The bundle is for a device other than the one asked for.
    #[error("a prekey bundle is another device's")]
    WrongDevice,
    /// The signed prekey is forged or expired.
    #[error("a prekey bundle's signed prekey can't be used")]
    SignedPrekey(#[source] SignedPrekeyError),
}

impl PrekeyBundle {
    /// Verifies that the device signed these keys for its address, and that they have not expired at `now`.
    ///
    /// No private key is used before this succeeds.
    ///
    /// # Errors
    /// [`BundleError`] if the bundle is for another device, forged or expired.
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
    /// Returns the device that the keys belong to.
    #[must_use]
    pub fn remote(&self) -> &RemoteDevice {
        &self.remote
    }

    /// Returns the signed prekey.
    #[must_use]
    pub fn signed_prekey(&self) -> &VerifiedSignedPrekey {
        &self.signed_prekey
    }

    /// Returns the one-time prekey, unless the device has none left.
    #[must_use]
    pub fn one_time_prekey(&self) -> Option<&OneTimePrekey> {
        self.one_time_prekey.as_ref()
    }
}
