//! The commands that a front gives to the engine.

use sealpost_api::ids::SessionId;
use sealpost_api::password::Password;
use sealpost_api::prekeys::DevicePrekeys;
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, DeviceAddress, DeviceId, DeviceIdentityKey};

use super::model::{AccountInfo, KeyStatus, MessageReceipt, SessionRow};

/// Identifies a command in the events that answer it. The driver draws it, and it is unique while the engine lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u64);

/// A command. Exactly one [`Event::Completed`](super::Event::Completed) answers each, unless the engine is dropped
/// before. The next engine continues with what the command has stored by then.
#[derive(Clone, Debug)]
pub enum Command {
    /// Creates an account on the server, with this device as its first. Repeating it after a lost answer or a crash,
    /// with the same name and password, continues with the same keys. Completes with [`Outcome::Account`].
    Register {
        /// The requested name.
        username: Username,
        /// The password, of 8 to 1,024 bytes.
        password: Password,
        /// The invite, if registration requires one.
        invite: Option<String>,
    },
    /// Logs in. Without `new_identity` it works only on a profile that already is a device of the account. Completes
    /// with [`Outcome::Account`].
    Login {
        /// The account's name.
        username: Username,
        /// Its password.
        password: Password,
        /// Whether to continue under a new account identity key, which ends all earlier devices and logins.
        new_identity: bool,
    },
    /// Logs out. The profile keeps its keys and its history. Completes with [`Outcome::Done`].
    Logout,
    /// Changes the password, which ends every other login. Completes with [`Outcome::Done`].
    ChangePassword {
        /// The old password.
        old: Password,
        /// The new password.
        new: Password,
    },
    /// Deletes the account on the server and this profile's keys. The history stays. Completes with
    /// [`Outcome::Erased`].
    DeleteAccount {
        /// The account's password, required again.
        password: Password,
    },
    /// Fetches everything that the server holds about the account. Completes with [`Outcome::Export`].
    Export,
    /// Puts a message into the outbox. Announced by [`Event::Queued`](super::Event::Queued), completes with
    /// [`Outcome::Sent`] when the server accepted it. After `Queued`, it stays in the outbox on
    /// [`CommandError::Unreachable`], [`NotLoggedIn`](CommandError::NotLoggedIn),
    /// [`Superseded`](CommandError::Superseded) and [`BadAnswer`](CommandError::BadAnswer), and is not kept on
    /// [`Refused`](CommandError::Refused) and [`IdentityChanged`](CommandError::IdentityChanged).
    Send {
        /// The recipient.
        to: Username,
        /// The text, of 1 to 65,536 bytes of UTF-8.
        text: String,
    },
    /// Looks a name up on the server, and pins it if it is new. Completes with [`Outcome::Contact`].
    LookUp(Username),
    /// Records that the safety number was compared. Completes with [`Outcome::Done`].
    MarkVerified(Username),
    /// Accepts a contact's new identity, and sends the messages that waited for that. Completes with [`Outcome::Done`].
    AcceptIdentity(Username),
    /// Makes this profile a new device of an account that is not listed yet: draws its keys and completes with
    /// [`Outcome::Offer`], which the user takes to the primary device over a channel that both trust.
    OfferDevice {
        /// The account's name.
        username: Username,
        /// The account to join, as the primary device names it.
        account: AccountId,
        /// A free device id, 2–127.
        device: DeviceId,
    },
    /// On the primary device: signs a list with the offered device and publishes it with its keys. Completes with
    /// [`Outcome::Added`], which goes back to the new device over the same channel.
    AddDevice(Box<DeviceOffer>),
    /// On the new device, once the primary has added it: logs in. Completes with [`Outcome::Account`].
    JoinDevice {
        /// The account's password.
        password: Password,
        /// The encoded device list of [`Outcome::Added`]. It determines which account identity key to trust.
        device_list: Vec<u8>,
    },
    /// On the primary device: signs a list without this device and publishes it. Completes with [`Outcome::Done`].
    RemoveDevice(DeviceId),
    /// Fetches the account's own device lists. Completes with [`Outcome::Done`].
    RefreshDevices,
    /// Lists the account's logins. Completes with [`Outcome::Sessions`].
    ListSessions,
    /// Ends one login of the account. Completes with [`Outcome::Ended`].
    EndSession(SessionId),
    /// Ends every login of the account, including this one. Completes with [`Outcome::Ended`].
    EndAllSessions,
    /// Creates and uploads a new signed prekey now. Completes with [`Outcome::Keys`].
    RotateKeys,
    /// Fetches the state of this device's prekeys. Completes with [`Outcome::Keys`].
    KeyStatus,
    /// Connects, and stays connected. Completes with [`Outcome::Done`] when the server has welcomed this device.
    GoOnline,
    /// Disconnects. Completes with [`Outcome::Done`].
    GoOffline,
}

/// The data that the primary device needs to add another device. These are public keys only, but they must come from
/// that device itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceOffer {
    /// The new device's address.
    pub address: DeviceAddress,
    /// Its identity key.
    pub identity: DeviceIdentityKey,
    /// Its first prekeys.
    pub prekeys: DevicePrekeys,
}

/// The result of a successful command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The command succeeded, without further results.
    Done,
    /// The account is set up on this profile.
    Account(AccountInfo),
    /// A message was accepted.
    Sent(MessageReceipt),
    /// The server's data about the account, as JSON text.
    Export(String),
    /// The server's report of what was erased, as JSON text.
    Erased(String),
    /// A name's pinned identity.
    Contact(super::model::ContactInfo),
    /// The live logins, oldest first.
    Sessions(Vec<SessionRow>),
    /// The number of logins that were ended.
    Ended(u32),
    /// The state of this device's prekeys on the server.
    Keys(KeyStatus),
    /// The new device's public keys.
    Offer(Box<DeviceOffer>),
    /// The encoded device list with the new device.
    Added(Vec<u8>),
}

/// Why a command failed, sorted by whose fault it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The server could not be reached. A message that was queued stays in the outbox.
    #[error("the server could not be reached")]
    Unreachable,
    /// The server refused the command.
    #[error("{}", code.title())]
    Refused {
        /// Why.
        code: sealpost_api::problem::ProblemCode,
        /// The time until a retry can succeed, in ms.
        retry_after: Option<u64>,
    },
    /// The contact's identity differs from the pinned one, and nothing was sent.
    #[error("the identity of {name} has changed")]
    IdentityChanged {
        /// The contact's name.
        name: Username,
    },
    /// There is no login, and no password to start one.
    #[error("this profile is not logged in")]
    NotLoggedIn,
    /// The command cannot be carried out as given.
    #[error("{0}")]
    Invalid(InvalidCommand),
    /// A newer command, or another connection of this device, replaced it.
    #[error("something newer took its place")]
    Superseded,
    /// The server's answer makes no sense or does not verify. Nothing of it was used.
    #[error("the server's answer could not be used")]
    BadAnswer,
    /// A bug in this program.
    #[error("something went wrong inside the client")]
    Internal,
}

/// Why a command cannot be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCommand {
    /// The profile already is a device of an account.
    #[error("this profile already has an account")]
    HasAccount,
    /// The profile is not a device of an account yet.
    #[error("this profile has no account yet")]
    NoAccount,
    /// The profile belongs to another account.
    #[error("this profile belongs to another account")]
    OtherAccount,
    /// An earlier registration or login with another name has not been answered yet.
    #[error("an earlier request for another account has not been answered yet")]
    Unanswered,
    /// The text is empty, or longer than 65,536 bytes.
    #[error("a message has 1 to 65,536 bytes")]
    TextLength,
    /// The outbox is full.
    #[error("the outbox is full")]
    OutboxFull,
    /// Messages to oneself are not kept by the server.
    #[error("you cannot write to yourself")]
    ToSelf,
    /// The profile knows nobody with this name.
    #[error("nobody of this name is known here")]
    UnknownContact,
    /// There is no changed identity to accept.
    #[error("there is no changed identity to accept")]
    NothingToAccept,
    /// A changed identity must be accepted before it can be verified.
    #[error("accept the changed identity first")]
    IdentityPending,
    /// The device list does not name this device, or is another account's.
    #[error("the device list does not have this device")]
    NotInList,
    /// Only the device that holds the account's identity key can do this.
    #[error("only the account's primary device can do this")]
    NotPrimary,
    /// The account's list has no device with this id.
    #[error("there is no such device")]
    NoSuchDevice,
    /// The account has the most devices allowed.
    #[error("an account has at most 8 devices")]
    TooManyDevices,
    /// The password is shorter than 8 or longer than 1,024 bytes.
    #[error("a password has 8 to 1,024 bytes")]
    PasswordLength,
}
