//! The flags that every command takes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{ArgAction, Args};

/// How long a command tries when `--timeout` does not say, in seconds: longer than a slow network's handshakes, shorter
/// than a person's patience.
pub(crate) const DEFAULT_TIMEOUT_SECONDS: u64 = 30;
/// The longest `--timeout`, in seconds (a year), so that a deadline can always be added to the clock.
const TIMEOUT_MAX_SECONDS: f64 = 31_536_000.0;

/// Flags that every command takes, before or after its name.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Folder of all profiles [default: the platform's data folder]
    #[arg(long, global = true, value_name = "DIR", env = "SEALPOST_DATA")]
    pub(crate) data: Option<PathBuf>,
    /// Which profile of this machine to use; each has one account
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
    /// Keep the vault's key in the desktop's key ring instead of under a passphrase
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

impl Global {
    /// Returns how many secrets are read from standard input.
    pub(crate) fn read_from_standard_input(&self) -> usize {
        let files = [&self.password_file, &self.passphrase_file];
        files.into_iter().filter(|file| is_standard_input(file.as_deref())).count()
    }

    /// Returns whether to say what takes long.
    pub(crate) const fn shows_progress(&self) -> bool {
        !self.quiet && !self.json
    }
}

/// Returns whether a file's name stands for standard input.
pub(crate) fn is_standard_input(file: Option<&Path>) -> bool {
    file == Some(Path::new("-"))
}

/// Parses a number of seconds.
fn seconds(text: &str) -> Result<Duration, String> {
    text.parse::<f64>()
        .ok()
        .filter(|seconds| (0.0..=TIMEOUT_MAX_SECONDS).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "a number of seconds is needed, such as 10 or 0.5".to_owned())
}
