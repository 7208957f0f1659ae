//! What the operator's commands on accounts give back.

use sealpost_api::password::Password;
use sealpost_crypto::AccountId;

use crate::store::{AccountRecord, DeviceRecord, SessionRecord};

/// An account with its devices and live logins.
pub struct UserAccount {
    /// The account.
    pub record: AccountRecord,
    /// Its devices.
    pub devices: Vec<DeviceRecord>,
    /// Its live logins.
    pub sessions: Vec<SessionRecord>,
}

/// The outcome of a change of an account.
pub struct UserChange {
    /// The account.
    pub account: AccountId,
    /// The number of logins that ended.
    pub ended_sessions: u32,
    /// Whether anything is different now.
    pub changed: bool,
    /// A password that the server drew; it is shown only here.
    pub password: Option<Password>,
}
