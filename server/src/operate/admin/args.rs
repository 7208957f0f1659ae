//! The command line of `sealpost-server admin`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::service::admin::INVITES_MAX;

/// `sealpost-server admin`.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
EXAMPLES
  Invite three people, each for 30 days:
      sealpost-server admin invites create --count 3 --expires 30
  Who has an account, and what waits for them:
      sealpost-server admin users list
  Somebody forgot the password (their devices and keys stay as they are):
      sealpost-server admin users reset-password alice
  After renewing the certificate or changing limits in the configuration file:
      sealpost-server admin reload
  For a script, one JSON object a line:
      sealpost-server admin --json queues --top 5

The server must run. Only its own user and root may ask; each act is noted in audit.log in the data folder.

EXIT CODES
  0  done    1  refused or failed    2  wrong arguments    3  the server does not run")]
pub struct AdminArgs {
    /// The server's data folder [default: the user's data folder + sealpost-server].
    #[arg(long, env = "SEALPOST_SERVER_DATA", value_name = "DIR", global = true)]
    pub data: Option<PathBuf>,
    /// Print one JSON object a line
    #[arg(long, global = true)]
    pub json: bool,
    /// Do not ask before an act that cannot be undone
    #[arg(long, global = true)]
    pub yes: bool,
    /// The command to run
    #[command(subcommand)]
    pub command: AdminCommand,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum AdminCommand {
    /// Manage invites; each lets one account register
    #[command(subcommand)]
    Invites(Invites),
    /// Manage accounts
    #[command(subcommand)]
    Users(Users),
    /// List and end logins
    #[command(subcommand)]
    Sessions(Sessions),
    /// Show the queues with the most bytes, and how long their oldest message has waited
    Queues {
        /// The number of queues
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        top: u32,
    },
    /// Show the keys that are left for an account's devices
    Keys {
        /// The account's name.
        #[arg(value_name = "NAME")]
        user: String,
    },
    /// Show the state of the server
    Status,
    /// End everything that a restored older state of the database would revive: logins, one-time prekeys, invites. For
    /// databases that were restored by other means than `restore`, such as a snapshot of the disk. Clients log in again
    /// by themselves where they can
    AfterRestore,
    /// Read certificate, limits and log filter again, as SIGHUP does. Invalid settings change nothing
    Reload,
}

/// `admin invites`.
#[derive(Clone, Debug, Subcommand)]
pub enum Invites {
    /// Make invites and print them. They are shown only now
    Create {
        /// The number of invites
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(INVITES_MAX)))]
        count: u32,
        /// The number of days that they are valid
        #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=365))]
        expires: u32,
    },
    /// List the invites that can still be used
    List,
    /// Revoke an invite
    Revoke {
        /// The invite, or the beginning of its id from the list
        #[arg(value_name = "ID", allow_hyphen_values = true)]
        invite: String,
    },
}

/// `admin users`.
#[derive(Clone, Debug, Subcommand)]
pub enum Users {
    /// List accounts by name
    List {
        /// Only names after this one, the last of the previous page
        #[arg(long, value_name = "NAME")]
        after: Option<String>,
        /// The number of accounts
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// Show an account and its devices
    Show {
        /// Its name.
        #[arg(value_name = "NAME")]
        user: String,
    },
    /// Disable an account: end every login at once and allow no new one. Messages to the account are kept
    Disable {
        /// Its name.
        #[arg(value_name = "NAME")]
        user: String,
    },
    /// Enable an account again
    Enable {
        /// Its name.
        #[arg(value_name = "NAME")]
        user: String,
    },
    /// Set a new password and end every login. Keys and devices stay, so the password gives no access to conversations
    ResetPassword {
        /// Its name.
        #[arg(value_name = "NAME")]
        user: String,
        /// A file with the new password on one line; without it a password is generated and printed
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Erase the account, and report what was erased and what remains. The name is never given out again
    Delete {
        /// Its name.
        #[arg(value_name = "NAME")]
        user: String,
    },
}

/// `admin sessions`.
#[derive(Clone, Debug, Subcommand)]
pub enum Sessions {
    /// List an account's live logins, oldest first
    List {
        /// The account's name.
        #[arg(value_name = "NAME")]
        user: String,
    },
    /// End one login, or all with --all
    End {
        /// The account's name.
        #[arg(value_name = "NAME")]
        user: String,
        /// The login's id from the list
        #[arg(value_name = "ID", required_unless_present = "all")]
        session: Option<String>,
        /// End every login
        #[arg(long, conflicts_with = "session")]
        all: bool,
    },
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        admin: AdminArgs,
    }

    #[test]
    fn an_invite_may_begin_with_a_dash() {
        for line in [["--json", "invites", "revoke", "-Ic4BXQ"], ["invites", "revoke", "-Ic4BXQ", "--json"]] {
            let line = Line::try_parse_from(std::iter::once("admin").chain(line)).unwrap();
            assert!(line.admin.json);
        }
    }
}
