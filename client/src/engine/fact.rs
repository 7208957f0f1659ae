//! What a part tells the engine, which hands it on to the parts that it concerns. So no part calls another.

use sealpost_api::frames::{Expired, Missed};
use sealpost_api::ids::MessageId;
use sealpost_api::password::AccessToken;
use sealpost_api::prekeys::DeviceBundle;
use sealpost_api::problem::ProblemCode;
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, DeviceAddress, DeviceList, UnixMillis};

use super::command::{CommandError, CommandId, Outcome};
use super::model::Undecryptable;
use super::records::{Gap, Held};

/// Something that happened in one part and concerns others.
pub(crate) enum Fact {
    /// Something is to be shown once.
    Notable(Notable),

    // From the account.
    /// This profile has become a device anew: its counters start again, and nothing of an earlier one may be used.
    BecameDevice,
    /// The account request was carried out.
    LoggedIn,
    /// The log-in was ended, as asked.
    LoginEnded,
    /// The log-in has ended, and only a person can go on.
    NeedsLogin,
    /// The account was deleted.
    AccountErased,
    /// The server does not take the log-in of the open stream any more.
    StreamUnwelcome,
    /// There is a new access token for the open stream.
    TokenRenewed(AccessToken),
    /// A command that was one request has ended.
    Ended(CommandId, Result<Outcome, CommandError>),
    /// Signed prekeys were dropped: what was remembered against their replay may be forgotten.
    SignedPrekeysDropped,

    // From the directory.
    /// An account's device lists are to be fetched.
    ListWanted(AccountId),
    /// The server has handed out lists of the own account.
    OwnListsSeen { lists: Vec<DeviceList>, current_version: u64 },
    /// A contact has a newer list, or an accepted identity: its devices may be reachable again.
    ListAdvanced(AccountId),
    /// A contact goes on under another identity, which was not known before.
    IdentityChanged(AccountId),
    /// An account's name is known, or known to stay unknown.
    NameSettled(AccountId),
    /// A name was looked up, and the commands that wait for it end.
    LookedUp(Username, Result<Outcome, CommandError>),
    /// A name leads to this account now; to none if it is the own one.
    NameResolved(Username, Option<AccountId>),
    /// Nobody answers to a name.
    NameRefused(Username, ProblemCode),
    /// An account is gone, or may not be written to.
    AccountRefused(AccountId, ProblemCode),
    /// A name leads to another account, as accepted.
    NameMoved { from: AccountId, to: AccountId },
    /// There are too many strangers: these are to be forgotten.
    StrangersDropped(Vec<AccountId>),

    // From the sessions.
    /// The server has handed out prekey bundles, under this list.
    BundlesTaken { account: AccountId, list: DeviceList, bundles: Vec<DeviceBundle> },
    /// The server's bundles for an account do not verify.
    BundlesUnacceptable(AccountId),

    // From the outbox.
    /// The server has accepted a message of the history.
    Accepted { history: u64, account: Option<AccountId>, number: u64, at: UnixMillis },
    /// A message was given up, and its text is taken out of the history.
    Withdrawn { history: u64 },
    /// A repair request was accepted.
    RepairSent(DeviceAddress),
    /// The server has another device list of this account.
    DevicesMismatch(AccountId),
    /// No device of this account can be reached; each is tried again later.
    NobodyReachable(AccountId),

    // From the inbox.
    /// A message's turn has come.
    Ready(Held),
    /// Counters of a device's sequence were given up waiting for.
    GapFound { from: DeviceAddress, sequence: u64, first: u64, last: u64 },
    /// A counter came that was given up waiting for.
    GapFilled { from: DeviceAddress, sequence: u64, gap: Gap, counter: u64 },

    // From the link.
    /// The stream is gone, and nobody knows what it carried.
    StreamLost,
    /// The server has not taken the access token.
    TokenRefused,
}

/// Something to be shown once. Labels are added by the timeline.
pub(crate) enum Notable {
    /// A message says that another one went before it than did here.
    Altered { from: DeviceAddress, counter: u64 },
    /// A counter came that was said to be missing.
    GapClosed { from: DeviceAddress, counter: u64 },
    /// A message could not be read.
    Undecryptable { from: DeviceAddress, number: u64, reason: Undecryptable, asked_again: bool },
    /// A number was delivered a second time, with other bytes.
    NumberReused { from: DeviceAddress, number: u64 },
    /// A contact goes on under another identity.
    IdentityChanged { contact: AccountId, account: AccountId },
    /// The server has two lists of one version.
    ListForked { account: AccountId, version: u64 },
    /// Messages of a device decrypt again.
    SessionRepaired { from: DeviceAddress },
    /// Accepted messages will not be delivered; the ids are those that are still known.
    Expired { expired: Expired, messages: Vec<MessageId> },
    /// Messages to this device were not kept.
    Missed(Missed),
    /// This vault is older than the state that the server has seen.
    RolledBack,
    /// The server's store is older than the state that this device has seen.
    Restored { resent: u64, lost: Vec<u64> },
}
