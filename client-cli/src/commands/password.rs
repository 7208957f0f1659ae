//! `password`.

use std::path::PathBuf;

use clap::Args;
use sealpost_api::password::Password;
use sealpost_client::engine::Command;
use serde::{Deserialize, Serialize};

use crate::args::is_standard_input;
use crate::failure::Failure;
use crate::front::Front;
use crate::job::Job;
use crate::lines::outcome;
use crate::run::Run;
use crate::secrets::{self, Purpose};
use crate::task;

/// Change the account's password (ends all other sessions)
#[derive(Debug, Args)]
#[command(after_help = "\
Asks for the old and the new password. In scripts --password-file holds the old one,
--new-password-file the new one.")]
pub(crate) struct ChangePassword {
    /// File with the new password
    #[arg(long, value_name = "FILE", env = "SEALPOST_NEW_PASSWORD_FILE")]
    new_password_file: Option<PathBuf>,
}

impl Run for ChangePassword {
    fn reads_standard_input(&self) -> bool {
        is_standard_input(self.new_password_file.as_deref())
    }

    async fn run(self, front: &Front) -> Result<(), Failure> {
        let old = secrets::password(front.global.password_file.as_deref(), Purpose::Existing, "Old password: ")?;
        let new = secrets::password(self.new_password_file.as_deref(), Purpose::New, "New password: ")?;
        front.perform(Task { old, new }).await
    }
}

/// Changes the password.
#[derive(Serialize, Deserialize)]
pub(super) struct Task {
    old: Password,
    new: Password,
}

impl task::Task for Task {
    const NAME: &'static str = "change_password";

    async fn perform(&self, job: &Job<'_>) -> Result<(), Failure> {
        let account = job.account().await?;
        job.command(Command::ChangePassword { old: self.old.clone(), new: self.new.clone() }).await?;
        let text = "the password is changed; every other login has ended".to_owned();
        job.line(outcome::account("password_changed", &account, text)).await
    }
}
