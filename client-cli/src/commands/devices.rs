//! `devices`.

use sealpost_api::encoding::B64;
use sealpost_client::engine::Command;
use serde::Serialize;

use super::outbox;
use crate::failure::{Exit, Failure};
use crate::limit::Limit;
use crate::owner::Owner;
use crate::sink::Sink;
use crate::task::Line;

/// Lists the account's devices, as its newest signed list has them.
pub(crate) async fn list(owner: &Owner, limit: &Limit, sink: &Sink) -> Result<(), Failure> {
    owner.account().await?;
    owner.command(limit, Command::RefreshDevices).await?;
    show(owner, sink).await?;
    outbox::flush(owner, limit, sink).await
}

/// Takes a device off the account for good.
pub(crate) async fn remove(owner: &Owner, limit: &Limit, sink: &Sink, id: u8) -> Result<(), Failure> {
    let account = owner.account().await?;
    owner.command(limit, Command::RefreshDevices).await?;
    let devices = owner.query(|engine, _| Ok(engine.devices())).await?;
    let device = devices.iter().map(|device| device.device).find(|device| device.get() == id).ok_or_else(|| {
        Failure::new(Exit::Failed, "no_such_device", format!("the account has no device {id}"))
            .hint("sealpost devices lists them")
    })?;
    owner.command(limit, Command::RemoveDevice(device)).await?;
    let text = format!("device {id} is removed");
    sink.line(crate::lines::account_event("device_removed", account.username.as_str(), id, text)).await
}

async fn show(owner: &Owner, sink: &Sink) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Object<Registration: Serialize> {
        event: &'static str,
        device_id: u8,
        registration_id: Registration,
        this: bool,
    }
    let devices = owner.query(|engine, _| Ok(engine.devices())).await?;
    let lines: Vec<_> = devices
        .iter()
        .map(|device| {
            let object = Object {
                event: "device",
                device_id: device.device.get(),
                registration_id: B64(device.registration),
                this: device.this,
            };
            Line::new(&object, format!("{}{}", device.device.get(), if device.this { "  (this one)" } else { "" }))
        })
        .collect();
    sink.lines(&lines).await
}
