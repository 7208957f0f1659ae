//! Why the network failed, each with a sentence that says what to do.

use std::io;

/// Why there is no answer. Whether the server acted on a request is unknown unless it was never reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// No connection.
    #[error("{host} could not be reached: {reason}")]
    Unreachable {
        /// Host and port.
        host: String,
        /// What the system says.
        reason: String,
    },
    /// A connection that broke.
    #[error("{host} could not be reached: {reason}")]
    Broken {
        /// Host and port.
        host: String,
        /// What the system says.
        reason: String,
    },
    /// A connection, but not to a server that is trusted.
    #[error("the server's certificate was not accepted: {0}")]
    Tls(TlsFailure),
    /// No answer in time.
    #[error("the server did not answer in time")]
    Timeout,
    /// Something answered that does not speak HTTP or WebSocket as it should.
    #[error("the answer was not what a Sealpost server sends: is the address right?")]
    Protocol,
    /// The answer is larger than any answer of the API.
    #[error("the answer is too large")]
    TooLarge,
}

/// Why a certificate was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsFailure {
    /// Its authority is neither known to the system nor the one that was pinned.
    #[error("it was issued by an authority that is not trusted")]
    UntrustedAuthority,
    /// It is for other names.
    #[error("it is not for this host name")]
    NameMismatch,
    /// It has expired or is not valid yet; or this machine's clock is wrong.
    #[error("it has expired, or this machine's clock is wrong")]
    Expired,
    /// Anything else that TLS refuses.
    #[error("{0}")]
    Other(String),
}

impl TransportError {
    /// Returns what an I/O error on a connection to `host` means; a TLS error inside it says more.
    pub(crate) fn from_io(host: &str, error: &io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(tls) => Self::Tls(TlsFailure::from(tls)),
            None => Self::Unreachable { host: host.to_owned(), reason: error.to_string() },
        }
    }
}

impl From<&rustls::Error> for TlsFailure {
    fn from(error: &rustls::Error) -> Self {
        use rustls::CertificateError as Certificate;
        match error {
            rustls::Error::InvalidCertificate(certificate) => match certificate {
                Certificate::UnknownIssuer | Certificate::BadSignature => Self::UntrustedAuthority,
                Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => Self::NameMismatch,
                Certificate::Expired
                | Certificate::ExpiredContext { .. }
                | Certificate::NotValidYet
                | Certificate::NotValidYetContext { .. } => Self::Expired,
                other => Self::Other(other.to_string()),
            },
            other => Self::Other(other.to_string()),
        }
    }
}
