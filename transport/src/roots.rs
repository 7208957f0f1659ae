//! The authorities whose certificates a client accepts, and the TLS settings that follow.

use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

use super::error::{TlsFailure, TransportError};

/// The authorities whose certificates a client accepts.
#[derive(Clone, Debug)]
pub struct Roots(RootCertStore);

/// Why a certificate cannot be used as an authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// Not exactly one PEM certificate.
    #[error("the CA file must hold one PEM certificate")]
    NotOneCertificate,
    /// The certificate cannot be an authority.
    #[error("the CA file's certificate is not that of an authority")]
    NotAnAuthority,
}

impl Roots {
    /// Returns no authority at all.
    #[must_use]
    pub fn none() -> Self {
        Self(RootCertStore::empty())
    }

    /// Adds what the system trusts.
    #[must_use]
    pub fn with_system(mut self) -> Self {
        self.0.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        self
    }

    /// Adds one authority, a DER certificate.
    ///
    /// # Errors
    /// [`TrustError::NotAnAuthority`]
    pub fn with_der(mut self, der: &[u8]) -> Result<Self, TrustError> {
        self.0.add(CertificateDer::from(der.to_vec())).map_err(|_| TrustError::NotAnAuthority)?;
        Ok(self)
    }

    /// Adds every certificate of a PEM text.
    ///
    /// # Errors
    /// [`TrustError`]; a text without any certificate adds none.
    pub fn with_pem(mut self, text: &[u8]) -> Result<Self, TrustError> {
        for certificate in CertificateDer::pem_slice_iter(text) {
            let certificate = certificate.map_err(|_| TrustError::NotOneCertificate)?;
            self.0.add(certificate).map_err(|_| TrustError::NotAnAuthority)?;
        }
        Ok(self)
    }

    /// Returns the TLS settings of a client that accepts these, for connections that a program makes itself.
    ///
    /// # Errors
    /// [`TransportError::Tls`] if the provider cannot be used.
    pub fn client_config(self) -> Result<ClientConfig, TransportError> {
        let builder: ConfigBuilder<ClientConfig, WantsClientCert> = builder()?.with_root_certificates(self.0);
        Ok(builder.with_no_client_auth())
    }

    /// Returns the store as rustls has it.
    pub(crate) fn into_store(self) -> RootCertStore {
        self.0
    }
}

/// Returns the one TLS provider.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Begins the TLS settings of a client.
pub(crate) fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, TransportError> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| TransportError::Tls(TlsFailure::from(&error)))
}
