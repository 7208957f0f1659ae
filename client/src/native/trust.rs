//! Whom to believe that they are the server: the system's roots, or one pinned private authority.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest as _, Sha256};

use super::connect::open_tcp;
use super::error::{TlsFailure, TransportError};
use super::url::BaseUrl;

/// Certificates that a server may send and that are looked at: a leaf, a few intermediates, an authority.
const CHAIN_MAX: usize = 8;

/// Whose certificates are believed.
#[derive(Clone, PartialEq, Eq)]
pub enum ServerTrust {
    /// The system's roots.
    System,
    /// This authority alone (a DER certificate).
    Pinned(Vec<u8>),
}

/// Why a CA file cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// Not exactly one PEM certificate.
    #[error("the CA file must hold one PEM certificate")]
    NotOneCertificate,
    /// The certificate cannot be an authority.
    #[error("the CA file's certificate is not that of an authority")]
    NotAnAuthority,
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
    /// The one certificate of a PEM file.
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

    /// This DER certificate, which must be able to be an authority.
    ///
    /// # Errors
    /// [`TrustError::NotAnAuthority`]
    pub fn pin(der: &[u8]) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(der.to_vec())).map_err(|_| TrustError::NotAnAuthority)?;
        Ok(Self::Pinned(der.to_vec()))
    }

    /// SHA-256 of the pinned certificate (32 bytes); `None` for the system's roots.
    #[must_use]
    pub fn fingerprint(&self) -> Option<[u8; 32]> {
        match self {
            Self::System => None,
            Self::Pinned(der) => Some(fingerprint(der)),
        }
    }

    fn roots(&self) -> Result<RootCertStore, TransportError> {
        let mut roots = RootCertStore::empty();
        match self {
            Self::System => {
                let found = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(found.certs);
            }
            Self::Pinned(der) => roots
                .add(CertificateDer::from(der.clone()))
                .map_err(|_| TransportError::Tls(TlsFailure::UntrustedAuthority))?,
        }
        Ok(roots)
    }

    /// The TLS settings of a client that believes this.
    pub(crate) fn client_config(&self) -> Result<ClientConfig, TransportError> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TransportError::Tls(TlsFailure::from(&error)))?;
        Ok(config.with_root_certificates(self.roots()?).with_no_client_auth())
    }
}

/// What a server showed when nobody was asked to believe it.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerCertificates {
    /// The chain as sent, DER, the server's own certificate first; at most 8.
    pub chain: Vec<Vec<u8>>,
    /// SHA-256 of the last certificate of the chain: the private authority, where the server sends it (32 bytes).
    pub ca_fingerprint_sha256: [u8; 32],
    /// Whether the system's roots vouch for it, so that nothing needs to be pinned.
    pub trusted_by_system: bool,
}

impl ServerCertificates {
    /// Trust in the authority that the server showed; only for a person who has compared the fingerprint.
    ///
    /// # Errors
    /// [`TrustError::NotAnAuthority`]
    pub fn pin(&self) -> Result<ServerTrust, TrustError> {
        ServerTrust::pin(self.chain.last().map_or(&[], Vec::as_slice))
    }

    /// The fingerprint as people compare it: upper-case hex bytes with colons.
    #[must_use]
    pub fn fingerprint_text(&self) -> String {
        fingerprint_text(&self.ca_fingerprint_sha256)
    }
}

impl fmt::Debug for ServerCertificates {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ServerCertificates({})", self.fingerprint_text())
    }
}

/// Connects without believing anything, sends nothing but the handshake, and tells what the server showed.
///
/// # Errors
/// [`TransportError`]; a `http://` address has nothing to show and is a [`TransportError::Protocol`].
pub async fn probe(base: &BaseUrl, patience: Duration) -> Result<ServerCertificates, TransportError> {
    if !base.is_tls() {
        return Err(TransportError::Protocol);
    }
    let system = ServerTrust::System.roots()?;
    let recorder = Arc::new(Recorder {
        provider: provider(),
        system: WebPkiServerVerifier::builder_with_provider(Arc::new(system), provider()).build().ok(),
        seen: Mutex::new(None),
    });
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| TransportError::Tls(TlsFailure::from(&error)))?
        .dangerous()
        .with_custom_certificate_verifier(recorder.clone())
        .with_no_client_auth();
    let name = server_name(base)?;
    let handshake = async {
        let tcp = open_tcp(base).await?;
        tokio_rustls::TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await
            .map_err(|error| TransportError::from_io(&base.authority(), &error))
    };
    tokio::time::timeout(patience, handshake).await.map_err(|_| TransportError::Timeout)??;
    let seen = recorder.seen.lock().map_err(|_| TransportError::Protocol)?.take();
    seen.ok_or(TransportError::Protocol)
}

/// The name that the certificate must be for.
pub(crate) fn server_name(base: &BaseUrl) -> Result<ServerName<'static>, TransportError> {
    ServerName::try_from(base.host().to_owned()).map_err(|_| TransportError::Tls(TlsFailure::NameMismatch))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn fingerprint(der: &[u8]) -> [u8; 32] {
    Sha256::digest(der).into()
}

fn fingerprint_text(fingerprint: &[u8; 32]) -> String {
    fingerprint.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

/// A verifier that writes down what it sees. It still demands that the handshake is signed by the key shown, so that
/// the fingerprint belongs to whoever is at the other end.
#[derive(Debug)]
struct Recorder {
    provider: Arc<CryptoProvider>,
    system: Option<Arc<WebPkiServerVerifier>>,
    seen: Mutex<Option<ServerCertificates>>,
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let trusted_by_system = self.system.as_ref().is_some_and(|system| {
            system.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now).is_ok()
        });
        let chain: Vec<Vec<u8>> =
            std::iter::once(end_entity).chain(intermediates).take(CHAIN_MAX).map(|der| der.to_vec()).collect();
        let ca_fingerprint_sha256 = fingerprint(chain.last().map_or(&[], Vec::as_slice));
        if let Ok(mut seen) = self.seen.lock() {
            *seen = Some(ServerCertificates { chain, ca_fingerprint_sha256, trusted_by_system });
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
