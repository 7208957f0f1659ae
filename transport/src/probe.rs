//! Looking at a server's certificates without believing them.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};

use super::connect::{open_tcp, server_name};
use super::error::TransportError;
use super::roots::{Roots, TrustError, builder, provider};
use super::trust::{ServerTrust, fingerprint, fingerprint_text};
use super::url::BaseUrl;

/// Certificates that a server may send and that are looked at: a leaf, a few intermediates, an authority.
const CHAIN_MAX: usize = 8;

/// The certificates that a server showed, whether they are trusted or not.
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
    /// Trusts the authority that the server showed. Only a person who has compared the fingerprint may ask for this.
    ///
    /// # Errors
    /// [`TrustError::NotAnAuthority`]
    pub fn pin(&self) -> Result<ServerTrust, TrustError> {
        ServerTrust::pin(self.chain.last().map_or(&[], Vec::as_slice))
    }

    /// Returns the fingerprint as people compare it: upper-case hex bytes with colons.
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
    let system = Roots::none().with_system().into_store();
    let recorder = Arc::new(Recorder {
        provider: provider(),
        system: WebPkiServerVerifier::builder_with_provider(Arc::new(system), provider()).build().ok(),
        seen: Mutex::new(None),
    });
    let config = builder()?.dangerous().with_custom_certificate_verifier(recorder.clone()).with_no_client_auth();
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

/// A verifier that records what it sees. It still demands that the handshake is signed by the key shown, so that the
/// fingerprint belongs to the peer.
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
