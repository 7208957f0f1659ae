//! Which server a profile talks to, and whose certificates it accepts: what is remembered, and what is decided.
//!
//! A certificate that the system's roots trust needs nothing. A private authority is accepted after a person or a script
//! has named it, or has confirmed its fingerprint. Then it alone is accepted, and it is remembered in the vault.
//!
//! Nothing here asks a person or the network: a front does that where [`decide`] says [`Decision::Meet`].

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::driver::{note, set_note};
use crate::vault::{VaultError, VaultTransaction};

/// The note that holds what is remembered.
const NOTE: &str = "server";
/// What a vault's error calls that note.
const WHAT: &str = "record of the server";
/// Certificates in the chain of a server that shows its authority: its own and the authority's.
const CHAIN_WITH_AUTHORITY_MIN: usize = 2;

/// Whose certificates are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authority {
    /// Those of the system's roots.
    System,
    /// Those of this authority alone (a DER certificate).
    Pinned(Vec<u8>),
}

/// What a profile remembers of its server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownServer {
    /// Its address, in its one normal form.
    pub url: String,
    /// Whose certificates are accepted from it.
    pub authority: Authority,
}

/// The record as stored. Its form never changes.
#[derive(Serialize, Deserialize)]
struct Stored {
    url: String,
    /// The pinned authority's DER certificate in hex.
    ca: Option<String>,
}

impl KnownServer {
    /// Reads what the vault remembers. Returns `None` for a new profile.
    ///
    /// # Errors
    /// [`VaultError`]
    pub fn read(vault: &mut dyn VaultTransaction) -> Result<Option<Self>, VaultError> {
        let damaged = || VaultError::Damaged { what: WHAT };
        let Some(bytes) = note(vault, NOTE)? else { return Ok(None) };
        let Stored { url, ca } = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
        let authority = match ca {
            None => Authority::System,
            Some(ca) => Authority::Pinned(hex::decode(ca).map_err(|_| damaged())?),
        };
        Ok(Some(Self { url, authority }))
    }

    /// Writes it into the vault.
    ///
    /// # Errors
    /// [`VaultError`]
    pub fn write(&self, vault: &mut dyn VaultTransaction) -> Result<(), VaultError> {
        let ca = match &self.authority {
            Authority::System => None,
            Authority::Pinned(der) => Some(hex::encode(der)),
        };
        let stored = Stored { url: self.url.clone(), ca };
        let bytes = serde_json::to_vec(&stored).map_err(|_| VaultError::Damaged { what: WHAT })?;
        set_note(vault, NOTE, &bytes)
    }
}

/// What a person or a script said about the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Its address, in its one normal form.
    pub url: Option<String>,
    /// Whose certificates to accept.
    pub authority: Option<Authority>,
    /// Whether this may begin with a new server or a new authority, as a registration and a login may.
    pub may_change: bool,
}

/// Which server to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// This one. Remember it, if it is not what was remembered before.
    Use(KnownServer),
    /// The server at this address, once it is known whose certificates to accept from it: see [`meet`].
    Meet(String),
}

/// Why no server is used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotUsed {
    /// Nothing is remembered, and no address was given.
    #[error("this profile knows no server yet")]
    NoServer,
    /// Another address was given than the one that is remembered.
    #[error("this profile belongs to {known}, not to {said}")]
    OtherServer {
        /// The address that is remembered.
        known: String,
        /// The address that was given.
        said: String,
    },
    /// Another authority was given than the one that is remembered.
    #[error("this profile trusts another authority")]
    OtherAuthority,
}

/// Decides which server to use, from what is remembered and what was said.
///
/// # Errors
/// [`NotUsed`]
pub fn decide(known: Option<&KnownServer>, said: Said) -> Result<Decision, NotUsed> {
    let url = match (said.url, known) {
        (None, None) => return Err(NotUsed::NoServer),
        (None, Some(known)) => known.url.clone(),
        (Some(said_url), Some(known)) if said_url != known.url && !said.may_change => {
            return Err(NotUsed::OtherServer { known: known.url.clone(), said: said_url });
        }
        (Some(said_url), _) => said_url,
    };
    // A move to another server keeps the authority, unless another one is named.
    let authority = match (said.authority, known) {
        (Some(authority), Some(known)) if !said.may_change && authority != known.authority => {
            return Err(NotUsed::OtherAuthority);
        }
        (Some(authority), _) => authority,
        (None, Some(known)) => known.authority.clone(),
        // Without TLS, which only this machine's own addresses may go without, there are no certificates.
        (None, None) if !url.starts_with("https://") => Authority::System,
        (None, None) => return Ok(Decision::Meet(url)),
    };
    Ok(Decision::Use(KnownServer { url, authority }))
}

/// What a server that is met for the first time has to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meeting {
    /// The system's roots trust it.
    Trusted,
    /// A private authority. A person compares the fingerprint with the one that the server's operator gives, and decides.
    Ask {
        /// The authority's DER certificate.
        authority: Vec<u8>,
        /// Its SHA-256, 32 bytes.
        fingerprint: [u8; 32],
    },
    /// Its own certificate alone, which is renewed every few months: nothing that could be pinned.
    NoAuthority,
}

/// Returns what to do about a server that showed this chain (DER, its own certificate first).
#[must_use]
pub fn meet(chain: &[Vec<u8>], is_trusted_by_system: bool) -> Meeting {
    if is_trusted_by_system {
        return Meeting::Trusted;
    }
    match chain.last() {
        Some(authority) if chain.len() >= CHAIN_WITH_AUTHORITY_MIN => {
            Meeting::Ask { authority: authority.clone(), fingerprint: Sha256::digest(authority).into() }
        }
        _ => Meeting::NoAuthority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "https://here.example:443";
    const THERE: &str = "https://there.example:443";

    fn pinned() -> Authority {
        Authority::Pinned(vec![1])
    }

    fn other() -> Authority {
        Authority::Pinned(vec![2])
    }

    fn said(url: Option<&str>, authority: Option<Authority>, may_change: bool) -> Said {
        Said { url: url.map(str::to_owned), authority, may_change }
    }

    fn uses(url: &str, authority: Authority) -> Result<Decision, NotUsed> {
        Ok(Decision::Use(KnownServer { url: url.to_owned(), authority }))
    }

    #[test]
    fn a_new_profile_needs_an_address_and_meets_a_server_whose_authority_nobody_named() {
        for may_change in [false, true] {
            assert_eq!(decide(None, said(None, Some(pinned()), may_change)), Err(NotUsed::NoServer));
            let met = decide(None, said(Some(HERE), None, may_change));
            assert_eq!(met, Ok(Decision::Meet(HERE.to_owned())));
            assert_eq!(decide(None, said(Some(HERE), Some(pinned()), may_change)), uses(HERE, pinned()));
            let plain = "http://localhost:80";
            assert_eq!(decide(None, said(Some(plain), None, may_change)), uses(plain, Authority::System));
        }
    }

    #[test]
    fn what_is_remembered_changes_only_where_it_may() {
        for authority in [pinned(), Authority::System] {
            let known = KnownServer { url: HERE.to_owned(), authority: authority.clone() };
            let decide = |url, said_authority, may_change| decide(Some(&known), said(url, said_authority, may_change));
            for may_change in [false, true] {
                assert_eq!(decide(None, None, may_change), uses(HERE, authority.clone()));
                assert_eq!(decide(Some(HERE), Some(authority.clone()), may_change), uses(HERE, authority.clone()));
            }
            let refused = NotUsed::OtherServer { known: HERE.to_owned(), said: THERE.to_owned() };
            assert_eq!(decide(Some(THERE), None, false), Err(refused));
            assert_eq!(decide(Some(HERE), Some(other()), false), Err(NotUsed::OtherAuthority));
            assert_eq!(decide(Some(THERE), None, true), uses(THERE, authority.clone()), "the authority stays");
            assert_eq!(decide(Some(THERE), Some(other()), true), uses(THERE, other()));
        }
    }

    #[test]
    fn only_an_authority_that_was_shown_can_be_asked_about() {
        let (leaf, authority) = (vec![1], vec![2]);
        let fingerprint = Sha256::digest(&authority).into();
        assert_eq!(meet(&[leaf.clone(), authority.clone()], true), Meeting::Trusted);
        assert_eq!(meet(&[leaf.clone(), authority.clone()], false), Meeting::Ask { authority, fingerprint });
        assert_eq!(meet(&[leaf], false), Meeting::NoAuthority);
        assert_eq!(meet(&[], false), Meeting::NoAuthority);
    }
}
