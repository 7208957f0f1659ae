//! What a person asks of the engine.

use sealpost_api::ids::SessionId;
use sealpost_api::password::Password;
use sealpost_api::prekeys::DevicePrekeys;
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, DeviceAddress, DeviceId, DeviceIdentityKey};

use super::model::{AccountInfo, KeyStatus, MessageReceipt, SessionRow};

/// Names one command in the events that answer it. The driver draws it; unique while the engine lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u64);

/// A command. Each is answered by exactly one [`Event::Completed`](super::Event::Completed), unless the engine is dropped
/// before; what a command has stored by then is taken up again by the next engine.
#[derive(Clone, Debug)]
pub enum Command {
    /// Creates an account on the server, with this device as its first. Repeating it after a lost reply or a crash, with
    /// the same name and password, goes on with the same keys. Completes with [`Outcome::Account`].
    Register {
        /// The name wanted.
        username: Username,
        /// 8 to 1,024 bytes.
        password: Password,
        /// Where registration is by invite.
        invite: Option<String>,
    },
    /// Logs in. Without `new_identity` only on a profile that already is a device of the account.
    /// Completes with [`Outcome::Account`].
    Login {
        /// The account's name.
        username: Username,
        /// Its password.
        password: Password,
        /// Go on under a new account identity key, which ends all devices and sessions before it.
        new_identity: bool,
    },
    /// Ends this session; the profile keeps its keys and its history. Completes with [`Outcome::Done`].
    Logout,
    /// Sets another password, which ends every other session. Completes with [`Outcome::Done`].
    ChangePassword {
        /// Until now.
        old: Password,
        /// From now on.
        new: Password,
    },
    /// Deletes the account on the server, and this profile's keys; the history stays. Completes with [`Outcome::Erased`].
    DeleteAccount {
        /// The account's password, asked for again.
        password: Password,
    },
    /// Asks for all that the server holds of the account. Completes with [`Outcome::Export`].
    Export,
    /// Puts a message into the outbox. Announced by [`Event::Queued`](super::Event::Queued), completes with
    /// [`Outcome::Sent`] when the server accepted it. After `Queued`, it stays in the outbox on
    /// [`CommandError::Unreachable`], [`NotLoggedIn`](CommandError::NotLoggedIn),
    /// [`Superseded`](CommandError::Superseded) and [`BadAnswer`](CommandError::BadAnswer), and is not kept on
    /// [`Refused`](CommandError::Refused) and [`IdentityChanged`](CommandError::IdentityChanged).
    Send {
        /// The recipient.
        to: Username,
        /// 1 to 65,536 bytes of UTF-8.
        text: String,
    },
    /// Looks a name up on the server, and pins it if it is new. Completes with [`Outcome::Contact`].
    LookUp(Username),
    /// Notes that the safety number was compared. Completes with [`Outcome::Done`].
    MarkVerified(Username),
    /// Accepts a contact's new identity; what waited for that is sent. Completes with [`Outcome::Done`].
    AcceptIdentity(Username),
    /// Makes this profile a new, not yet listed device of an account: draws its keys and completes with
    /// [`Outcome::Offer`], which goes to the primary device by a way that both trust.
    OfferDevice {
        /// The account's name.
        username: Username,
        /// The account to join, as the primary device names it.
        account: AccountId,
        /// A free device id, 2–127.
        device: DeviceId,
    },
    /// On the primary device: signs a list with the offered device and publishes it with its keys. Completes with
    /// [`Outcome::Added`], which goes back to the new device by the same way.
    AddDevice(Box<DeviceOffer>),
    /// On the new device, once the primary has added it: logs in. Completes with [`Outcome::Account`].
    JoinDevice {
        /// The account's password.
        password: Password,
        /// The encoded device list of [`Outcome::Added`]: it says which account identity key to trust.
        device_list: Vec<u8>,
    },
    /// On the primary device: signs a list without this device and publishes it. Completes with [`Outcome::Done`].
    RemoveDevice(DeviceId),
    /// Fetches the account's own device lists. Completes with [`Outcome::Done`].
    RefreshDevices,
    /// Completes with [`Outcome::Sessions`].
    ListSessions,
    /// Ends one session of the account. Completes with [`Outcome::Ended`].
    EndSession(SessionId),
    /// Ends every session of the account, this one included. Completes with [`Outcome::Ended`].
    EndAllSessions,
    /// Makes and uploads a new signed prekey now. Completes with [`Outcome::Keys`].
    RotateKeys,
    /// Completes with [`Outcome::Keys`].
    KeyStatus,
    /// Connects, and stays connected. Completes with [`Outcome::Done`] when the server has welcomed this device.
    GoOnline,
    /// Disconnects. Completes with [`Outcome::Done`].
    GoOffline,
}

/// What the primary device needs to add another: public keys only, but they must come from the device itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceOffer {
    /// The new device's address.
    pub address: DeviceAddress,
    /// Its identity key.
    pub identity: DeviceIdentityKey,
    /// The prekeys that it begins with.
    pub prekeys: DevicePrekeys,
}

/// How a command ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing more to say.
    Done,
    /// The account is set up on this profile.
    Account(AccountInfo),
    /// A message was accepted.
    Sent(MessageReceipt),
    /// What the server holds, as its JSON text.
    Export(String),
    /// What was erased, as the server's JSON text.
    Erased(String),
    /// A name's pinned identity.
    Contact(super::model::ContactInfo),
    /// The live sessions, oldest first.
    Sessions(Vec<SessionRow>),
    /// How many sessions were ended.
    Ended(u32),
    /// What the server holds of this device's prekeys.
    Keys(KeyStatus),
    /// The new device's public keys.
    Offer(Box<DeviceOffer>),
    /// The device list, encoded, that has the new device.
    Added(Vec<u8>),
}

/// How a command failed, by whose fault it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The server could not be reached. A message that was queued stays in the outbox.
    #[error("the server could not be reached")]
    Unreachable,
    /// The server refused it.
    #[error("{}", code.title())]
    Refused {
        /// Why.
        code: sealpost_api::problem::ProblemCode,
        /// When a retry is of use, in ms from now.
        retry_after: Option<u64>,
    },
    /// The contact's identity is another one than the pinned one; nothing was sent.
    #[error("the identity of {name} has changed")]
    IdentityChanged {
        /// Whose.
        name: Username,
    },
    /// There is no session, and no password at hand to begin one.
    #[error("this profile is not logged in")]
    NotLoggedIn,
    /// The command can't be carried out as given.
    #[error("{0}")]
    Invalid(InvalidCommand),
    /// A newer command, or another connection of this device, took its place.
    #[error("something newer took its place")]
    Superseded,
    /// The server's answer makes no sense, or doesn't verify: nothing of it was used.
    #[error("the server's answer could not be used")]
    BadAnswer,
    /// A bug of ours.
    #[error("something went wrong inside the client")]
    Internal,
}

/// Why a command can't be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCommand {
    /// The profile already is a device of an account.
    #[error("this profile already has an account")]
    HasAccount,
    /// The profile is no device of an account yet.
    #[error("this profile has no account yet")]
    NoAccount,
    /// The profile belongs to another account.
    #[error("this profile belongs to another account")]
    OtherAccount,
    /// An earlier registration or log-in of another name has not been answered yet.
    #[error("an earlier request for another account has not been answered yet")]
    Unanswered,
    /// Empty, or longer than 65,536 bytes.
    #[error("a message has 1 to 65,536 bytes")]
    TextLength,
    /// The outbox is full.
    #[error("the outbox is full")]
    OutboxFull,
    /// Messages to oneself are not kept by the server.
    #[error("you cannot write to yourself")]
    ToSelf,
    /// Nobody of this name is known on this profile.
    #[error("nobody of this name is known here")]
    UnknownContact,
    /// There is no changed identity to accept.
    #[error("there is no changed identity to accept")]
    NothingToAccept,
    /// A changed identity must be accepted before it can be verified.
    #[error("accept the changed identity first")]
    IdentityPending,
    /// The device list does not have this device, or is another account's.
    #[error("the device list does not have this device")]
    NotInList,
    /// Only the device that holds the account's identity key can do this.
    #[error("only the account's primary device can do this")]
    NotPrimary,
    /// There is no such device in the account's list.
    #[error("there is no such device")]
    NoSuchDevice,
    /// The account has as many devices as it may have.
    #[error("an account has at most 8 devices")]
    TooManyDevices,
    /// The password is shorter than 8 or longer than 1,024 bytes.
    #[error("a password has 8 to 1,024 bytes")]
    PasswordLength,
}
