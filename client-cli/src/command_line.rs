//! The command line as typed. Scripts rely on it; `--help` teaches it.

use clap::Parser;

use crate::args::Global;
use crate::commands::Command;

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
Messages, names and keys are encrypted in DATA/PROFILE, under a passphrase or the key ring's key.
Every command opens them: it asks for the passphrase, unless SEALPOST_PASSPHRASE_FILE or
SEALPOST_KEYRING=1 says where the key is. `sealpost COMMAND --help` says more about each command.";

/// End-to-end encrypted messages from a terminal or a script.
#[derive(Debug, Parser)]
#[command(name = "sealpost", version, after_help = AFTER_HELP, propagate_version = true, disable_help_subcommand = true)]
pub(crate) struct CommandLine {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &[&str]) -> Result<CommandLine, clap::Error> {
        CommandLine::try_parse_from(std::iter::once("sealpost").chain(line.iter().copied()))
    }

    /// Returns the parsed form of a command's argument.
    fn argument(line: &[&str], name: &str) -> String {
        let line = std::iter::once("sealpost").chain(line.iter().copied());
        let matches = CommandLine::command().try_get_matches_from(line).unwrap();
        matches.subcommand().unwrap().1.get_one::<String>(name).unwrap().clone()
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
        assert_eq!(argument(&["send", "bob", "-"], "text"), "-");
        assert_eq!(argument(&["send", "bob", "--", "-5"], "text"), "-5");
    }

    #[test]
    fn an_invite_may_begin_with_a_dash() {
        let line = ["register", "bob", "--invite", "-Ic4BXQ", "--json"];
        assert!(parse(&line).unwrap().global.json);
        assert_eq!(argument(&line, "invite"), "-Ic4BXQ");
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
