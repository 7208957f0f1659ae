//! `register`.

use clap::Args;
use sealpost_api::password::Password;
use sealpost_client::driver::DriverError;
use sealpost_client::engine::{Command, CommandError, InvalidCommand, Outcome};
use sealpost_client::front::Trouble;
use serde::{Deserialize, Serialize};

use crate::errors;
use crate::failure::{Exit, Failure};
use crate::front::Front;
use crate::job::Job;
use crate::lines::outcome;
use crate::names::username;
use crate::run::Run;
use crate::secrets::{self, Purpose};
use crate::task::{self, Needs};

/// Make an account on a server, with this profile as its first device
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  sealpost register alice --server https://chat.example.org

Asks for a password twice, and for a passphrase that encrypts this machine's copy twice.
A server with its own CA shows its fingerprint, to be compared with what the server printed when it
started; --ca FILE needs no question.
May be repeated after a failure: it goes on where it stopped.")]
pub(crate) struct Register {
    /// 3 to 32 of a-z, 0-9, '_' and '.', starting with a letter
    name: String,
    /// The invite, if the server registers by invite only
    #[arg(long, value_name = "CODE", allow_hyphen_values = true)]
    invite: Option<String>,
}

impl Run for Register {
    const BEGINS: bool = true;

    async fn run(self, front: &Front) -> Result<(), Failure> {
        let Self { name, invite } = self;
        username(&name)?;
        let file = front.global.password_file.as_deref();
        let password = secrets::password(file, Purpose::New, "New password for the account: ")?;
        front.perform(Task { name, password, invite }).await
    }
}

/// Makes an account.
#[derive(Serialize, Deserialize)]
pub(super) struct Task {
    name: String,
    password: Password,
    invite: Option<String>,
}

impl task::Task for Task {
    const NAME: &'static str = "register";
    const NEEDS: Needs = Needs::AnyServer;

    /// Registers the account. If it exists already, repeating the command prints the same result, so that a script
    /// whose command was killed at the last moment can run it again.
    async fn perform(&self, job: &Job<'_>) -> Result<(), Failure> {
        let name = username(&self.name)?;
        let (password, invite) = (self.password.clone(), self.invite.clone());
        let account = match job.command(Command::Register { username: name.clone(), password, invite }).await {
            Ok(Outcome::Account(account)) => account,
            Ok(_) => return Err(errors::unexpected()),
            Err(trouble) if has_account(&trouble) => {
                let account = job.account().await?;
                if account.username != name {
                    let text = format!("this profile is {}'s", account.username);
                    return Err(
                        Failure::new(Exit::Failed, "has_account", text).hint("For a second account: --profile NAME")
                    );
                }
                account
            }
            Err(trouble) => return Err(trouble.into()),
        };
        job.client().note_logged_out(false).await?;
        job.line(outcome::account("registered", &account, format!("registered as {}", account.username))).await
    }
}

fn has_account(trouble: &Trouble) -> bool {
    let has_account = DriverError::Command(CommandError::Invalid(InvalidCommand::HasAccount));
    matches!(trouble, Trouble::Driver { error, .. } if *error == has_account)
}
