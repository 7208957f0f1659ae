//! `completions`.

use clap::Args;

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sealpost completions bash > ~/.local/share/bash-completion/completions/sealpost")]
pub(crate) struct Completions {
    /// The shell
    shell: clap_complete::Shell,
}

impl Completions {
    /// Prints the script for this definition of the command line.
    pub(crate) fn print(&self, mut definition: clap::Command) {
        clap_complete::generate(self.shell, &mut definition, "sealpost", &mut std::io::stdout());
    }
}
