//! Why a command did not do what it was asked: an exit code that scripts rely on, a stable code, and what to do next.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// What the process returns. Scripts rely on the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Exit {
    /// 1: failed for another reason.
    Failed,
    /// 2: the command line is wrong.
    Usage,
    /// 3: the server could not be reached.
    Unreachable,
    /// 4: the server refused.
    Refused,
    /// 5: an identity, of a person or of the server, is not the one that was trusted.
    Identity,
    /// 6: the time was up.
    TimedOut,
    /// 7: the vault is locked or damaged.
    Vault,
}

impl Exit {
    /// Returns the number.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::Refused => 4,
            Self::Identity => 5,
            Self::TimedOut => 6,
            Self::Vault => 7,
        }
    }
}

/// A failure as it is reported: on stderr, and over the profile's socket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// What the process returns.
    pub(crate) exit: Exit,
    /// A stable code; the server's own where the server refused.
    pub(crate) code: Cow<'static, str>,
    /// What happened, as a sentence.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) hint: Option<Cow<'static, str>>,
    /// Already told on stdout (`queued`), so that nothing is said on stderr unless asked with `--json`.
    #[serde(default)]
    pub(crate) quiet: bool,
}

impl Failure {
    /// Makes a failure without a hint.
    pub(crate) fn new(exit: Exit, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { exit, code: code.into(), message: message.into(), hint: None, quiet: false }
    }

    /// Adds what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Makes the failure of something outside of Sealpost, such as reading a file.
    pub(crate) fn io(what: &str, error: &std::io::Error) -> Self {
        Self::new(Exit::Failed, "io", format!("{what}: {error}"))
    }

    /// Returns the object that `--json` prints on stderr.
    pub(crate) fn json(&self) -> String {
        #[derive(Serialize)]
        struct Inner<'a> {
            code: &'a str,
            message: &'a str,
            hint: Option<&'a str>,
        }
        #[derive(Serialize)]
        struct Outer<'a> {
            error: Inner<'a>,
        }
        let outer = Outer { error: Inner { code: &self.code, message: &self.message, hint: self.hint.as_deref() } };
        crate::sanitise::escape_json(&serde_json::to_string(&outer).unwrap_or_default())
    }

    /// Prints it on stderr: as JSON, or for people unless it is quiet.
    pub(crate) fn report(&self, json: bool) {
        if json {
            eprintln!("{}", self.json());
        } else if !self.quiet {
            eprintln!("sealpost: {} ({})", crate::sanitise::visible(&self.message), self.code);
            if let Some(hint) = &self.hint {
                eprintln!("  {}", crate::sanitise::visible(hint));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_object_names_code_message_and_hint() {
        let failure = Failure::new(Exit::Vault, "vault_locked", "no\u{1b}").hint("try again");
        let value: serde_json::Value = serde_json::from_str(&failure.json()).unwrap();
        assert_eq!(value["error"]["code"], "vault_locked");
        assert_eq!(value["error"]["message"], "no\u{1b}");
        assert_eq!(value["error"]["hint"], "try again");
        assert_eq!(failure.exit.number(), 7);
    }
}
