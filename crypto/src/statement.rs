//! Statements that a device signs for the server: one for a login, and one for each refresh.
//!
//! A stolen refresh token is useless without the device's key. Server, session and device are part of the signed bytes, so a
//! statement for one cannot be used for another.

use sha2::{Digest as _, Sha256};

use crate::identity::{BadSignature, DeviceIdentityKey, DeviceIdentityKeyPair, Signature};
use crate::ids::DeviceAddress;
use crate::labels;

/// What a device signs when it logs in: that its first refresh token belongs to this login.
///
/// Signed bytes: label ‖ server (16) ‖ session (16) ‖ address (49) ‖ refresh hash (32).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginStatement {
    /// The server's id.
    pub server: [u8; 16],
    /// The login's id, drawn by the client so that a repeated request names the same one.
    pub session: [u8; 16],
    /// The device that logs in.
    pub address: DeviceAddress,
    /// [`refresh_token_hash`] of the first refresh token.
    pub refresh_hash: [u8; 32],
}

impl LoginStatement {
    fn signed_bytes(&self) -> Vec<u8> {
        [labels::LOGIN_STATEMENT, &self.server, &self.session, &self.address.to_bytes(), &self.refresh_hash].concat()
    }

    /// Signs the statement with the device's identity key.
    #[must_use]
    pub fn sign(&self, identity: &DeviceIdentityKeyPair) -> Signature {
        identity.sign(&self.signed_bytes())
    }

    /// Verifies a signature over this statement.
    ///
    /// # Errors
    /// [`BadSignature`] if `identity` did not sign exactly this statement.
    pub fn verify(&self, identity: &DeviceIdentityKey, signature: &Signature) -> Result<(), BadSignature> {
        identity.verify(&self.signed_bytes(), signature)
    }
}

/// What a device signs to exchange a refresh token for the next one.
///
/// Signed bytes: label ‖ server (16) ‖ session (16) ‖ old hash (32) ‖ next hash (32).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshStatement {
    /// The server's id.
    pub server: [u8; 16],
    /// The login's id.
    pub session: [u8; 16],
    /// [`refresh_token_hash`] of the token that this spends.
    pub old_hash: [u8; 32],
    /// [`refresh_token_hash`] of its successor, which the client has stored already.
    pub next_hash: [u8; 32],
}

impl RefreshStatement {
    fn signed_bytes(&self) -> Vec<u8> {
        [labels::REFRESH_STATEMENT, &self.server, &self.session, &self.old_hash, &self.next_hash].concat()
    }

    /// Signs the statement with the device's identity key.
    #[must_use]
    pub fn sign(&self, identity: &DeviceIdentityKeyPair) -> Signature {
        identity.sign(&self.signed_bytes())
    }

    /// Verifies a signature over this statement.
    ///
    /// # Errors
    /// [`BadSignature`] if `identity` did not sign exactly this statement.
    pub fn verify(&self, identity: &DeviceIdentityKey, signature: &Signature) -> Result<(), BadSignature> {
        identity.verify(&self.signed_bytes(), signature)
    }
}

/// Returns the SHA-256 of a refresh token (32 random bytes), which is all that the server stores of it.
#[must_use]
pub fn refresh_token_hash(token: &[u8; 32]) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{AccountId, DeviceId, RegistrationId};

    fn login() -> LoginStatement {
        let address = DeviceAddress {
            account: AccountId::from_bytes([1; 16]),
            device: DeviceId::PRIMARY,
            registration: RegistrationId::from_bytes([2; 32]),
        };
        LoginStatement { server: [3; 16], session: [4; 16], address, refresh_hash: [5; 32] }
    }

    fn refresh() -> RefreshStatement {
        RefreshStatement { server: [3; 16], session: [4; 16], old_hash: [5; 32], next_hash: [6; 32] }
    }

    #[test]
    fn a_statement_verifies_as_signed_and_not_with_any_field_changed() {
        let pair = DeviceIdentityKeyPair::from_seed(&[9; 32]);
        let signature = login().sign(&pair);
        assert_eq!(login().verify(&pair.public(), &signature), Ok(()));
        let mut other_device = login().address;
        other_device.device = DeviceId::MAX;
        for changed in [
            LoginStatement { server: [0; 16], ..login() },
            LoginStatement { session: [0; 16], ..login() },
            LoginStatement { address: other_device, ..login() },
            LoginStatement { refresh_hash: [0; 32], ..login() },
        ] {
            assert_eq!(changed.verify(&pair.public(), &signature), Err(BadSignature));
        }
        let signature = refresh().sign(&pair);
        assert_eq!(refresh().verify(&pair.public(), &signature), Ok(()));
        for changed in [
            RefreshStatement { server: [0; 16], ..refresh() },
            RefreshStatement { session: [0; 16], ..refresh() },
            RefreshStatement { old_hash: [0; 32], ..refresh() },
            RefreshStatement { next_hash: [0; 32], ..refresh() },
        ] {
            assert_eq!(changed.verify(&pair.public(), &signature), Err(BadSignature));
        }
    }
}
