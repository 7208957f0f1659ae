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
    /// One JSON object a line.
    #[arg(long, global = true)]
    pub json: bool,
    /// Do not ask before something that cannot be undone.
    #[arg(long, global = true)]
    pub yes: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: AdminCommand,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum AdminCommand {
    /// Invites for registration; each is good for one account.
    #[command(subcommand)]
    Invites(Invites),
    /// Accounts.
    #[command(subcommand)]
    Users(Users),
    /// Log-ins on devices.
    #[command(subcommand)]
    Sessions(Sessions),
    /// The queues with the most bytes, and how long the oldest message has waited.
    Queues {
        /// How many.
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        top: u32,
    },
    /// The keys that are left for an account's devices.
    Keys {
        /// The account's name.
        #[arg(value_name = "NAME")]
        user: String,
    },
    /// How the server is.
    Status,
    /// End what must not come to life again after an older state of the database was put back by other means than `restore`,
    /// such as a snapshot of the disk: sessions, one-time prekeys, invites. Clients log in again by themselves where they can.
    AfterRestore,
    /// Read certificate, limits and log filter again, as SIGHUP does. A file that is not valid changes nothing.
    Reload,
}

/// `admin invites`.
#[derive(Clone, Debug, Subcommand)]
pub enum Invites {
    /// Make invites and print them: they are shown only now.
    Create {
        /// How many.
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(INVITES_MAX)))]
        count: u32,
        /// For how many days.
        #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=365))]
        expires: u32,
    },
    /// Those that can still be used.
    List,
    /// Make one useless.
    Revoke {
        /// The beginning of its id as listed, or the invite itself.
        #[arg(value_name = "ID", allow_hyphen_values = true)]
        invite: String,
    },
}

/// `admin users`.
#[derive(Clone, Debug, Subcommand)]
pub enum Users {
    /// Accounts, by name.
    List {
        /// Only names after this one: the last of the page before.
        #[arg(long, value_name = "NAME")]
        after: Option<String>,
        /// How many.
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// One account and its devices.
    Show {
        /// Its name.
        #[arg(value_name = "NAME")]
        user: String,
    },
    /// Forbid log-in and end every session at once. Messages to the account are kept for it.
    Disable {
        /// Its name.
        #[arg(value_name = "NAME")]
        user: String,
    },
    /// Allow log-in again.
    Enable {
        /// Its name.
        #[arg(value_name = "NAME")]
        user: String,
    },
    /// Set a new password and end every session. Keys and devices stay: it gives nobody a way into conversations.
    ResetPassword {
        /// Its name.
        #[arg(value_name = "NAME")]
        user: String,
        /// The file with the new password, of one line; without it one is made and printed.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Erase the account, and say what was erased and what remains. The name is never given again.
    Delete {
        /// Its name.
        #[arg(value_name = "NAME")]
        user: String,
    },
}

/// `admin sessions`.
#[derive(Clone, Debug, Subcommand)]
pub enum Sessions {
    /// An account's live sessions, the oldest first.
    List {
        /// The account's name.
        #[arg(value_name = "NAME")]
        user: String,
    },
    /// End one session, or all with --all.
    End {
        /// The account's name.
        #[arg(value_name = "NAME")]
        user: String,
        /// The session's id as listed.
        #[arg(value_name = "ID", required_unless_present = "all")]
        session: Option<String>,
        /// Every session.
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
