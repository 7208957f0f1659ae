//! The relay's address, and the credentials of the node there.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use async_nats::ServerAddr;
use serde::Deserialize;
use zeroize::Zeroizing;

/// One or more servers of one NATS, such as `nats://user:password@host:4222,nats://other:4222`. It can contain a
/// password, so it is never printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct NatsAddress {
    /// The servers without user and password, because the library logs addresses.
    servers: Vec<ServerAddr>,
    login: Login,
}

/// How the node authenticates.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Login {
    /// Without credentials, or with the certificate alone.
    Nobody,
    /// With a token.
    Token(Zeroizing<String>),
    /// With a user's name and password.
    User(Zeroizing<String>, Zeroizing<String>),
}

/// Why a text is not an address. The error texts contain nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NatsAddressError {
    /// The text is not an address.
    #[error("the relay must be nats://HOST:PORT or tls://HOST:PORT, or several of them with commas between")]
    Format,
    /// The servers have different users.
    #[error("all servers of the relay must have the same user and password; it is enough to name them once")]
    Logins,
}

impl fmt::Debug for NatsAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { servers, login: _ } = self;
        write!(formatter, "NatsAddress({} servers)", servers.len())
    }
}

impl FromStr for NatsAddress {
    type Err = NatsAddressError;

    fn from_str(text: &str) -> Result<Self, NatsAddressError> {
        let (mut servers, mut login) = (Vec::new(), Login::Nobody);
        for part in text.trim().split(',') {
            let (server, given) = parse(part.trim())?;
            servers.push(server);
            if login == Login::Nobody {
                login = given;
            } else if given != Login::Nobody && given != login {
                return Err(NatsAddressError::Logins);
            }
        }
        Ok(Self { servers, login })
    }
}

impl TryFrom<String> for NatsAddress {
    type Error = NatsAddressError;

    fn try_from(text: String) -> Result<Self, NatsAddressError> {
        text.parse()
    }
}

fn parse(text: &str) -> Result<(ServerAddr, Login), NatsAddressError> {
    let malformed = |()| NatsAddressError::Format;
    let (scheme, rest) = text.split_once("://").ok_or(NatsAddressError::Format)?;
    if !["nats", "tls"].contains(&scheme) {
        return Err(NatsAddressError::Format);
    }
    let (given, place) = rest.rsplit_once('@').map_or((None, rest), |(given, place)| (Some(given), place));
    let bare = !place.is_empty() && !place.contains(['/', '?', '#', ' ']);
    let server: ServerAddr = format!("{scheme}://{place}").parse().map_err(|_| NatsAddressError::Format)?;
    if !bare || server.host().is_empty() {
        return Err(NatsAddressError::Format);
    }
    let login = match given.map(|given| given.split_once(':').map_or((given, None), |(user, word)| (user, Some(word))))
    {
        None => Login::Nobody,
        Some((token, None)) => Login::Token(plain(token).ok_or(()).map_err(malformed)?),
        Some((user, Some(password))) => {
            Login::User(plain(user).ok_or(()).map_err(malformed)?, plain(password).ok_or(()).map_err(malformed)?)
        }
    };
    Ok((server, login))
}

/// Decodes percent signs. Returns `None` if the text is malformed.
fn plain(text: &str) -> Option<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
            bytes.push((high << 4) | low);
        } else {
            bytes.push(byte);
        }
    }
    let text = String::from_utf8(std::mem::take(&mut *bytes)).ok()?;
    (!text.is_empty()).then(|| Zeroizing::new(text))
}

impl NatsAddress {
    pub(crate) fn servers(&self) -> &[ServerAddr] {
        &self.servers
    }

    pub(crate) fn login(&self) -> &Login {
        &self.login
    }

    /// Returns whether all servers are addressed with TLS.
    pub(crate) fn is_tls(&self) -> bool {
        self.servers.iter().all(ServerAddr::tls_required)
    }

    /// Returns whether all servers are on this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.servers.iter().all(|server| {
            let host = server.host();
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str, password: &str) -> Login {
        Login::User(Zeroizing::new(name.to_owned()), Zeroizing::new(password.to_owned()))
    }

    #[test]
    fn user_and_password_come_out_and_stay_out_of_what_is_printed() {
        let address: NatsAddress = "nats://a:p%40ss%3Aword@one:4222, nats://two\n".parse().unwrap();
        assert!(*address.login() == user("a", "p@ss:word"));
        let servers: Vec<_> = address.servers().iter().map(|server| server.as_url_str().to_owned()).collect();
        assert_eq!(servers, ["nats://one:4222", "nats://two"]);
        assert!(!format!("{address:?}").contains("word"));
        let token: NatsAddress = "tls://s3cret@[::1]:4222".parse().unwrap();
        assert!(*token.login() == Login::Token(Zeroizing::new("s3cret".to_owned())));
        assert!(token.is_tls() && token.is_local() && !address.is_tls() && !address.is_local());
    }

    #[test]
    fn what_is_no_address_is_refused_without_being_repeated() {
        for text in [
            "",
            "nats",
            "nats://",
            "http://hunter2@host",
            "ws://host",
            "nats://host/hunter2",
            "nats://a:hunter2@",
            "nats://a:%zz@host",
            "nats://:hunter2@host",
            "nats://a:b@host,",
            "nats://host:99999",
            "nats://a:%ff@host",
        ] {
            let error = text.parse::<NatsAddress>().expect_err(text);
            assert!(error == NatsAddressError::Format && !error.to_string().contains("hunter2"), "{text}");
        }
        assert_eq!("nats://a:b@one,nats://a:c@two".parse::<NatsAddress>(), Err(NatsAddressError::Logins));
        assert!("nats://a:b@one,nats://a:b@two,nats://three".parse::<NatsAddress>().is_ok());
    }
}
