//! What is remembered of a server, as the native transport uses it.

use super::pin::{Authority, KnownServer};
use crate::driver::Server;
use crate::native::{ServerTrust, TransportError, TrustError, UrlError};

/// Why a remembered server cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// Its address is not valid.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The pinned certificate is not that of an authority.
    #[error(transparent)]
    Authority(#[from] TrustError),
    /// TLS refuses these settings.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

impl KnownServer {
    /// Returns the server for a driver to talk to. Nothing is asked of the network.
    ///
    /// # Errors
    /// [`ServerError`]
    pub fn server(&self) -> Result<Server, ServerError> {
        let trust = match &self.authority {
            Authority::System => ServerTrust::System,
            Authority::Pinned(der) => ServerTrust::pin(der)?,
        };
        Ok(Server::new(self.url.parse()?, &trust)?)
    }
}

impl From<ServerTrust> for Authority {
    fn from(trust: ServerTrust) -> Self {
        match trust {
            ServerTrust::System => Self::System,
            ServerTrust::Pinned(der) => Self::Pinned(der),
        }
    }
}
