//! The engine's records in the vault. Where each lies is said beside it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sealpost_api::encoding::RefreshToken;
use sealpost_api::ids::{MessageId, ServerId, SessionId, StoreId};
use sealpost_api::password::{AccessToken, Password};
use sealpost_api::username::Username;
use sealpost_crypto::{
    AccountId, AccountIdentityKeyPair, DeviceAddress, DeviceId, DeviceIdentityKeyPair, DeviceList, RegistrationId,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::codec::{Bin, bin};
use super::limits::StoredLimit;

/// `Table::Identity`: [`StoredMe`].
pub(super) const ME: &[u8] = b"me";
/// `Table::Identity`: [`Offered`].
pub(super) const OFFERED: &[u8] = b"offered";
/// `Table::Request`: the registration, log-in or new identity that has not been answered.
pub(super) const ACCOUNT_REQUEST: &[u8] = b"account";
/// `Table::Request`: the prekey upload that has not been answered.
pub(super) const PREKEY_REQUEST: &[u8] = b"prekeys";
/// `Table::Request`: the password change that has not been answered.
pub(super) const PASSWORD_REQUEST: &[u8] = b"password";
/// `Table::Request`: own device lists that the server may lack.
pub(super) const LIST_REQUEST: &[u8] = b"lists";
/// `Table::Meta`: [`Sender`].
pub(super) const SENDER: &[u8] = b"sender";
/// `Table::Meta`: [`Login`].
pub(super) const LOGIN: &[u8] = b"login";
/// `Table::Meta`: [`Keys`].
pub(super) const KEYS: &[u8] = b"keys";
/// `Table::Meta`: [`Marks`].
pub(super) const MARKS: &[u8] = b"marks";

/// Who this profile is, as stored. `Table::Identity`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredMe {
    pub(super) username: Bin<Username>,
    /// Only on the primary device.
    pub(super) account_seed: Option<Bin<Zeroizing<[u8; 32]>>>,
    pub(super) device_seed: Bin<Zeroizing<[u8; 32]>>,
    pub(super) device: u8,
    #[serde(with = "bin")]
    pub(super) registration: RegistrationId,
    /// The account's device lists that this profile knows, oldest first; the last is the newest.
    pub(super) lists: Vec<Bin<DeviceList>>,
}

/// Who this profile is.
pub(super) struct Me {
    pub(super) username: Username,
    pub(super) account_identity: Option<AccountIdentityKeyPair>,
    pub(super) identity: DeviceIdentityKeyPair,
    pub(super) address: DeviceAddress,
    pub(super) list: DeviceList,
    /// Older lists of the account, oldest first.
    pub(super) older: Vec<DeviceList>,
}

impl Me {
    pub(super) fn from_stored(stored: StoredMe) -> Option<Self> {
        let mut lists: Vec<DeviceList> = stored.lists.into_iter().map(|list| list.0).collect();
        let list = lists.pop()?;
        Some(Self {
            username: stored.username.0,
            account_identity: stored.account_seed.map(|seed| AccountIdentityKeyPair::from_seed(&seed.0)),
            identity: DeviceIdentityKeyPair::from_seed(&stored.device_seed.0),
            address: DeviceAddress {
                account: list.account(),
                device: DeviceId::new(stored.device).ok()?,
                registration: stored.registration,
            },
            list,
            older: lists,
        })
    }

    pub(super) fn to_stored(&self) -> StoredMe {
        StoredMe {
            username: Bin(self.username.clone()),
            account_seed: self.account_identity.as_ref().map(|pair| Bin(pair.seed())),
            device_seed: Bin(self.identity.seed()),
            device: self.address.device.get(),
            registration: self.address.registration,
            lists: self.older.iter().chain([&self.list]).cloned().map(Bin).collect(),
        }
    }
}

/// What this device remembers of its own sending. `Table::Meta`.
#[derive(Clone, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Sender {
    /// The highest number ever given to a frame.
    pub(super) number: u64,
    /// The highest number that the server answered with `Sent`.
    pub(super) highest_sent: u64,
    /// The stream of the counters inside the encryption.
    pub(super) stream: u64,
    /// The server's store, once welcomed.
    pub(super) store: Option<Bin<StoreId>>,
    /// From here on sent records are kept; older ones are dropped.
    pub(super) oldest_record: u64,
    /// Numbers left out, by the first of them; the next one used. So records from before are found and dropped in time.
    #[serde(default)]
    pub(super) jumps: BTreeMap<u64, u64>,
    /// This vault is known to be rolled back, and the server has not said yet which numbers were used meanwhile.
    #[serde(default)]
    pub(super) rolled_back: bool,
    /// From here on sealed frames are kept.
    pub(super) oldest_sealed: u64,
    /// Accepted numbers whose frames were still wanted after a restore and are gone.
    pub(super) lost: Vec<u64>,
    /// Accepted numbers that are sent again after a restore and not answered yet.
    pub(super) resend: BTreeSet<u64>,
}

/// The session with the server. `Table::Meta`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    #[serde(with = "bin")]
    pub(super) server: ServerId,
    #[serde(with = "bin")]
    pub(super) session: SessionId,
    #[serde(with = "bin")]
    pub(super) refresh: RefreshToken,
    /// The successor, stored before its hash is sent.
    pub(super) next: Option<Bin<RefreshToken>>,
    pub(super) access: Option<AccessToken>,
    /// When the access token expires, by this device's clock.
    pub(super) access_expires_at: u64,
}

/// What this device remembers of its own prekeys. `Table::Meta`; the pairs are in `Table::Prekey`.
#[derive(Clone, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    /// The highest one-time prekey id ever drawn.
    pub(super) one_time_id: u32,
    /// The highest signed prekey id ever drawn.
    pub(super) signed_id: u32,
    /// When the newest signed prekey was made.
    pub(super) signed_made_at: u64,
    /// The key epoch, once welcomed.
    pub(super) epoch: Option<u32>,
    /// When the server was last asked what it holds.
    pub(super) checked_at: u64,
    /// The rollback procedure: one-time prekeys are to be discarded on the server, then new keys uploaded.
    pub(super) discard: bool,
    /// All keys are to be made anew: after a rollback, or in another key epoch.
    pub(super) renew: bool,
    /// The signed prekey is to be made anew.
    pub(super) rotate: bool,
    /// The one-time prekeys are to be counted and topped up.
    pub(super) top_up: bool,
}

/// A prekey upload that was not answered. `Table::Request`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PrekeyUpload {
    /// The exact body.
    pub(super) body: String,
    /// Whether it makes all keys anew.
    pub(super) renews: bool,
}

/// Marks in the logs. `Table::Meta`.
#[derive(Clone, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Marks {
    /// Notices below this position were printed.
    pub(super) unprinted_from: u64,
    /// Where notices about strangers lie that were not printed, oldest first.
    #[serde(default)]
    pub(super) stranger_notices: VecDeque<u64>,
    /// How many notices about a name were noted since something was printed.
    #[serde(default)]
    pub(super) told: Vec<Told>,
    /// Notices that count what was dropped, while they are not printed.
    #[serde(default)]
    pub(super) counted: Vec<Counted>,
}

/// Notices about one name.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Told {
    pub(super) label: String,
    pub(super) count: u64,
}

/// A notice that counts what was dropped.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Counted {
    pub(super) about: StoredLimit,
    pub(super) position: u64,
    pub(super) count: u64,
}

/// What a pending account request is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum AccountRequestKind {
    Register,
    NewIdentity,
    Login,
}

/// A registration, log-in or new identity that was not answered. `Table::Request`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountRequest {
    pub(super) kind: AccountRequestKind,
    pub(super) username: Bin<Username>,
    pub(super) password: Password,
    /// The invite, for telling a repeated command from another.
    pub(super) invite: Option<String>,
    /// The exact body, once it is made; repeated word for word until it is answered.
    pub(super) body: Option<Zeroizing<String>>,
    /// What is to be stored when it succeeds.
    pub(super) me: Option<StoredMe>,
    pub(super) login: Option<Login>,
    pub(super) keys: Option<Keys>,
    /// The pairs behind the body's prekeys.
    pub(super) pairs: Option<StoredPairs>,
}

/// Prekey pairs that are not in `Table::Prekey` yet.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredPairs {
    pub(super) signed: Bin<Zeroizing<Vec<u8>>>,
    pub(super) one_time: Vec<Bin<Zeroizing<Vec<u8>>>>,
}

/// A device that was offered to an account and is not in its list yet. `Table::Identity`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Offered {
    pub(super) username: Bin<Username>,
    #[serde(with = "bin")]
    pub(super) address: DeviceAddress,
    pub(super) device_seed: Bin<Zeroizing<[u8; 32]>>,
    pub(super) keys: Keys,
    pub(super) pairs: StoredPairs,
}

/// Own lists that the server may lack: published oldest first. `Table::Request`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListsToPublish {
    pub(super) lists: Vec<Bin<DeviceList>>,
    /// The keys of the device that the last of them adds.
    pub(super) added: Vec<sealpost_api::prekeys::DevicePrekeys>,
}

/// A password change that was not answered. `Table::Request`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordChange {
    pub(super) body: Zeroizing<String>,
}

/// A contact. `Table::Contact` by account id.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Contact {
    /// The name, once a look-up led from it to this account and identity.
    pub(super) name: Option<Bin<Username>>,
    /// The name that the account gave itself in a message, until it was looked up.
    pub(super) claimed: Option<Bin<Username>>,
    /// The pinned list; its account identity key is the pinned one.
    #[serde(with = "bin")]
    pub(super) list: DeviceList,
    pub(super) verified: bool,
    /// A list under another identity, or of another account under the same name, that waits for being accepted.
    pub(super) pending: Option<Bin<DeviceList>>,
    /// Since when it is known, if only it has written here and the user has never dealt with it.
    #[serde(default)]
    pub(super) stranger: Option<u64>,
}

/// One stream of a remote device, as received.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InStream {
    pub(super) stream: u64,
    /// The counter that is to come next.
    pub(super) next: u64,
    /// The hash of the record before it, if that came.
    pub(super) last: Option<Bin<[u8; 32]>>,
    /// Ranges that were given up waiting for.
    pub(super) gaps: Vec<Gap>,
}

/// Counters that did not come.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Gap {
    pub(super) first: u64,
    pub(super) last: u64,
    /// The position of the notice that says so.
    pub(super) notice: u64,
}

/// What is remembered of a remote device. `Table::Peer` by address.
#[derive(Clone, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Peer {
    /// The stream that the two fields below count in.
    pub(super) out_stream: u64,
    /// The last counter given to a message for this device.
    pub(super) out_counter: u64,
    /// The hash of that record.
    pub(super) out_hash: Bin32,
    /// Its streams as received, the newest last.
    pub(super) streams: Vec<InStream>,
    /// How many deliveries were remembered: the cursor of the ring in `Table::Seen`.
    pub(super) seen: u64,
    /// Whether anything of it was ever decrypted, so that it needs no name any more.
    pub(super) heard: bool,
    /// When it was first heard of.
    #[serde(default)]
    pub(super) since: u64,
    pub(super) repair: Repair,
}

/// A hash that starts as zeros.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Bin32(#[serde(with = "bin")] pub(super) [u8; 32]);

/// What could not be decrypted and is asked for again.
#[derive(Clone, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Repair {
    /// What to ask for: number and hash of the ciphertext.
    pub(super) failed: Vec<(u64, Bin32)>,
    /// When it was asked, newest last; five are kept.
    pub(super) asked_at: Vec<u64>,
    /// Asked, and nothing decrypted since.
    pub(super) awaiting: bool,
}

/// One device's place of a message in its stream: fixed at the first encryption.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Assigned {
    #[serde(with = "bin")]
    pub(super) address: DeviceAddress,
    pub(super) stream: u64,
    pub(super) counter: u64,
    #[serde(with = "bin")]
    pub(super) previous: [u8; 32],
}

/// What an outbox item carries.
#[derive(Clone, Serialize, Deserialize)]
pub(super) enum ItemBody {
    /// A message of the history, at this position.
    Text { history: u64 },
    /// A counter that was given to a message which was given up.
    Empty,
    /// A request to send messages again.
    Repair { failed: Vec<(u64, Bin32)> },
}

/// Something to be sent. `Log::Outbox`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Item {
    /// The recipient by name; absent for what goes to one device.
    pub(super) name: Option<Bin<Username>>,
    /// The recipient's account, once it is known.
    pub(super) account: Option<Bin<AccountId>>,
    /// The one device it goes to; absent for all of the account's devices.
    pub(super) device: Option<Bin<DeviceAddress>>,
    pub(super) body: ItemBody,
    #[serde(with = "bin")]
    pub(super) message_id: MessageId,
    pub(super) sent_at: u64,
    /// Counters, fixed at the first encryption.
    pub(super) assigned: Vec<Assigned>,
    /// The number of the sending that is not answered.
    pub(super) number: Option<u64>,
    /// Whether a sending of it may have been accepted without this device knowing.
    pub(super) unknown: bool,
    /// Not to be encrypted before.
    pub(super) wait_until: u64,
    /// Refusals that were answered by encrypting it anew.
    pub(super) attempts: u32,
}

/// What was sent under a number. `Table::Sent` by number, big-endian.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SentRecord {
    #[serde(with = "bin")]
    pub(super) message_id: MessageId,
    /// The history position of a text.
    pub(super) history: Option<u64>,
    pub(super) sent_at: u64,
    pub(super) encrypted_at: u64,
    pub(super) accepted: bool,
    pub(super) copies: Vec<SentCopy>,
}

/// One device's copy of what was sent.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SentCopy {
    pub(super) place: Assigned,
    /// How often it was sent again.
    pub(super) repaired: u8,
}

/// A received record that waits to be shown. `Table::Inbox` by address ‖ stream ‖ counter.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Held {
    #[serde(with = "bin")]
    pub(super) from: DeviceAddress,
    pub(super) stream: u64,
    pub(super) counter: u64,
    #[serde(with = "bin")]
    pub(super) previous: [u8; 32],
    #[serde(with = "bin")]
    pub(super) hash: [u8; 32],
    #[serde(with = "bin")]
    pub(super) message_id: MessageId,
    pub(super) sent_at: u64,
    pub(super) accepted_at: u64,
    pub(super) number: u64,
    /// Absent for records that show nothing.
    pub(super) text: Option<Zeroizing<String>>,
    pub(super) flags: Vec<String>,
    /// When it was taken in.
    pub(super) held_at: u64,
    /// Its place in the order has come; only the sender's name is waited for.
    pub(super) in_order: bool,
    /// Whether it is in the vault: most are shown at once and never are.
    #[serde(skip)]
    pub(super) stored: bool,
}

/// A message of the history. `Log::History`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryRow {
    pub(super) sent: bool,
    pub(super) peer: String,
    pub(super) account: Option<Bin<AccountId>>,
    pub(super) device: u8,
    #[serde(with = "bin")]
    pub(super) message_id: MessageId,
    pub(super) sent_at: u64,
    pub(super) accepted_at: Option<u64>,
    pub(super) number: Option<u64>,
    pub(super) text: Zeroizing<String>,
    pub(super) flags: Vec<String>,
}
