//! The command line as typed. Scripts rely on it; `--help` teaches it.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{ArgAction, Args, Parser, Subcommand};

/// How long a command tries when `--timeout` does not say, in seconds: longer than a slow network's handshakes, shorter
/// than a person's patience.
pub(crate) const DEFAULT_TIMEOUT_SECONDS: u64 = 30;
/// The longest `--timeout`, in seconds (a year), so that a deadline can always be added to the clock.
const TIMEOUT_MAX_SECONDS: f64 = 31_536_000.0;

const AFTER_HELP: &str = "\
Examples:
  sealpost register alice --server https://localhost:8443
  sealpost send bob 'Hello!'            returns when the server has accepted it
  echo report | sealpost send bob -     the text comes from standard input
  sealpost receive                      prints what is new, and returns
  sealpost receive --follow --json      one JSON object a line, until stopped
  sealpost chat bob                     both, line by line
  sealpost verify bob                   the safety number, to compare with Bob
  sealpost verify bob --mark            after comparing

Exit codes:
  0  done                               4  refused by the server (the code is printed)
  1  failed                             5  identity changed, or not verified as demanded
  2  wrong usage                        6  time-out with nothing to show
  3  server unreachable                 7  vault locked or damaged

A message that could not be sent now (3, 6) is kept and sent by the next command that connects.
Messages, names and keys lie encrypted in DATA/PROFILE, under a passphrase or the key ring's key.
Every command opens them: it asks for the passphrase, unless SEALPOST_PASSPHRASE_FILE or
SEALPOST_KEYRING=1 says where it is. `sealpost COMMAND --help` says more about each command.";

/// End-to-end encrypted messages from a terminal or a script.
#[derive(Debug, Parser)]
#[command(name = "sealpost", version, after_help = AFTER_HELP, propagate_version = true, disable_help_subcommand = true)]
pub(crate) struct CommandLine {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every command takes, before or after its name.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Folder of all profiles [default: the platform's data folder]
    #[arg(long, global = true, value_name = "DIR", env = "SEALPOST_DATA")]
    pub(crate) data: Option<PathBuf>,
    /// Which of this machine's accounts to use
    #[arg(long, global = true, value_name = "NAME", env = "SEALPOST_PROFILE", default_value = "default")]
    pub(crate) profile: String,
    /// The server's URL; needed by the first register or login, remembered after that
    #[arg(long, global = true, value_name = "URL", env = "SEALPOST_SERVER")]
    pub(crate) server: Option<String>,
    /// Certificate (PEM) of the server's private CA; remembered after the first register or login
    #[arg(long, global = true, value_name = "FILE", env = "SEALPOST_CA")]
    pub(crate) ca: Option<PathBuf>,
    /// File with the account's password, - for standard input [default: asked at the terminal]
    #[arg(long, global = true, value_name = "FILE", env = "SEALPOST_PASSWORD_FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// File with the vault's passphrase, - for standard input [default: asked at the terminal]
    #[arg(long, global = true, value_name = "FILE", env = "SEALPOST_PASSPHRASE_FILE", conflicts_with = "keyring")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Keep the vault's key in the key ring of the desktop instead of under a passphrase
    #[arg(long, global = true, env = "SEALPOST_KEYRING", action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    pub(crate) keyring: bool,
    /// Print JSON: one object a line on stdout, errors as one object on stderr
    #[arg(long, global = true, env = "SEALPOST_JSON", action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
    /// Give up after this long [default: 30; none for receive --follow and chat]
    #[arg(long, global = true, value_name = "SECONDS", env = "SEALPOST_TIMEOUT", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
    /// No progress, and nothing but results and errors
    #[arg(long, global = true, env = "SEALPOST_QUIET", action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    pub(crate) quiet: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make an account on a server, with this profile as its first device
    #[command(
        after_help = "Example:\n  sealpost register alice --server https://chat.example.org\n\nAsks for a password twice, and for a \
                            passphrase that encrypts this machine's copy twice.\nA server with its own CA shows its fingerprint, to be compared \
                            with what the server printed at its start; --ca FILE needs no question.\nMay be repeated after a failure: it goes on \
                            where it stopped."
    )]
    Register {
        /// 3 to 32 of a-z, 0-9, '_' and '.', starting with a letter
        name: String,
        /// Where the server registers by invite only
        #[arg(long, value_name = "CODE", allow_hyphen_values = true)]
        invite: Option<String>,
    },
    /// Log in again on this device, or begin anew without the old one
    #[command(
        after_help = "Without the account's keys (a new machine, or a lost vault), only\n  sealpost login alice --new-identity\ngoes on under the \
                            same name. Contacts are shown the change and must accept it before they can write."
    )]
    Login {
        /// The account's name
        name: String,
        /// Make new keys: every other device is out, contacts see the change
        #[arg(long)]
        new_identity: bool,
    },
    /// End this device's session; keys and history stay in the vault
    Logout,
    /// Change the account's password (ends all other sessions)
    #[command(
        after_help = "Asks for the old and the new password. In scripts --password-file holds the old one, --new-password-file the new one."
    )]
    Password {
        /// File with the new password
        #[arg(long, value_name = "FILE", env = "SEALPOST_NEW_PASSWORD_FILE")]
        new_password_file: Option<PathBuf>,
    },
    /// Delete the account on the server for good; its name is never given again
    DeleteAccount {
        /// Do not ask whether this is meant
        #[arg(long)]
        yes: bool,
    },
    /// Save everything that the server holds of this account
    Export {
        /// A new JSON file, readable for you alone
        file: PathBuf,
    },
    /// Send a message; returns when the server has accepted it
    #[command(after_help = "\
Examples:
  sealpost send bob 'See you at 8'
  sealpost send bob - < letter.txt
  sealpost send bob -- '-5 degrees'

Exit 0: accepted, stored safely by the server. 3 or 6: kept, sent by the next command that connects.
4: refused for good, not kept (but not_logged_in: kept until you have logged in).
5: the recipient's identity changed; look at `sealpost verify NAME`.")]
    Send {
        /// The recipient's name
        name: String,
        /// The text, or - for standard input; at most 65,536 bytes
        text: String,
        /// Only if the recipient's safety number was marked as verified
        #[arg(long)]
        verified: bool,
    },
    /// Print every message that was not printed before
    #[command(
        after_help = "Examples:\n  sealpost receive                       what is new; 0 when the queue is empty\n  sealpost receive --follow              \
                            stays; other commands of this profile go through it\n  sealpost receive --follow --max 1 --timeout 60   waits a minute for one message\n\nA message is \
                            marked as printed after it was written. So after a kill a line may come again,\nwith the same \
                            message_id; none is skipped."
    )]
    Receive {
        /// Stay, and print what comes
        #[arg(long)]
        follow: bool,
        /// Stop after this many messages
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        max: Option<u64>,
    },
    /// Write and read, line by line
    #[command(after_help = "\
Each line that you type is sent to NAME; what anybody writes to you is printed.
Ctrl-D or Ctrl-C ends it. The exit code says whether all lines were sent.")]
    Chat {
        /// With whom
        name: String,
    },
    /// Both sides' messages, oldest first; needs no server
    History {
        /// With whom
        name: String,
        /// Only messages sent at or after this time, in ms since 1970
        #[arg(long, value_name = "MS")]
        since: Option<u64>,
        /// Only the newest so many
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        limit: Option<u64>,
    },
    /// People this profile has met; needs no server
    Contacts,
    /// Show a safety number, to be compared with the other person's
    #[command(
        after_help = "Both people see the same number, if nobody sits between them. Compare it by voice or in person, then\n  sealpost verify bob --mark\nAfter \
                            a changed identity (exit 5), ask Bob whether it was him, then\n  sealpost verify bob --accept"
    )]
    Verify {
        /// Whose
        name: String,
        /// The numbers were compared and are the same
        #[arg(long, conflicts_with = "accept")]
        mark: bool,
        /// Accept a changed identity
        #[arg(long)]
        accept: bool,
    },
    /// The account, device and keys of this profile; needs no server
    Whoami,
    /// The account's devices
    Devices {
        #[command(subcommand)]
        action: Option<DevicesAction>,
    },
    /// The account's log-ins
    Sessions {
        #[command(subcommand)]
        action: Option<SessionsAction>,
    },
    /// Prekeys that the server holds for this device
    Keys {
        /// Make a new signed prekey now
        #[arg(long)]
        rotate: bool,
    },
    /// Connection, outbox, and anything that needs attention; without the server (3) what the vault knows
    Status,
    /// Print a completion script for a shell
    #[command(
        after_help = "Example:\n  sealpost completions bash > ~/.local/share/bash-completion/completions/sealpost"
    )]
    Completions {
        /// Which
        shell: clap_complete::Shell,
    },
}

/// Of `devices`.
#[derive(Debug, Subcommand)]
pub(crate) enum DevicesAction {
    /// Take a device off the account for good
    Remove {
        /// Its id, 1 to 127
        #[arg(value_parser = clap::value_parser!(u8).range(1..=127))]
        id: u8,
    },
}

/// Of `sessions`.
#[derive(Debug, Subcommand)]
pub(crate) enum SessionsAction {
    /// End a log-in, or all of them
    End {
        /// Its id, as `sessions` prints it
        #[arg(required_unless_present = "all", allow_hyphen_values = true)]
        id: Option<String>,
        /// All, this one too
        #[arg(long, conflicts_with = "id")]
        all: bool,
    },
}

/// Parses a number of seconds.
fn seconds(text: &str) -> Result<Duration, String> {
    text.parse::<f64>()
        .ok()
        .filter(|seconds| (0.0..=TIMEOUT_MAX_SECONDS).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "a number of seconds is needed, such as 10 or 0.5".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &[&str]) -> Result<CommandLine, clap::Error> {
        CommandLine::try_parse_from(std::iter::once("sealpost").chain(line.iter().copied()))
    }

    #[test]
    fn the_definition_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn global_flags_stand_before_or_after_the_command() {
        let before = parse(&["--json", "--timeout", "2.5", "send", "bob", "hi"]).unwrap();
        let after = parse(&["send", "bob", "hi", "--json", "--timeout", "2.5"]).unwrap();
        for line in [before, after] {
            assert!(line.global.json);
            assert_eq!(line.global.timeout, Some(Duration::from_millis(2500)));
        }
    }

    #[test]
    fn a_dash_is_a_text_of_its_own() {
        assert!(matches!(parse(&["send", "bob", "-"]).unwrap().command, Command::Send { text, .. } if text == "-"));
        assert!(
            matches!(parse(&["send", "bob", "--", "-5"]).unwrap().command, Command::Send { text, .. } if text == "-5")
        );
    }

    #[test]
    fn an_invite_may_begin_with_a_dash() {
        let line = parse(&["register", "bob", "--invite", "-Ic4BXQ", "--json"]).unwrap();
        assert!(line.global.json);
        assert!(matches!(line.command, Command::Register { invite: Some(code), .. } if code == "-Ic4BXQ"));
    }

    #[test]
    fn wrong_lines_are_refused() {
        for line in [
            &["send", "bob"][..],
            &["receive", "--max", "0"],
            &["devices", "remove", "0"],
            &["devices", "remove", "128"],
            &["sessions", "end"],
            &["sessions", "end", "00", "--all"],
            &["verify", "bob", "--mark", "--accept"],
            &["whoami", "--timeout", "-1"],
            &["whoami", "--timeout", "nan"],
            &["whoami", "--timeout", "1e300"],
            &["whoami", "--keyring", "--passphrase-file", "x"],
            &["nothing"],
            &[],
        ] {
            assert!(parse(line).is_err(), "{line:?}");
        }
    }
}
