//! `keys`.

use clap::Args;
use sealpost_client::engine::{Command, KeyStatus, Outcome};
use serde::{Deserialize, Serialize};

use crate::errors;
use crate::failure::Failure;
use crate::front::Front;
use crate::job::Job;
use crate::line::Line;
use crate::run::Run;
use crate::task::Task;
use crate::time::utc;

/// Prekeys that the server holds for this device
#[derive(Debug, Args, Serialize, Deserialize)]
pub(crate) struct Keys {
    /// Make a new signed prekey now
    #[arg(long)]
    rotate: bool,
}

impl Run for Keys {
    async fn run(self, front: &Front) -> Result<(), Failure> {
        front.perform(self).await
    }
}

impl Task for Keys {
    const NAME: &'static str = "keys";

    async fn perform(&self, job: &Job<'_>) -> Result<(), Failure> {
        job.account().await?;
        let command = if self.rotate { Command::RotateKeys } else { Command::KeyStatus };
        let Outcome::Keys(keys) = job.command(command).await? else { return Err(errors::unexpected()) };
        job.line(self.line(&keys)).await?;
        job.flush().await
    }
}

impl Keys {
    fn line(&self, keys: &KeyStatus) -> Line {
        #[derive(Serialize)]
        struct Object {
            event: &'static str,
            key_epoch: u32,
            one_time_left: u32,
            signed_prekey_id: u32,
            signed_prekey_expires_at: u64,
        }
        let text = format!(
            "signed prekey {}{}, good until {}; {} one-time prekeys left",
            keys.signed_prekey_id,
            if self.rotate { " (new)" } else { "" },
            utc(keys.signed_prekey_expires_at.0),
            keys.one_time_left
        );
        let object = Object {
            event: if self.rotate { "keys_rotated" } else { "keys" },
            key_epoch: keys.key_epoch,
            one_time_left: keys.one_time_left,
            signed_prekey_id: keys.signed_prekey_id,
            signed_prekey_expires_at: keys.signed_prekey_expires_at.0,
        };
        Line::new(&object, text)
    }
}
