//! The addresses to listen on.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};

use rustix::net::sockopt;

/// The length of the queue of new connections, cut to `somaxconn`. The standard library asks for 128, which overflows
/// when several hundred clients connect at once, for example after a restart; they would then wait for the kernel's
/// retries.
const BACKLOG: i32 = 4_096;
/// The kernel's send buffer of one connection; the kernel doubles it for its own accounts, and accepted connections
/// inherit it. By default it would grow to megabytes, more than a stream's whole delivery window, and the write timeout
/// would notice no stall. With 100 ms to the peer it still carries more than a megabyte a second.
const SEND_BUFFER_BYTES: usize = 128 * 1_024;

/// Why an address cannot be listened on. The texts are for the operator.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The text is not `HOST:PORT`.
    #[error("{0} is no HOST:PORT")]
    Format(String),
    /// The host is unknown.
    #[error("{0} could not be looked up")]
    Lookup(String, #[source] io::Error),
    /// The address is in use or not allowed.
    #[error("cannot listen on {0}")]
    Bind(String, #[source] io::Error),
    /// The address is reachable by others, and plain HTTP was not allowed for that.
    #[error(
        "{0} can be reached from other machines, and --plain-http would show every token on the way; \
         listen on 127.0.0.1, or allow it with --plain-http-anywhere"
    )]
    PlainAnywhere(String),
}

/// A resolved `HOST:PORT`.
#[derive(Clone, Debug)]
pub struct Listen {
    text: String,
    host: String,
    addresses: Vec<SocketAddr>,
}

impl Listen {
    /// Looks the host up.
    ///
    /// # Errors
    /// [`ListenError`] if the address is malformed or unknown.
    pub fn resolve(text: &str) -> Result<Self, ListenError> {
        let (host, port) = text.rsplit_once(':').ok_or_else(|| ListenError::Format(text.to_owned()))?;
        if host.is_empty() || port.parse::<u16>().is_err() {
            return Err(ListenError::Format(text.to_owned()));
        }
        let addresses: Vec<_> =
            text.to_socket_addrs().map_err(|error| ListenError::Lookup(text.to_owned(), error))?.collect();
        if addresses.is_empty() {
            return Err(ListenError::Format(text.to_owned()));
        }
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { text: text.to_owned(), host, addresses })
    }

    /// Returns the host as given, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns whether only this machine can reach the address.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.addresses.iter().all(|address| address.ip().is_loopback())
    }

    /// Listens on the first address that works.
    ///
    /// # Errors
    /// [`ListenError::Bind`] if no address works.
    pub fn bind(&self) -> Result<TcpListener, ListenError> {
        let failed = |error| ListenError::Bind(self.text.clone(), error);
        let listener = TcpListener::bind(self.addresses.as_slice()).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        sockopt::set_socket_send_buffer_size(&listener, SEND_BUFFER_BYTES).map_err(|error| failed(error.into()))?;
        // Listening again only lengthens the queue.
        rustix::net::listen(&listener, BACKLOG).map_err(|error| failed(error.into()))?;
        Ok(listener)
    }

    /// Returns the URL for clients on this machine.
    ///
    /// # Errors
    /// [`ListenError::Bind`] if the listener has no address.
    pub fn url(&self, listener: &TcpListener, tls: bool) -> Result<String, ListenError> {
        let address = listener.local_addr().map_err(|error| ListenError::Bind(self.text.clone(), error))?;
        let scheme = if tls { "https" } else { "http" };
        let host = match self.host.parse::<std::net::IpAddr>() {
            Ok(ip) if ip.is_unspecified() => "localhost".to_owned(),
            Ok(std::net::IpAddr::V6(ip)) => format!("[{ip}]"),
            _ => self.host.clone(),
        };
        Ok(format!("{scheme}://{host}:{}", address.port()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_loopback() {
        for (text, loopback) in
            [("127.0.0.1:0", true), ("127.8.8.8:0", true), ("[::1]:0", true), ("0.0.0.0:0", false), ("[::]:0", false)]
        {
            assert_eq!(Listen::resolve(text).unwrap().is_loopback(), loopback, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "8443", ":8443", "127.0.0.1", "127.0.0.1:", "127.0.0.1:99999"] {
            assert!(Listen::resolve(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_url_names_the_port_that_was_free() {
        let listen = Listen::resolve("127.0.0.1:0").unwrap();
        let listener = listen.bind().unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(listen.url(&listener, true).unwrap(), format!("https://127.0.0.1:{port}"));
    }
}
