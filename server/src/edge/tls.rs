//! TLS for the listener: the server's own private authority or the operator's certificate, renewed while the server
//! runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sealpost_crypto::UnixMillis;

mod authority;
pub mod names;

pub use authority::{Authority, AuthorityError};

/// Why TLS cannot be set up. The texts are for the operator.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate file cannot be read or is malformed.
    #[error("no certificate chain could be read from {}", .0.display())]
    Certificate(PathBuf, #[source] rustls::pki_types::pem::Error),
    /// The certificate file contains no certificate.
    #[error("{} holds no certificate", .0.display())]
    NoCertificate(PathBuf),
    /// The key file cannot be read or contains no key.
    #[error("no private key could be read from {}", .0.display())]
    Key(PathBuf, #[source] rustls::pki_types::pem::Error),
    /// Certificate and key do not belong together, or are of an unsupported kind.
    #[error("the certificate and its key cannot be used")]
    Unusable(#[source] rustls::Error),
    /// The built-in authority failed.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

/// The source of the certificate.
#[derive(Debug)]
pub enum Source {
    /// The built-in authority.
    Authority(Authority),
    /// The operator's files.
    Files {
        /// PEM, leaf first.
        certificate: PathBuf,
        /// PEM.
        key: PathBuf,
    },
}

/// The certificate in use, which can be replaced without restarting the listener.
#[derive(Debug)]
pub struct Certificates {
    source: Source,
    provider: Arc<CryptoProvider>,
    current: RwLock<Arc<CertifiedKey>>,
}

/// Returns the TLS provider. Every builder names it, because two enabled providers would panic at first use.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

impl Certificates {
    /// Reads the certificate, or has the authority issue one.
    ///
    /// # Errors
    /// [`TlsError`] if there is no usable certificate.
    pub fn load(source: Source, names: &[String], now: UnixMillis) -> Result<Arc<Self>, TlsError> {
        let provider = provider();
        let current = RwLock::new(Arc::new(certified(&source, &provider, names, now)?));
        Ok(Arc::new(Self { source, provider, current }))
    }

    /// Reads the files again, or checks names and expiry of the built-in certificate. New connections get the result.
    /// Returns whether the certificate changed.
    ///
    /// # Errors
    /// [`TlsError`]; the previous certificate then stays in use.
    pub fn refresh(&self, names: &[String], now: UnixMillis) -> Result<bool, TlsError> {
        let fresh = certified(&self.source, &self.provider, names, now)?;
        let mut current = self.current.write();
        let changed = current.cert != fresh.cert;
        *current = Arc::new(fresh);
        Ok(changed)
    }

    /// Returns the configuration of the listener: TLS 1.2 and 1.3, without client certificates.
    ///
    /// # Errors
    /// [`TlsError::Unusable`], which the built-in provider never returns.
    pub fn server_config(self: &Arc<Self>) -> Result<ServerConfig, TlsError> {
        Ok(ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Unusable)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>))
    }

    /// Returns the path of the built-in authority's certificate and its SHA-256 in hex, if the authority is in use.
    #[must_use]
    pub fn authority(&self) -> Option<(&Path, &str)> {
        match &self.source {
            Source::Authority(authority) => Some((authority.certificate_path(), authority.fingerprint())),
            Source::Files { .. } => None,
        }
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read()))
    }
}

fn certified(
    source: &Source,
    provider: &CryptoProvider,
    names: &[String],
    now: UnixMillis,
) -> Result<CertifiedKey, TlsError> {
    let (certificate, key) = match source {
        Source::Authority(authority) => authority.ensure_leaf(names, now)?,
        Source::Files { certificate, key } => (certificate.clone(), key.clone()),
    };
    let mut chain = read_chain(&certificate)?;
    if let Source::Authority(authority) = source {
        // No client has a private authority among its roots, so it is sent along. A client can then show its
        // fingerprint and pin it.
        chain.extend(read_chain(authority.certificate_path())?);
    }
    let key_der = PrivateKeyDer::from_pem_file(&key).map_err(|error| TlsError::Key(key, error))?;
    // Refuses a key that does not belong to the certificate.
    CertifiedKey::from_der(chain, key_der, provider).map_err(TlsError::Unusable)
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| TlsError::Certificate(path.to_owned(), error))?;
    if chain.is_empty() { Err(TlsError::NoCertificate(path.to_owned())) } else { Ok(chain) }
}

#[cfg(test)]
mod tests;
