//! Passwords and passphrases: from a file, from standard input, or asked for at the terminal; never from the command line
//! or the environment, where every process of the machine can read them.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use sealpost_api::password::Password;
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure};
use crate::files;

/// Returns whether a person can be asked: both ends of the conversation are terminals.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Returns whether a person can be asked for something hidden. That is read from the terminal itself, so standard input may be a
/// text (`echo report | sealpost send bob -`).
fn can_ask_hidden() -> bool {
    io::stderr().is_terminal() && std::fs::File::open("/dev/tty").is_ok()
}

/// Asks for something that is not shown while it is typed.
fn ask_hidden(prompt: &str) -> Result<Zeroizing<String>, Failure> {
    rpassword::prompt_password(prompt)
        .map(Zeroizing::new)
        .map_err(|error| Failure::io("cannot read from the terminal", &error))
}

/// Asks twice until both answers are the same, at most three times.
fn ask_twice(prompt: &str) -> Result<Zeroizing<String>, Failure> {
    for _ in 0..3 {
        let first = ask_hidden(prompt)?;
        let second = ask_hidden("The same again: ")?;
        if first == second {
            return Ok(first);
        }
        say("These were not the same.");
    }
    Err(Failure::new(Exit::Failed, "not_the_same", "the two were not the same, three times"))
}

/// Asks for a yes. Only the word itself counts. Ctrl-C ends the question, and the command with it.
pub(crate) async fn confirm(question: &str) -> Result<bool, Failure> {
    say_unfinished(&format!("{question} [yes/no] "));
    // On a thread of its own: a signal only sets a flag, and the program's thread must be free to look at it.
    let read = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).map(|_| answer)
    });
    let answer = tokio::select! {
        read = read => read.map_err(io::Error::other).flatten(),
        _ = tokio::signal::ctrl_c() => {
            say("");
            return Err(Failure::new(Exit::Failed, "stopped", "stopped before it was done"));
        }
    };
    let answer = answer.map_err(|error| Failure::io("cannot read from the terminal", &error))?;
    Ok(answer.trim().eq_ignore_ascii_case("yes"))
}

/// Says something to the person at the terminal.
pub(crate) fn say(sentence: &str) {
    let _ = writeln!(io::stderr(), "{sentence}");
}

fn say_unfinished(sentence: &str) {
    let mut stderr = io::stderr();
    let _ = write!(stderr, "{sentence}").and_then(|()| stderr.flush());
}

/// Whether a secret exists already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It exists; asked for once.
    Existing,
    /// It is chosen now; asked for twice.
    New,
}

/// Reads the account's password from a file, or asks for it.
pub(crate) fn password(file: Option<&Path>, purpose: Purpose, prompt: &str) -> Result<Password, Failure> {
    let text = if let Some(file) = file {
        files::read_secret(file)?
    } else if !can_ask_hidden() {
        return Err(Failure::new(
            Exit::Usage,
            "password_needed",
            "a password is needed, and there is no terminal to ask at",
        )
        .hint("Put it into a file that only you can read, and name it: --password-file FILE"));
    } else if purpose == Purpose::New {
        ask_twice(prompt)?
    } else {
        ask_hidden(prompt)?
    };
    let password = Password::new(text.as_str().to_owned());
    if purpose == Purpose::New {
        password.check_length().map_err(|error| Failure::new(Exit::Usage, "password_length", error.to_string()))?;
    }
    Ok(password)
}

/// Reads the vault's passphrase from a file, or asks for it.
pub(crate) fn passphrase(file: Option<&PathBuf>, purpose: Purpose) -> Result<Zeroizing<String>, Failure> {
    let text = if let Some(file) = file {
        files::read_secret(file)?
    } else if !can_ask_hidden() {
        return Err(Failure::new(
            Exit::Vault,
            "passphrase_needed",
            "the vault is locked, and there is no terminal to ask for its passphrase at",
        )
        .hint("Name a file that holds it: --passphrase-file FILE; or use the key ring: --keyring"));
    } else if purpose == Purpose::New {
        say(
            "A passphrase encrypts keys and messages on this machine. It is not the account's password, and nobody can reset it.",
        );
        ask_twice("New passphrase: ")?
    } else {
        ask_hidden("Passphrase: ")?
    };
    if purpose == Purpose::New && text.is_empty() {
        return Err(Failure::new(Exit::Usage, "passphrase_empty", "an empty passphrase protects nothing")
            .hint("Choose a passphrase, or keep the key in the desktop's key ring: --keyring"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_password_has_a_length_and_an_old_one_is_taken_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("p");
        std::fs::write(&file, "short\n").unwrap();
        assert_eq!(password(Some(&file), Purpose::New, "").unwrap_err().code, "password_length");
        assert_eq!(password(Some(&file), Purpose::Existing, "").unwrap().reveal(), "short");
    }

    #[test]
    fn an_empty_passphrase_is_refused_when_it_is_chosen() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("p");
        std::fs::write(&file, "\n").unwrap();
        assert_eq!(passphrase(Some(&file), Purpose::New).unwrap_err().code, "passphrase_empty");
    }
}
