//! The address of a server: `https://HOST[:PORT]`, or `http://` on this machine.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Longest host name (RFC 1035 §2.3.4), in bytes.
const HOST_MAX_BYTES: usize = 253;
const HTTPS_PORT: u16 = 443;
const HTTP_PORT: u16 = 80;

/// A server's address, without path, query or user name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    tls: bool,
    host: String,
    port: u16,
}

/// Why a text is no server's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Neither `https://` nor `http://`.
    #[error("a server's address begins with https://")]
    Scheme,
    /// `http://` to another machine would send everything in the clear.
    #[error("http:// is for this machine only (localhost, 127.0.0.1, [::1]); use https://")]
    PlainElsewhere,
    /// A user name, path, query or fragment.
    #[error("a server's address is https://HOST or https://HOST:PORT, and nothing after")]
    Extra,
    /// The host is empty, too long, or has characters that no host has.
    #[error("the host name in the server's address is not valid")]
    Host,
    /// The port is no number from 1 to 65535.
    #[error("the port in the server's address is not valid")]
    Port,
}

impl BaseUrl {
    /// Returns whether the connection is by TLS.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.tls
    }

    /// Returns the host name, or the IP address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns `HOST:PORT` as in a `Host` header, an IPv6 address in brackets.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Reads an address, and accepts `http://` to other machines too: an operator looks at a node behind a proxy that way.
    ///
    /// # Errors
    /// [`UrlError`]
    pub fn anywhere(text: &str) -> Result<Self, UrlError> {
        let (tls, rest) = if let Some(rest) = text.strip_prefix("https://") {
            (true, rest)
        } else if let Some(rest) = text.strip_prefix("http://") {
            (false, rest)
        } else {
            return Err(UrlError::Scheme);
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#', '@', '\\']) {
            return Err(UrlError::Extra);
        }
        let (host, port) = split_port(rest)?;
        let host = parse_host(host)?;
        let port = match port {
            Some(port) => port.parse::<u16>().ok().filter(|port| *port > 0).ok_or(UrlError::Port)?,
            None if tls => HTTPS_PORT,
            None => HTTP_PORT,
        };
        Ok(Self { tls, host, port })
    }
}

impl FromStr for BaseUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let address = Self::anywhere(text)?;
        if !address.tls && !is_this_machine(&address.host) {
            return Err(UrlError::PlainElsewhere);
        }
        Ok(address)
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", if self.tls { "https" } else { "http" }, self.authority())
    }
}

fn split_port(text: &str) -> Result<(&str, Option<&str>), UrlError> {
    if text.starts_with('[') {
        let (host, after) = text.split_once(']').ok_or(UrlError::Host)?;
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if after.is_empty() => Ok((host, None)),
            None => Err(UrlError::Host),
        };
    }
    match text.split_once(':') {
        Some((_, port)) if port.contains(':') => Err(UrlError::Host),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((text, None)),
    }
}

fn parse_host(text: &str) -> Result<String, UrlError> {
    if let Some(address) = text.strip_prefix('[') {
        return match address.parse::<IpAddr>() {
            Ok(IpAddr::V6(address)) => Ok(address.to_string()),
            _ => Err(UrlError::Host),
        };
    }
    let valid = !text.is_empty()
        && text.len() <= HOST_MAX_BYTES
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.');
    if valid { Ok(text.to_ascii_lowercase()) } else { Err(UrlError::Host) }
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for (text, written) in [
            ("https://Example.org", "https://example.org:443"),
            ("https://example.org:8443/", "https://example.org:8443"),
            ("https://[::1]:8443", "https://[::1]:8443"),
            ("http://127.0.0.1:80", "http://127.0.0.1:80"),
            ("http://localhost", "http://localhost:80"),
        ] {
            assert_eq!(text.parse::<BaseUrl>().unwrap().to_string(), written);
        }
    }

    #[test]
    fn only_an_operator_speaks_http_to_another_machine() {
        assert_eq!(BaseUrl::anywhere("http://node.internal").unwrap().to_string(), "http://node.internal:80");
        assert_eq!(BaseUrl::anywhere("node.internal"), Err(UrlError::Scheme));
    }

    #[test]
    fn everything_else_is_refused_with_its_reason() {
        for (text, error) in [
            ("example.org", UrlError::Scheme),
            ("ftp://example.org", UrlError::Scheme),
            ("http://example.org", UrlError::PlainElsewhere),
            ("https://user@example.org", UrlError::Extra),
            ("https://example.org/path", UrlError::Extra),
            ("https://example.org?x=1", UrlError::Extra),
            ("https://", UrlError::Host),
            ("https://exa mple.org", UrlError::Host),
            ("https://::1", UrlError::Host),
            ("https://[::1", UrlError::Host),
            ("https://example.org:0", UrlError::Port),
            ("https://example.org:99999", UrlError::Port),
        ] {
            assert_eq!(text.parse::<BaseUrl>(), Err(error), "{text}");
        }
    }
}
