//! `logout`.

use clap::Args;
use sealpost_client::engine::Command;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::front::Front;
use crate::job::Job;
use crate::lines::outcome;
use crate::run::Run;
use crate::task::Task;

/// End this device's session; keys and history stay in the vault
#[derive(Debug, Args, Serialize, Deserialize)]
pub(crate) struct Logout {}

impl Run for Logout {
    async fn run(self, front: &Front) -> Result<(), Failure> {
        front.perform(self).await
    }
}

impl Task for Logout {
    const NAME: &'static str = "logout";

    async fn perform(&self, job: &Job<'_>) -> Result<(), Failure> {
        let account = job.account().await?;
        job.client().note_logged_out(true).await?;
        job.command(Command::Logout).await?;
        let text = format!("logged out; {} stays on this machine", account.username);
        job.line(outcome::account("logged_out", &account, text)).await
    }
}
