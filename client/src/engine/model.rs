//! What the engine's queries answer.

use sealpost_api::frames::{ExpiryReason, MissedReason};
use sealpost_api::ids::{MessageId, MessageNumber, SessionId};
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, AccountIdentityKey, DeviceId, DeviceIdentityKey, RegistrationId, UnixMillis};

/// The account that this profile belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountInfo {
    /// Its name.
    pub username: Username,
    /// Its id.
    pub account: AccountId,
    /// Its identity key.
    pub account_identity: AccountIdentityKey,
    /// This device.
    pub device: DeviceId,
    /// This making of the device.
    pub registration: RegistrationId,
    /// Whether this device holds the account's private identity key.
    pub primary: bool,
    /// Whether there is a session.
    pub logged_in: bool,
}

/// A contact, as pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactInfo {
    /// The name, once it was looked up and leads to this account.
    pub name: Option<Username>,
    /// What to call it: the name, or `unknown:` and the account id in hex.
    pub label: String,
    /// The pinned account.
    pub account: AccountId,
    /// The pinned account identity key.
    pub account_identity: AccountIdentityKey,
    /// Whether the safety number was compared for this identity.
    pub verified: bool,
    /// A changed identity that waits for being accepted; nothing is sent before.
    pub identity_changed: bool,
    /// The pinned device list's version.
    pub list_version: u64,
    /// The devices of the pinned list.
    pub devices: Vec<DeviceId>,
}

/// One device of the own account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Its number.
    pub device: DeviceId,
    /// Its registration.
    pub registration: RegistrationId,
    /// Its identity key.
    pub identity: DeviceIdentityKey,
    /// Whether it is this one.
    pub this: bool,
}

/// The profile's state at a glance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Whether there is a session.
    pub logged_in: bool,
    /// Whether the server has welcomed this device.
    pub online: bool,
    /// Messages in the outbox.
    pub outbox: u64,
    /// Messages that were taken in and wait for an earlier one, or for their sender's name.
    pub held: u64,
    /// Notices that were not marked as printed.
    pub unprinted: u64,
    /// The highest number used by this device.
    pub number: u64,
    /// Whether a roll-back of the vault was noticed and the new keys are not uploaded yet.
    pub recovering: bool,
    /// Numbers that the server accepted and then lost in a restore, and that are not kept here any more either.
    pub lost_numbers: Vec<MessageNumber>,
}

/// What the server holds of this device's prekeys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyStatus {
    /// The key epoch.
    pub key_epoch: u32,
    /// One-time prekeys left.
    pub one_time_left: u32,
    /// The current signed prekey's id.
    pub signed_prekey_id: u32,
    /// When it expires.
    pub signed_prekey_expires_at: UnixMillis,
}

/// One session of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// Which.
    pub session: SessionId,
    /// On which device.
    pub device: DeviceId,
    /// Since when.
    pub created_at: UnixMillis,
    /// Last log-in or refresh.
    pub last_used_at: UnixMillis,
    /// Whether it is this one.
    pub current: bool,
}

/// A message that the server accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageReceipt {
    /// The recipient.
    pub to: Username,
    /// The message.
    pub message_id: MessageId,
    /// The number under which it was accepted.
    pub number: MessageNumber,
    /// The server's clock; the engine's own when an earlier, lost answer had it.
    pub accepted_at: UnixMillis,
    /// Devices of the recipient that got no copy: dormant, or full.
    pub skipped: Vec<DeviceId>,
}

/// A message in the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxEntry {
    /// The recipient.
    pub to: Username,
    /// The message.
    pub message_id: MessageId,
    /// When it was written.
    pub sent_at: UnixMillis,
    /// The number of the sending that is not answered yet, if it was sent.
    pub number: Option<MessageNumber>,
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Written here.
    Sent,
    /// Received.
    Received,
}

/// What a reader is told about a message beside its text. Each is something that a server, or a fault, did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MessageFlag {
    /// Its number inside the encryption is another one than the server delivered it with.
    Relabelled,
    /// The sender device began a new stream: it was set up anew, or rolled back.
    NewStream,
    /// The sender's identity is not the accepted one.
    UnacceptedIdentity,
    /// The sender device is not in the newest device list of its account.
    RemovedDevice,
    /// It came after a later one that was shown already.
    Late,
}

impl MessageFlag {
    /// Returns the flag's stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Relabelled => "relabelled",
            Self::NewStream => "new_stream",
            Self::UnacceptedIdentity => "unaccepted_identity",
            Self::RemovedDevice => "removed_device",
            Self::Late => "late",
        }
    }

    /// Returns the flag with this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Relabelled, Self::NewStream, Self::UnacceptedIdentity, Self::RemovedDevice, Self::Late]
            .into_iter()
            .find(|flag| flag.as_str() == text)
    }
}

/// A message of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Its position in the history.
    pub position: u64,
    /// Which way it went.
    pub direction: Direction,
    /// The other side: a name, or `unknown:` and an account id in hex.
    pub peer: String,
    /// The other side's account, once known.
    pub peer_account: Option<AccountId>,
    /// The device that wrote it; this one for what was sent.
    pub device: DeviceId,
    /// The message.
    pub message_id: MessageId,
    /// When it was written, by the writer's clock.
    pub sent_at: UnixMillis,
    /// When the server accepted it, by the server's clock; `None` while it is in the outbox.
    pub accepted_at: Option<UnixMillis>,
    /// The sending's number, once there is one.
    pub number: Option<MessageNumber>,
    /// The text. What a peer wrote is not fit for a terminal as it is.
    pub text: String,
    /// What a reader must know beside the text.
    pub flags: Vec<MessageFlag>,
}

/// A device as a person names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerDevice {
    /// The name, or `unknown:` and the account id in hex.
    pub label: String,
    /// The account.
    pub account: AccountId,
    /// The device.
    pub device: DeviceId,
}

/// What kind of gap was found in what a device wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapKind {
    /// Messages with these counters have not come.
    Missing {
        /// The first that is missing.
        first: u64,
        /// The last that is missing.
        last: u64,
    },
    /// The message with this counter says that another one went before it than did here.
    AlteredHistory {
        /// The counter.
        counter: u64,
    },
}

/// Why a message could not be decrypted, as far as a person can use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecryptable {
    /// There is no session to decrypt it with.
    NoSession,
    /// It was encrypted to a prekey that is gone.
    NoPrekey,
    /// It was changed, or made with other keys.
    NotAuthentic,
    /// It is not a message of this version.
    Malformed,
    /// It decrypted, and what was inside is not a record of this version.
    BadRecord,
}

impl Undecryptable {
    /// Returns the stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoSession => "no_session",
            Self::NoPrekey => "no_prekey",
            Self::NotAuthentic => "not_authentic",
            Self::Malformed => "malformed",
            Self::BadRecord => "bad_record",
        }
    }

    /// Returns the reason with this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::NoSession, Self::NoPrekey, Self::NotAuthentic, Self::Malformed, Self::BadRecord]
            .into_iter()
            .find(|reason| reason.as_str() == text)
    }
}

/// What is kept only up to a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Devices of strangers: the oldest were forgotten, with their sessions. What they wrote is in the history.
    StrangerDevices,
    /// Strangers among the contacts: the oldest were forgotten.
    StrangerContacts,
    /// Notices about strangers that nobody had seen: the oldest were dropped.
    StrangerNotices,
    /// Notices about one contact, or about this device, that nobody had seen: further ones were only counted.
    Notices {
        /// The contact's name or label, or the own name.
        label: String,
    },
}

/// Something to be shown once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Its position; positions only rise.
    pub position: u64,
    /// When it was noted.
    pub at: UnixMillis,
    /// What.
    pub body: NoticeBody,
}

/// What is to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoticeBody {
    /// A message was received.
    Message(HistoryEntry),
    /// Something is missing in what a device wrote.
    Gap {
        /// Which device.
        from: PeerDevice,
        /// What is missing.
        kind: GapKind,
    },
    /// What was missing has come.
    GapClosed {
        /// Which device.
        from: PeerDevice,
        /// The counter that came.
        counter: u64,
    },
    /// A message could not be decrypted.
    Undecryptable {
        /// The sender device, as the server says.
        from: PeerDevice,
        /// The number, as the server says.
        number: MessageNumber,
        /// Why.
        reason: Undecryptable,
        /// Whether it will be asked for again by itself.
        asked_again: bool,
    },
    /// The server delivered a number a second time, with other bytes.
    NumberReused {
        /// The sender device, as the server says.
        from: PeerDevice,
        /// The number.
        number: MessageNumber,
    },
    /// A contact goes on under another identity. Sending to it waits until it is accepted.
    IdentityChanged {
        /// The contact's name or label.
        label: String,
        /// The account of the new identity.
        account: AccountId,
    },
    /// The server has two different device lists of one version for a contact; the pinned one stays.
    ListForked {
        /// The contact's name or label.
        label: String,
        /// The version.
        version: u64,
    },
    /// Messages between this device and another decrypt again.
    SessionRepaired {
        /// Which device.
        from: PeerDevice,
    },
    /// Accepted messages will not be delivered.
    Expired {
        /// The recipient device.
        to: PeerDevice,
        /// The messages, as far as they are still known here.
        messages: Vec<MessageId>,
        /// How many.
        count: u64,
        /// Why.
        reason: ExpiryReason,
    },
    /// Messages of a device to this one were not kept for it.
    Missed {
        /// Which device.
        from: PeerDevice,
        /// How many.
        count: u64,
        /// Why.
        reason: MissedReason,
    },
    /// A server made this device hear of more than it keeps. Nothing of contacts that the user chose was dropped.
    Limited {
        /// Of what.
        about: Limit,
        /// How many were dropped, or only counted.
        count: u64,
    },
    /// This profile's vault is older than what the server has seen of this device.
    RolledBack,
    /// The server's store is older than the state that this device has seen of it.
    Restored {
        /// How many messages are sent again.
        resent: u64,
        /// Numbers that were accepted, were lost, and are not kept here any more.
        lost: Vec<MessageNumber>,
    },
}

impl NoticeBody {
    /// Returns whether this is about an identity, for programs that react to nothing else.
    #[must_use]
    pub const fn is_identity_change(&self) -> bool {
        matches!(self, Self::IdentityChanged { .. })
    }
}
