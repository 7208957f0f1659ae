//! `sealpost-server admin`: turns arguments into a question, and prints the answer.

use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use sealpost_api::limits::PASSWORD_MAX_BYTES;
use sealpost_api::password::Password;

use super::args::{AdminArgs, AdminCommand, Invites, Sessions, Users};
use super::client::{AskError, ask};
use super::print;
use super::protocol::{Failure, Request};
use crate::base::config::{NoDataFolder, data_folder};

/// The exit code for a refusal or failure.
const FAILED: u8 = 1;
/// The exit code for wrong arguments, the same as clap's.
const USAGE: u8 = 2;
/// The exit code if no server runs.
const NOT_RUNNING: u8 = 3;

/// Why nothing was asked.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("it was not done")]
    Declined,
    #[error("this cannot be undone; say --yes where nobody can be asked")]
    NotAsked,
    #[error("cannot read the password file {0}")]
    PasswordFile(String, #[source] io::Error),
    #[error("the password file {0} is longer than a password")]
    PasswordLong(String),
    #[error(transparent)]
    Data(#[from] NoDataFolder),
    #[error("the answer could not be printed")]
    Print(#[from] io::Error),
}

impl CommandError {
    fn exit(&self) -> (u8, &str) {
        match self {
            Self::Ask(AskError::NotRunning(_)) => (NOT_RUNNING, "not_running"),
            Self::Ask(AskError::Refused(Failure { error, .. })) => (FAILED, error),
            Self::Ask(AskError::Forbidden(_)) => (FAILED, "forbidden"),
            Self::Ask(_) => (FAILED, "no_answer"),
            Self::NotAsked => (USAGE, "not_confirmed"),
            Self::Declined => (FAILED, "not_confirmed"),
            Self::PasswordFile(..) | Self::PasswordLong(_) => (USAGE, "password_file"),
            Self::Data(_) => (USAGE, "no_data_folder"),
            Self::Print(_) => (FAILED, "not_printed"),
        }
    }
}

/// Runs the command and prints the answer.
#[must_use]
pub fn run(args: &AdminArgs) -> ExitCode {
    let Err(error) = act(args) else { return ExitCode::SUCCESS };
    let (exit, name) = error.exit();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    if args.json {
        let failure = Failure { error: name.to_owned(), message: text };
        eprintln!("{}", serde_json::to_string(&failure).unwrap_or_default());
    } else {
        eprintln!("sealpost-server: {text}");
    }
    ExitCode::from(exit)
}

fn act(args: &AdminArgs) -> Result<(), CommandError> {
    let data = data_folder(args.data.as_deref())?;
    if let Some(question) = question(&args.command) {
        confirm(&question, args.yes)?;
    }
    let reply = ask(&data, &request(&args.command)?)?;
    let mut out = io::stdout().lock();
    if args.json {
        print::json(&mut out, &reply)?
    } else {
        print::text(&mut out, &reply)?
    }
    Ok(out.flush()?)
}

fn request(command: &AdminCommand) -> Result<Request, CommandError> {
    Ok(match command.clone() {
        AdminCommand::Invites(Invites::Create { count, expires }) => Request::InvitesCreate { count, days: expires },
        AdminCommand::Invites(Invites::List) => Request::InvitesList,
        AdminCommand::Invites(Invites::Revoke { invite }) => Request::InvitesRevoke { invite },
        AdminCommand::Users(Users::List { after, limit }) => Request::UsersList { after, limit },
        AdminCommand::Users(Users::Show { user }) => Request::UsersShow { user },
        AdminCommand::Users(Users::Disable { user }) => Request::UsersDisable { user },
        AdminCommand::Users(Users::Enable { user }) => Request::UsersEnable { user },
        AdminCommand::Users(Users::ResetPassword { user, password_file }) => {
            let password = password_file.as_deref().map(read_password).transpose()?;
            Request::UsersResetPassword { user, password }
        }
        AdminCommand::Users(Users::Delete { user }) => Request::UsersDelete { user },
        AdminCommand::Sessions(Sessions::List { user }) => Request::SessionsList { user },
        AdminCommand::Sessions(Sessions::End { user, session, all: _ }) => Request::SessionsEnd { user, session },
        AdminCommand::Queues { top } => Request::Queues { top },
        AdminCommand::Keys { user } => Request::Keys { user },
        AdminCommand::Status => Request::Status,
        AdminCommand::AfterRestore => Request::AfterRestore,
        AdminCommand::Reload => Request::Reload,
    })
}

/// Returns the question to ask before an act that cannot be undone.
fn question(command: &AdminCommand) -> Option<String> {
    match command {
        AdminCommand::Users(Users::Delete { user }) => Some(format!(
            "This erases the account {user} with its devices, keys and waiting messages; the name is never given again."
        )),
        AdminCommand::Users(Users::ResetPassword { user, .. }) => {
            Some(format!("This ends every session of {user}, and the old password is gone."))
        }
        AdminCommand::Sessions(Sessions::End { user, all: true, .. }) => {
            Some(format!("This ends every session of {user}."))
        }
        AdminCommand::AfterRestore => {
            Some("This ends every session, and discards all one-time prekeys and invites.".to_owned())
        }
        _ => None,
    }
}

fn confirm(question: &str, yes: bool) -> Result<(), CommandError> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(CommandError::NotAsked);
    }
    eprint!("{question} Go on? [y/N] ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") { Ok(()) } else { Err(CommandError::Declined) }
}

/// Reads the file's only line, without its line end.
fn read_password(path: &Path) -> Result<Password, CommandError> {
    use std::io::Read as _;
    let failed = |error| CommandError::PasswordFile(path.display().to_string(), error);
    let file = fs::File::open(path).map_err(failed)?;
    let longest = PASSWORD_MAX_BYTES.saturating_add(2);
    let mut text = zeroize::Zeroizing::new(String::new());
    file.take(u64::try_from(longest).unwrap_or(u64::MAX).saturating_add(1))
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() > longest {
        return Err(CommandError::PasswordLong(path.display().to_string()));
    }
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Password::new(line.strip_suffix('\r').unwrap_or(line).to_owned()))
}
