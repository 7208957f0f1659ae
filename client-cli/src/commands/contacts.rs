//! `contacts`.

use clap::Args;
use sealpost_api::encoding::B64;
use sealpost_client::engine::ContactInfo;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::front::Front;
use crate::job::Job;
use crate::line::Line;
use crate::run::Run;
use crate::sanitise::visible;
use crate::task::{Needs, Task};

/// People this profile has met; needs no server
#[derive(Debug, Args, Serialize, Deserialize)]
pub(crate) struct Contacts {}

impl Run for Contacts {
    async fn run(self, front: &Front) -> Result<(), Failure> {
        front.perform(self).await
    }
}

impl Task for Contacts {
    const NAME: &'static str = "contacts";
    const NEEDS: Needs = Needs::Vault;

    async fn perform(&self, job: &Job<'_>) -> Result<(), Failure> {
        job.account().await?;
        let contacts = job.client().query(|engine, _| Ok(engine.contacts())).await?;
        let lines: Vec<_> = contacts.iter().map(line).collect();
        job.lines(&lines).await
    }
}

fn line(contact: &ContactInfo) -> Line {
    #[derive(Serialize)]
    struct Object<'a, Account: Serialize, Key: Serialize> {
        event: &'static str,
        name: &'a str,
        account_id: Account,
        account_identity_key: Key,
        verified: bool,
        identity_changed: bool,
        device_list_version: u64,
        devices: Vec<u8>,
    }
    let object = Object {
        event: "contact",
        name: &contact.label,
        account_id: B64(contact.account),
        account_identity_key: B64(contact.account_identity),
        verified: contact.verified,
        identity_changed: contact.identity_changed,
        device_list_version: contact.list_version,
        devices: contact.devices.iter().map(|device| device.get()).collect(),
    };
    Line::new(&object, format!("{}  {}", visible(&contact.label), standing(contact)))
}

/// Returns how far a contact is trusted, in words.
const fn standing(contact: &ContactInfo) -> &'static str {
    match (contact.identity_changed, contact.verified) {
        (true, _) => "identity changed, not accepted",
        (false, true) => "verified",
        (false, false) => "not verified",
    }
}
