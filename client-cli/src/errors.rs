//! Turns what libraries report into exit codes, and says what to do next.

use std::borrow::Cow;

use sealpost_api::problem::{ProblemClass, ProblemCode};
use sealpost_api::username::UsernameError;
use sealpost_client::driver::DriverError;
use sealpost_client::engine::{CommandError, EngineError, InvalidCommand};
use sealpost_client::native::TransportError;
use sealpost_client::vault::VaultError;

use crate::failure::{Exit, Failure};

/// What to do about a damaged vault.
const DAMAGED: &str = "Nothing was changed. Go on from a copy of the profile, or anew under the same name: \
                       sealpost login NAME --new-identity --profile OTHER --server URL";

/// This profile was never used.
pub(crate) fn no_account() -> Failure {
    Failure::new(Exit::Failed, "no_account", "this profile has no account yet")
        .hint("Make one: sealpost register NAME --server URL; or choose another profile: --profile NAME")
}

/// A name that cannot be one.
pub(crate) fn username(error: &UsernameError) -> Failure {
    Failure::new(Exit::Usage, "username_invalid", error.to_string())
}

/// Someone whom this profile has not met.
pub(crate) fn unknown_contact(name: &str) -> Failure {
    Failure::new(Exit::Failed, "unknown_contact", format!("{name} is not known on this profile"))
        .hint("sealpost contacts lists who is; sending to someone, or verify, makes them known")
}

/// Someone whose keys are not those that were trusted.
pub(crate) fn identity_changed(name: &str) -> Failure {
    Failure::new(Exit::Identity, "identity_changed", format!("the identity of {name} has changed; nothing was sent"))
        .hint(format!(
            "Either {name} set up anew, or someone is in between. Ask {name} by another way, compare with \
             `sealpost verify {name}`, then: sealpost verify {name} --accept"
        ))
}

/// A driver's error; with the network's own, which says more than that it failed.
pub(crate) fn driver(error: &DriverError, network: Option<&TransportError>) -> Failure {
    match error {
        DriverError::Command(CommandError::Unreachable) => unreachable(network),
        DriverError::Command(error) => command(error),
        DriverError::Engine(text) => Failure::new(Exit::Vault, "vault_failed", text.clone())
            .hint("Look whether the disk is full, then try again."),
        DriverError::Stopped => Failure::new(Exit::Failed, "stopped", "the client's engine has stopped"),
    }
}

/// No way to the server.
fn unreachable(network: Option<&TransportError>) -> Failure {
    match network {
        Some(error @ TransportError::Tls(_)) => Failure::new(Exit::Identity, "server_untrusted", error.to_string())
            .hint("The server's certificate is not the one that was trusted. Do not go on unless you know why."),
        Some(error) => Failure::new(Exit::Unreachable, "unreachable", error.to_string())
            .hint("Look at the network and at the server's address, then try again."),
        None => Failure::new(Exit::Unreachable, "unreachable", "the server could not be reached")
            .hint("Look at the network and at the server's address, then try again."),
    }
}

/// A command's own error.
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
            .hint("Either the server is of another version, or somebody meddles with what it says."),
        CommandError::Internal => Failure::new(Exit::Failed, "internal", error.to_string()),
    }
}

/// The server said no.
pub(crate) fn refused(code: ProblemCode, retry_after: Option<u64>) -> Failure {
    let failure = Failure::new(Exit::Refused, code.as_str(), code.title());
    match (code, code.class()) {
        (ProblemCode::LoginFailed | ProblemCode::PasswordWrong, _) => failure.hint("Look at name and password."),
        (ProblemCode::UsernameTaken, _) => failure.hint("Choose another name, or log in: sealpost login NAME"),
        (ProblemCode::InviteInvalid, _) => failure.hint("Ask whoever runs the server for an invite: --invite CODE"),
        (ProblemCode::RecipientUnknown | ProblemCode::NotFound, _) => failure.hint("Look at how the name is spelt."),
        (_, ProblemClass::Limit | ProblemClass::Server) => match retry_after {
            Some(millis) => failure.hint(format!("Try again in {} s.", millis.div_ceil(1000))),
            None => failure.hint("Try again later."),
        },
        _ => failure,
    }
}

/// Asked for something that cannot be.
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

/// The engine could not begin with this vault.
pub(crate) fn engine(error: &EngineError) -> Failure {
    match error {
        EngineError::Vault(error) => vault(error),
        EngineError::Record { .. } => Failure::new(Exit::Vault, "vault_damaged", error.to_string()).hint(DAMAGED),
        EngineError::Internal => Failure::new(Exit::Failed, "internal", error.to_string()),
    }
}

/// The vault can't be used. Each reason has its own code, because each asks for something else.
pub(crate) fn vault(error: &VaultError) -> Failure {
    let (code, hint): (&'static str, Cow<'static, str>) = match error {
        VaultError::Locked => ("vault_locked", "Try another passphrase. Nobody can reset it.".into()),
        VaultError::OtherKeySource { .. } => (
            "vault_other_key",
            "Use --keyring where it was made with --keyring, else its passphrase (--passphrase-file FILE).".into(),
        ),
        VaultError::KeyringUnavailable { .. } => (
            "keyring_unavailable",
            "Start the desktop's key ring (Secret Service) and unlock it; for a new profile a passphrase does as well: \
             leave --keyring out."
                .into(),
        ),
        VaultError::LooseMode { path, wanted } => {
            ("loose_mode", format!("If nobody had a reason to touch it: chmod {wanted:o} '{path}'").into())
        }
        VaultError::Newer { .. } => {
            ("vault_newer", "Nothing was changed. Use the version of sealpost that wrote it, or a newer one.".into())
        }
        VaultError::Damaged { .. } => ("vault_damaged", DAMAGED.into()),
        VaultError::InUse => {
            ("vault_in_use", "End whatever else has this profile's vault.db open, such as a backup, then try again.".into())
        }
        VaultError::Exists => ("vault_exists", "Nothing was overwritten. Choose another profile: --profile NAME".into()),
        _ => ("vault_failed", "Look whether the disk is full, then try again.".into()),
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
