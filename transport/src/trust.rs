//! Whom to believe that they are the server: the system's roots, or one pinned private authority.

use std::fmt;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};

use super::error::{TlsFailure, TransportError};
use super::roots::{Roots, TrustError};

/// Whose certificates are believed.
#[derive(Clone, PartialEq, Eq)]
pub enum ServerTrust {
    /// The system's roots.
    System,
    /// This authority alone (a DER certificate).
    Pinned(Vec<u8>),
}

impl fmt::Debug for ServerTrust {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => formatter.write_str("System"),
            Self::Pinned(der) => write!(formatter, "Pinned({})", fingerprint_text(&fingerprint(der))),
        }
    }
}

impl ServerTrust {
    /// Trusts the one certificate of a PEM file.
    ///
    /// # Errors
    /// [`TrustError`]
    pub fn from_pem(text: &[u8]) -> Result<Self, TrustError> {
        let mut certificates = CertificateDer::pem_slice_iter(text);
        let (Some(Ok(certificate)), None) = (certificates.next(), certificates.next()) else {
            return Err(TrustError::NotOneCertificate);
        };
        Self::pin(certificate.as_ref())
    }

    /// Trusts this DER certificate, which must be able to be an authority.
    ///
    /// # Errors
    /// [`TrustError::NotAnAuthority`]
    pub fn pin(der: &[u8]) -> Result<Self, TrustError> {
        Roots::none().with_der(der)?;
        Ok(Self::Pinned(der.to_vec()))
    }

    /// Returns the SHA-256 of the pinned certificate (32 bytes); `None` for the system's roots.
    #[must_use]
    pub fn fingerprint(&self) -> Option<[u8; 32]> {
        match self {
            Self::System => None,
            Self::Pinned(der) => Some(fingerprint(der)),
        }
    }

    /// Returns the authorities that this accepts.
    ///
    /// # Errors
    /// [`TlsFailure::UntrustedAuthority`] if what was pinned is no authority.
    pub fn roots(&self) -> Result<Roots, TransportError> {
        match self {
            Self::System => Ok(Roots::none().with_system()),
            Self::Pinned(der) => {
                Roots::none().with_der(der).map_err(|_| TransportError::Tls(TlsFailure::UntrustedAuthority))
            }
        }
    }
}

/// Returns the SHA-256 of a certificate.
pub(crate) fn fingerprint(der: &[u8]) -> [u8; 32] {
    Sha256::digest(der).into()
}

/// Writes a fingerprint as people compare it: upper-case hex bytes with colons.
pub(crate) fn fingerprint_text(fingerprint: &[u8; 32]) -> String {
    fingerprint.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}
