//! `delete-account`.

use clap::Args;
use sealpost_api::password::Password;
use sealpost_client::engine::{Command, Outcome};
use serde::{Deserialize, Serialize};

use crate::errors;
use crate::failure::{Exit, Failure};
use crate::front::Front;
use crate::job::Job;
use crate::line::Line;
use crate::run::Run;
use crate::sanitise::visible;
use crate::secrets::{self, Purpose};
use crate::task;

/// Delete the account on the server for good; its name is never given again
#[derive(Debug, Args)]
pub(crate) struct DeleteAccount {
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
}

impl Run for DeleteAccount {
    async fn run(self, front: &Front) -> Result<(), Failure> {
        if !self.yes {
            if !secrets::can_ask() {
                return Err(Failure::new(Exit::Usage, "not_confirmed", "deleting an account needs a yes")
                    .hint("Without a terminal: --yes"));
            }
            let question = "Delete the account on the server for good? Its name is never given again.";
            if !secrets::confirm(question).await? {
                return Err(Failure::new(Exit::Failed, "not_confirmed", "nothing was deleted"));
            }
        }
        let file = front.global.password_file.as_deref();
        let password = secrets::password(file, Purpose::Existing, "Password of the account: ")?;
        front.perform(Task { password }).await
    }
}

/// Deletes the account.
#[derive(Serialize, Deserialize)]
pub(super) struct Task {
    password: Password,
}

impl task::Task for Task {
    const NAME: &'static str = "delete_account";

    async fn perform(&self, job: &Job<'_>) -> Result<(), Failure> {
        #[derive(Serialize)]
        struct Object<'a> {
            event: &'static str,
            account: &'a str,
            device: u8,
            erased: serde_json::Value,
        }
        let account = job.account().await?;
        let outcome = job.command(Command::DeleteAccount { password: self.password.clone() }).await?;
        let Outcome::Erased(report) = outcome else { return Err(errors::unexpected()) };
        let erased = serde_json::from_str(&report).unwrap_or(serde_json::Value::Null);
        let name = account.username.as_str();
        let text = format!("the account {name} is deleted; the server erased: {}", visible(&report));
        let object = Object { event: "account_deleted", account: name, device: account.device.get(), erased };
        job.line(Line::new(&object, text)).await
    }
}
