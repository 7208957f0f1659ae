//! `devices`.

use clap::{Args, Subcommand};
use sealpost_api::encoding::B64;
use sealpost_client::engine::{Command, DeviceInfo};
use serde::{Deserialize, Serialize};

use crate::failure::{Exit, Failure};
use crate::front::Front;
use crate::job::Job;
use crate::line::Line;
use crate::lines::outcome;
use crate::run::Run;
use crate::task::Task;

/// The account's devices
#[derive(Debug, Args)]
pub(crate) struct Devices {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    Remove(Remove),
}

impl Run for Devices {
    async fn run(self, front: &Front) -> Result<(), Failure> {
        match self.action {
            None => front.perform(List {}).await,
            Some(Action::Remove(remove)) => front.perform(remove).await,
        }
    }
}

/// Lists the account's devices, as its newest signed list has them.
#[derive(Serialize, Deserialize)]
pub(super) struct List {}

impl Task for List {
    const NAME: &'static str = "devices";

    async fn perform(&self, job: &Job<'_>) -> Result<(), Failure> {
        job.account().await?;
        job.command(Command::RefreshDevices).await?;
        let devices = job.client().query(|engine, _| Ok(engine.devices())).await?;
        let lines: Vec<_> = devices.iter().map(line).collect();
        job.lines(&lines).await?;
        job.flush().await
    }
}

fn line(device: &DeviceInfo) -> Line {
    #[derive(Serialize)]
    struct Object<Registration: Serialize> {
        event: &'static str,
        device_id: u8,
        registration_id: Registration,
        this: bool,
    }
    let object = Object {
        event: "device",
        device_id: device.device.get(),
        registration_id: B64(device.registration),
        this: device.this,
    };
    Line::new(&object, format!("{}{}", device.device.get(), if device.this { "  (this one)" } else { "" }))
}

/// Remove a device from the account for good
#[derive(Debug, Args, Serialize, Deserialize)]
pub(super) struct Remove {
    /// The device's id, 1 to 127
    #[arg(value_parser = clap::value_parser!(u8).range(1..=127))]
    id: u8,
}

impl Task for Remove {
    const NAME: &'static str = "remove_device";

    async fn perform(&self, job: &Job<'_>) -> Result<(), Failure> {
        let (account, id) = (job.account().await?, self.id);
        job.command(Command::RefreshDevices).await?;
        let devices = job.client().query(|engine, _| Ok(engine.devices())).await?;
        let device = devices.iter().map(|device| device.device).find(|device| device.get() == id).ok_or_else(|| {
            Failure::new(Exit::Failed, "no_such_device", format!("the account has no device {id}"))
                .hint("sealpost devices lists them")
        })?;
        job.command(Command::RemoveDevice(device)).await?;
        let text = format!("device {id} is removed");
        job.line(outcome::account_event("device_removed", account.username.as_str(), id, text)).await
    }
}
