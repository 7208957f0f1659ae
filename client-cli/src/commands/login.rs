//! `login`.

use clap::Args;
use sealpost_api::password::Password;
use sealpost_client::engine::{Command, Outcome};
use serde::{Deserialize, Serialize};

use crate::errors;
use crate::failure::Failure;
use crate::front::Front;
use crate::job::Job;
use crate::lines::outcome;
use crate::names::username;
use crate::run::Run;
use crate::secrets::{self, Purpose};
use crate::task::{self, Needs};

/// Log in again on this device, or start again without the old one
#[derive(Debug, Args)]
#[command(after_help = "\
Without the account's keys (a new machine, or a lost vault), only
  sealpost login alice --new-identity
goes on under the same name. Contacts are shown the change and must accept it before they can write.")]
pub(crate) struct Login {
    /// The account's name
    name: String,
    /// Make new keys: every other device is out, contacts see the change
    #[arg(long)]
    new_identity: bool,
}

impl Run for Login {
    const BEGINS: bool = true;

    async fn run(self, front: &Front) -> Result<(), Failure> {
        let Self { name, new_identity } = self;
        username(&name)?;
        let file = front.global.password_file.as_deref();
        let password = secrets::password(file, Purpose::Existing, "Password of the account: ")?;
        front.perform(Task { name, password, new_identity }).await
    }
}

/// Logs in on this device, or with a new identity.
#[derive(Serialize, Deserialize)]
pub(super) struct Task {
    name: String,
    password: Password,
    new_identity: bool,
}

impl task::Task for Task {
    const NAME: &'static str = "login";
    const NEEDS: Needs = Needs::AnyServer;

    async fn perform(&self, job: &Job<'_>) -> Result<(), Failure> {
        let (username, password) = (username(&self.name)?, self.password.clone());
        let login = Command::Login { username, password, new_identity: self.new_identity };
        let outcome = job.command(login).await.map_err(|trouble| {
            let failure = Failure::from(trouble);
            if failure.code != "no_account" {
                return failure;
            }
            failure.hint(
                "This profile holds no keys of the account. With `login NAME --new-identity` it goes on under new ones, \
                 which contacts must accept.",
            )
        })?;
        let Outcome::Account(account) = outcome else { return Err(errors::unexpected()) };
        job.client().note_logged_out(false).await?;
        job.line(outcome::account("logged_in", &account, format!("logged in as {}", account.username))).await?;
        job.flush().await
    }
}
