//! Questions and commands.

use sealpost_api::password::Password;
use serde::{Deserialize, Serialize};

/// A question or a command.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Makes invites.
    InvitesCreate {
        /// How many.
        count: u32,
        /// For how many days.
        days: u32,
    },
    /// Lists invites.
    InvitesList,
    /// Deletes one.
    InvitesRevoke {
        /// The beginning of its id, or the invite itself.
        invite: String,
    },
    /// Lists accounts by name.
    UsersList {
        /// Only names after this one.
        after: Option<String>,
        /// How many.
        limit: u32,
    },
    /// Shows one account.
    UsersShow {
        /// Its name.
        user: String,
    },
    /// Disables an account.
    UsersDisable {
        /// Its name.
        user: String,
    },
    /// Enables an account.
    UsersEnable {
        /// Its name.
        user: String,
    },
    /// Sets an account's password.
    UsersResetPassword {
        /// Its name.
        user: String,
        /// The new password. If it is absent, the server generates one.
        password: Option<Password>,
    },
    /// Erases an account.
    UsersDelete {
        /// Its name.
        user: String,
    },
    /// Lists an account's live logins.
    SessionsList {
        /// Its name.
        user: String,
    },
    /// Ends one login of an account, or all.
    SessionsEnd {
        /// Its name.
        user: String,
        /// The login's id in hexadecimal. If it is absent, all end.
        session: Option<String>,
    },
    /// The largest queues.
    Queues {
        /// How many.
        top: u32,
    },
    /// The keys that are left for one account's devices.
    Keys {
        /// Its name.
        user: String,
    },
    /// Asks for the state of the server.
    Status,
    /// Ends everything that a restored older state of the store would revive.
    AfterRestore,
    /// Reads the configuration file and the certificate again.
    Reload,
}
