//! Turns what libraries report into exit codes, and says what to do next.

use std::borrow::Cow;

use sealpost_api::problem::{ProblemClass, ProblemCode};
use sealpost_api::username::UsernameError;
use sealpost_client::driver::{DriverError, NetworkFailure};
use sealpost_client::engine::{CommandError, EngineError, InvalidCommand};
use sealpost_client::front::{Reached, ServerError, Trouble};
use sealpost_client::vault::VaultError;

use crate::failure::{Exit, Failure};

/// What to do about a damaged vault.
const DAMAGED: &str = "Nothing was changed. Use a copy of the profile, or start again under the same name: \
                       sealpost login NAME --new-identity --profile OTHER --server URL";

/// Returns the error for a profile without an account.
pub(crate) fn no_account() -> Failure {
    Failure::new(Exit::Failed, "no_account", "this profile has no account yet")
        .hint("Make one: sealpost register NAME --server URL; or choose another profile: --profile NAME")
}

/// Returns the error for a name that breaks the rules for names.
pub(crate) fn username(error: &UsernameError) -> Failure {
    Failure::new(Exit::Usage, "username_invalid", error.to_string())
}

/// Returns the error for a name that this profile does not know.
pub(crate) fn unknown_contact(name: &str) -> Failure {
    Failure::new(Exit::Failed, "unknown_contact", format!("{name} is not known on this profile"))
        .hint("sealpost contacts lists who is; sending to someone, or verify, makes them known")
}

/// Returns the error for keys that differ from the trusted ones.
pub(crate) fn identity_changed(name: &str) -> Failure {
    Failure::new(Exit::Identity, "identity_changed", format!("the identity of {name} has changed; nothing was sent"))
        .hint(format!(
            "Either {name} set up anew, or someone is in between. Ask {name} by another way, compare with \
             `sealpost verify {name}`, then: sealpost verify {name} --accept"
        ))
}

/// Returns the error for an outcome that belongs to another command.
pub(crate) fn unexpected() -> Failure {
    Failure::new(Exit::Failed, "internal", "something went wrong inside the client")
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Limit(reached) => reached.into(),
            Trouble::Driver { error, network } => driver(&error, network.as_ref()),
        }
    }
}

impl From<Reached> for Failure {
    fn from(reached: Reached) -> Self {
        match reached {
            Reached::TimeUp => Self::new(Exit::TimedOut, "timeout", "the time was up before the server had answered")
                .hint("Try again, or allow more time: --timeout SECONDS"),
            Reached::Stopped => Self::new(Exit::TimedOut, "stopped", reached.to_string()),
        }
    }
}

/// Returns the error for a failure of the driver, with what the network says about it.
fn driver(error: &DriverError, network: Option<&NetworkFailure>) -> Failure {
    match error {
        DriverError::Command(CommandError::Unreachable) => unreachable(network),
        DriverError::Command(error) => command(error),
        DriverError::Engine(text) => Failure::new(Exit::Vault, "vault_failed", text.clone())
            .hint("Check whether the disk is full, then try again."),
        DriverError::Stopped => Failure::new(Exit::Failed, "stopped", "the client's engine has stopped"),
    }
}

/// Returns the error for a server that could not be reached.
fn unreachable(network: Option<&NetworkFailure>) -> Failure {
    if let Some(NetworkFailure::Untrusted(text)) = network {
        return Failure::new(Exit::Identity, "server_untrusted", text.clone())
            .hint("The server's certificate is not the one that was trusted. Do not go on unless you know why.");
    }
    let text = network.map_or_else(|| "the server could not be reached".to_owned(), ToString::to_string);
    Failure::new(Exit::Unreachable, "unreachable", text)
        .hint("Check the network and the server's address, then try again.")
}

/// Returns the error for a remembered server that cannot be used.
pub(crate) fn server(error: &ServerError) -> Failure {
    match error {
        ServerError::Url(error) => Failure::new(Exit::Usage, "server_url", error.to_string()),
        ServerError::Authority(_) => {
            Failure::new(Exit::Vault, "vault_damaged", "the pinned certificate in the vault can't be read")
        }
        ServerError::Transport(error) => Failure::new(Exit::Identity, "server_untrusted", error.to_string()),
    }
}

/// Returns the error for a failed command.
fn command(error: &CommandError) -> Failure {
    match error {
        CommandError::Unreachable => unreachable(None),
        CommandError::Refused { code, retry_after } => refused(*code, *retry_after),
        CommandError::IdentityChanged { name } => identity_changed(name.as_str()),
        CommandError::NotLoggedIn => Failure::new(Exit::Refused, "not_logged_in", error.to_string())
            .hint("sealpost login NAME; with --password-file commands log in again by themselves"),
        CommandError::Invalid(invalid) => self::invalid(*invalid),
        CommandError::Superseded => Failure::new(Exit::Failed, "superseded", error.to_string())
            .hint("Is a copy of this profile in use elsewhere? One profile belongs to one machine."),
        CommandError::BadAnswer => Failure::new(Exit::Failed, "bad_answer", error.to_string())
            .hint("Either the server is of another version, or somebody changes what it says."),
        CommandError::Internal => Failure::new(Exit::Failed, "internal", error.to_string()),
    }
}

/// Returns the error for a refusal by the server.
pub(crate) fn refused(code: ProblemCode, retry_after: Option<u64>) -> Failure {
    let failure = Failure::new(Exit::Refused, code.as_str(), code.title());
    match (code, code.class()) {
        (ProblemCode::LoginFailed | ProblemCode::PasswordWrong, _) => failure.hint("Check name and password."),
        (ProblemCode::UsernameTaken, _) => failure.hint("Choose another name, or log in: sealpost login NAME"),
        (ProblemCode::InviteInvalid, _) => failure.hint("Ask the server's operator for an invite: --invite CODE"),
        (ProblemCode::RecipientUnknown | ProblemCode::NotFound, _) => failure.hint("Check how the name is spelt."),
        (_, ProblemClass::Limit | ProblemClass::Server) => match retry_after {
            Some(millis) => failure.hint(format!("Try again in {} s.", millis.div_ceil(1000))),
            None => failure.hint("Try again later."),
        },
        _ => failure,
    }
}

/// Returns the error for a command that cannot be carried out as given.
fn invalid(error: InvalidCommand) -> Failure {
    let plain = |exit, code: &'static str| Failure::new(exit, code, error.to_string());
    match error {
        InvalidCommand::HasAccount => plain(Exit::Failed, "has_account").hint("For a second account: --profile NAME"),
        InvalidCommand::NoAccount => no_account(),
        InvalidCommand::OtherAccount => {
            plain(Exit::Failed, "other_account").hint("For a second account: --profile NAME")
        }
        InvalidCommand::Unanswered => plain(Exit::Failed, "unanswered")
            .hint("Repeat that register or login first, or use another profile: --profile NAME"),
        InvalidCommand::TextLength => plain(Exit::Usage, "text_length").hint("Send it in parts."),
        InvalidCommand::OutboxFull => {
            plain(Exit::Failed, "outbox_full").hint("Connect, so that it empties: sealpost receive")
        }
        InvalidCommand::ToSelf => plain(Exit::Usage, "to_self"),
        InvalidCommand::UnknownContact => {
            plain(Exit::Failed, "unknown_contact").hint("sealpost contacts lists who is known")
        }
        InvalidCommand::NothingToAccept => plain(Exit::Failed, "nothing_to_accept"),
        InvalidCommand::IdentityPending => {
            plain(Exit::Identity, "identity_changed").hint("sealpost verify NAME --accept, after asking them")
        }
        InvalidCommand::NotPrimary => plain(Exit::Failed, "not_primary"),
        InvalidCommand::NoSuchDevice => plain(Exit::Failed, "no_such_device").hint("sealpost devices lists them"),
        InvalidCommand::NotInList => plain(Exit::Failed, "not_in_list"),
        InvalidCommand::TooManyDevices => plain(Exit::Failed, "too_many_devices"),
        InvalidCommand::PasswordLength => plain(Exit::Usage, "password_length"),
    }
}

/// Returns the error for an engine that could not start with this vault.
pub(crate) fn engine(error: &EngineError) -> Failure {
    match error {
        EngineError::Vault(error) => vault(error),
        EngineError::Record { .. } => Failure::new(Exit::Vault, "vault_damaged", error.to_string()).hint(DAMAGED),
        EngineError::Internal => Failure::new(Exit::Failed, "internal", error.to_string()),
    }
}

/// Returns the error for a vault that cannot be used. Each reason has its own code, because each has another remedy.
pub(crate) fn vault(error: &VaultError) -> Failure {
    let (code, hint): (&'static str, Cow<'static, str>) = match error {
        VaultError::Locked => ("vault_locked", "Try another passphrase. Nobody can reset it.".into()),
        VaultError::OtherKeySource { .. } => (
            "vault_other_key",
            "Use --keyring where it was made with --keyring, else its passphrase (--passphrase-file FILE).".into(),
        ),
        VaultError::KeyringUnavailable { .. } => (
            "keyring_unavailable",
            "Start the desktop's key ring (Secret Service) and unlock it; a new profile can use a passphrase \
             instead: leave --keyring out."
                .into(),
        ),
        VaultError::LooseMode { path, wanted } => {
            ("loose_mode", format!("Unless somebody had a reason to change it: chmod {wanted:o} '{path}'").into())
        }
        VaultError::Newer { .. } => {
            ("vault_newer", "Nothing was changed. Use the version of sealpost that wrote it, or a newer one.".into())
        }
        VaultError::Damaged { .. } => ("vault_damaged", DAMAGED.into()),
        VaultError::InUse => (
            "vault_in_use",
            "End the other program that has this profile's vault.db open, such as a backup, then try again.".into(),
        ),
        VaultError::Exists => {
            ("vault_exists", "Nothing was overwritten. Choose another profile: --profile NAME".into())
        }
        _ => ("vault_failed", "Check whether the disk is full, then try again.".into()),
    };
    Failure::new(Exit::Vault, code, error.to_string()).hint(hint)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_reason_of_the_vault_has_its_own_code_exit_7_and_says_what_to_do() {
        let path = "/p/vault.db".to_owned();
        let cases = [
            (VaultError::Locked, "vault_locked"),
            (VaultError::OtherKeySource { kept: "in the key ring" }, "vault_other_key"),
            (VaultError::KeyringUnavailable { reason: "no Secret Service" }, "keyring_unavailable"),
            (VaultError::LooseMode { path, wanted: 0o600 }, "loose_mode"),
            (VaultError::Newer { format: 9 }, "vault_newer"),
            (VaultError::Damaged { what: "key" }, "vault_damaged"),
            (VaultError::InUse, "vault_in_use"),
            (VaultError::Exists, "vault_exists"),
            (VaultError::Storage { reason: String::new() }, "vault_failed"),
        ];
        let mut hints = BTreeSet::new();
        for (error, code) in cases {
            let failure = engine(&EngineError::Vault(error));
            assert_eq!((failure.code.as_ref(), failure.exit), (code, Exit::Vault));
            assert!(hints.insert(failure.hint.unwrap()), "{code} has another one's hint");
        }
        assert!(hints.iter().any(|hint| hint.contains("chmod 600 '/p/vault.db'")));
    }
}
