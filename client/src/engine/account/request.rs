//! A registration, log-in or new identity that was not answered.
//!
//! Its exact body, with everything that it commits to, lies in the vault before it is sent, and is repeated word for word
//! until it is answered. So a lost reply never strands a name or a key.

use sealpost_api::password::Password;
use sealpost_api::username::Username;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::prekeys::{Keys, StoredPairs};
use super::tokens::Login;
use crate::engine::codec::Bin;
use crate::engine::records::StoredMe;
use crate::engine::store::Record;
use crate::vault::Table;

/// A device that this profile becomes when a request succeeds.
pub(super) struct NewDevice {
    pub(super) me: StoredMe,
    pub(super) keys: Keys,
    /// The pairs behind the device's first prekeys.
    pub(super) pairs: StoredPairs,
}

/// What a request is to achieve.
pub(super) enum Aim {
    /// An account of its own. The invite tells a repeated command from another.
    Register { invite: Option<String> },
    /// Going on under another account identity key.
    NewIdentity,
    /// A log-in on this device.
    Login,
    /// A log-in on the device that was offered and is listed now.
    Join(Box<NewDevice>),
}

/// A body that was made, and what it commits to.
pub(super) struct Made {
    pub(super) body: Zeroizing<String>,
    pub(super) login: Login,
    /// The device that the body names, if this profile is not that device yet.
    pub(super) device: Option<NewDevice>,
}

/// A registration, log-in or new identity that was not answered.
pub(super) struct AccountRequest {
    pub(super) username: Username,
    pub(super) password: Password,
    pub(super) aim: Aim,
    /// Absent until what it depends on is known.
    pub(super) made: Option<Made>,
}

impl AccountRequest {
    /// Returns a request whose body is still to be made.
    pub(super) const fn new(username: Username, password: Password, aim: Aim) -> Self {
        Self { username, password, aim, made: None }
    }

    /// Returns whether it asks for the same as another.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let same_aim = match (&self.aim, &other.aim) {
            (Aim::Register { invite }, Aim::Register { invite: other }) => invite == other,
            (Aim::NewIdentity, Aim::NewIdentity) => true,
            (Aim::Login | Aim::Join(_), Aim::Login | Aim::Join(_)) => true,
            _ => false,
        };
        same_aim && self.username == other.username && self.password.reveal() == other.password.reveal()
    }

    /// Returns whether another may take its place: a log-in that is given up leaves nothing behind, and the others may
    /// have been carried out once they were sent.
    pub(super) const fn is_replaceable(&self) -> bool {
        self.made.is_none() || matches!(self.aim, Aim::Login | Aim::Join(_))
    }
}

impl Record for AccountRequest {
    const TABLE: Table = Table::Request;
    const KEY: &'static [u8] = b"account";
    const WHAT: &'static str = "the account request";
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum StoredKind {
    Register,
    NewIdentity,
    Login,
}

/// The request as it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    kind: StoredKind,
    username: Bin<Username>,
    password: Password,
    invite: Option<String>,
    body: Option<Zeroizing<String>>,
    me: Option<StoredMe>,
    login: Option<Login>,
    keys: Option<Keys>,
    pairs: Option<StoredPairs>,
}

/// The request as it is written: the same fields.
#[derive(Serialize)]
struct StoredRef<'a> {
    kind: StoredKind,
    username: Bin<Username>,
    password: &'a Password,
    invite: Option<&'a str>,
    body: Option<&'a str>,
    me: Option<&'a StoredMe>,
    login: Option<&'a Login>,
    keys: Option<&'a Keys>,
    pairs: Option<&'a StoredPairs>,
}

impl Serialize for AccountRequest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let made = self.made.as_ref();
        let (kind, invite, joined) = match &self.aim {
            Aim::Register { invite } => (StoredKind::Register, invite.as_deref(), None),
            Aim::NewIdentity => (StoredKind::NewIdentity, None, None),
            Aim::Login => (StoredKind::Login, None, None),
            Aim::Join(device) => (StoredKind::Login, None, Some(&**device)),
        };
        let device = joined.or_else(|| made.and_then(|made| made.device.as_ref()));
        let stored = StoredRef {
            kind,
            username: Bin(self.username.clone()),
            password: &self.password,
            invite,
            body: made.map(|made| made.body.as_str()),
            me: device.map(|device| &device.me),
            login: made.map(|made| &made.login),
            keys: device.map(|device| &device.keys),
            pairs: device.map(|device| &device.pairs),
        };
        stored.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AccountRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Stored::deserialize(deserializer)?;
        let mut device = match (stored.me, stored.keys, stored.pairs) {
            (Some(me), Some(keys), Some(pairs)) => Some(NewDevice { me, keys, pairs }),
            _ => None,
        };
        let aim = match stored.kind {
            StoredKind::Register => Aim::Register { invite: stored.invite },
            StoredKind::NewIdentity => Aim::NewIdentity,
            StoredKind::Login => device.take().map_or(Aim::Login, |device| Aim::Join(Box::new(device))),
        };
        let made = match (stored.body, stored.login) {
            (Some(body), Some(login)) => Some(Made { body, login, device }),
            _ => None,
        };
        Ok(Self { username: stored.username.0, password: stored.password, aim, made })
    }
}
