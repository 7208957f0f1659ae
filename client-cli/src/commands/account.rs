//! The account on this profile.

use sealpost_api::encoding::B64;
use sealpost_api::password::Password;
use sealpost_client::driver::DriverError;
use sealpost_client::engine::{AccountInfo, Command, CommandError, InvalidCommand, Outcome};
use serde::Serialize;

use super::outbox;
use crate::failure::{Exit, Failure};
use crate::limit::Limit;
use crate::lines;
use crate::owner::{Owner, Tried, username};
use crate::sink::Sink;
use crate::task::Line;

/// Makes the account. Repeated after it was made, it says so again, so that a script whose command was killed in the very
/// last moment may just run it again.
pub(crate) async fn register(
    owner: &Owner,
    limit: &Limit,
    sink: &Sink,
    name: &str,
    password: &Password,
    invite: Option<&str>,
) -> Result<(), Failure> {
    let name = username(name)?;
    let command =
        Command::Register { username: name.clone(), password: password.clone(), invite: invite.map(str::to_owned) };
    let account = match owner.tried(limit, command).await {
        Ok(outcome) => account_of(outcome)?,
        Err(Tried::Driver(DriverError::Command(CommandError::Invalid(InvalidCommand::HasAccount)))) => {
            let account = owner.account().await?;
            if account.username != name {
                return Err(Failure::new(
                    Exit::Failed,
                    "has_account",
                    format!("this profile is {}'s", account.username),
                )
                .hint("For a second account: --profile NAME"));
            }
            account
        }
        Err(tried) => return Err(tried.explained(owner)),
    };
    owner.note_logged_out(false).await?;
    sink.line(event("registered", &account, format!("registered as {}", account.username))).await
}

/// Logs in on this device, or with a new identity.
pub(crate) async fn login(
    owner: &Owner,
    limit: &Limit,
    sink: &Sink,
    name: &str,
    password: &Password,
    new_identity: bool,
) -> Result<(), Failure> {
    let command = Command::Login { username: username(name)?, password: password.clone(), new_identity };
    let account = account_of(owner.command(limit, command).await.map_err(|failure| {
        if failure.code == "no_account" {
            failure.hint(
                "This profile holds no keys of the account. With `login NAME --new-identity` it goes on under new ones, \
                 which contacts must accept.",
            )
        } else {
            failure
        }
    })?)?;
    owner.note_logged_out(false).await?;
    sink.line(event("logged_in", &account, format!("logged in as {}", account.username))).await?;
    outbox::flush(owner, limit, sink).await
}

/// Ends this device's session.
pub(crate) async fn logout(owner: &Owner, limit: &Limit, sink: &Sink) -> Result<(), Failure> {
    let account = owner.account().await?;
    owner.note_logged_out(true).await?;
    owner.command(limit, Command::Logout).await?;
    sink.line(event("logged_out", &account, format!("logged out; {} stays on this machine", account.username))).await
}

/// Changes the password.
pub(crate) async fn change_password(
    owner: &Owner,
    limit: &Limit,
    sink: &Sink,
    old: &Password,
    new: &Password,
) -> Result<(), Failure> {
    let account = owner.account().await?;
    owner.command(limit, Command::ChangePassword { old: old.clone(), new: new.clone() }).await?;
    let text = "the password is changed; every other log-in has ended".to_owned();
    sink.line(event("password_changed", &account, text)).await
}

/// Deletes the account.
pub(crate) async fn delete(owner: &Owner, limit: &Limit, sink: &Sink, password: &Password) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Object<'a> {
        event: &'static str,
        account: &'a str,
        device: u8,
        erased: serde_json::Value,
    }
    let account = owner.account().await?;
    let outcome = owner.command(limit, Command::DeleteAccount { password: password.clone() }).await?;
    let Outcome::Erased(report) = outcome else { return Err(unexpected()) };
    let erased = serde_json::from_str(&report).unwrap_or(serde_json::Value::Null);
    let name = account.username.as_str();
    let text = format!("the account {name} is deleted; the server erased: {}", crate::sanitise::visible(&report));
    let object = Object { event: "account_deleted", account: name, device: account.device.get(), erased };
    sink.line(Line::new(&object, text)).await
}

/// Fetches what the server holds: the document, which whoever asked writes to a file, and the line to print then.
pub(crate) async fn export(owner: &Owner, limit: &Limit, sink: &Sink) -> Result<(), Failure> {
    let account = owner.account().await?;
    let Outcome::Export(json) = owner.command(limit, Command::Export).await? else { return Err(unexpected()) };
    let document = Line { json, text: String::new() };
    sink.lines(&[document, event("exported", &account, "what the server holds is saved".to_owned())]).await
}

/// Who this profile is.
pub(crate) async fn whoami(owner: &Owner, sink: &Sink) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Object<'a, Account: serde::Serialize, Key: serde::Serialize, Registration: serde::Serialize> {
        event: &'static str,
        account: &'a str,
        device: u8,
        account_id: Account,
        account_identity_key: Key,
        registration_id: Registration,
        primary: bool,
        logged_in: bool,
        server: Option<&'a str>,
    }
    let account = owner.account().await?;
    let name = account.username.as_str();
    let server = owner.server.as_deref();
    let text = format!(
        "{name}, device {} of account {}{}{}",
        account.device.get(),
        account.account,
        server.map(|server| format!(", on {}", crate::sanitise::visible(server))).unwrap_or_default(),
        if account.logged_in { "" } else { " (logged out)" }
    );
    let object = Object {
        event: "whoami",
        account: name,
        device: account.device.get(),
        account_id: B64(account.account),
        account_identity_key: B64(account.account_identity),
        registration_id: B64(account.registration),
        primary: account.primary,
        logged_in: account.logged_in,
        server,
    };
    sink.line(Line::new(&object, text)).await
}

/// The line of an event of the account.
pub(crate) fn event(event: &'static str, account: &AccountInfo, text: String) -> Line {
    lines::account_event(event, account.username.as_str(), account.device.get(), text)
}

fn account_of(outcome: Outcome) -> Result<AccountInfo, Failure> {
    if let Outcome::Account(account) = outcome { Ok(account) } else { Err(unexpected()) }
}

/// The engine answered a command with another one's outcome.
pub(crate) fn unexpected() -> Failure {
    Failure::new(Exit::Failed, "internal", "something went wrong inside the client")
}
