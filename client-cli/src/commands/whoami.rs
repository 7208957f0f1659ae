//! `whoami`.

use clap::Args;
use sealpost_api::encoding::B64;
use sealpost_client::engine::AccountInfo;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::front::Front;
use crate::job::Job;
use crate::line::Line;
use crate::run::Run;
use crate::sanitise::visible;
use crate::task::{Needs, Task};

/// The account, device and keys of this profile; needs no server
#[derive(Debug, Args, Serialize, Deserialize)]
pub(crate) struct Whoami {}

impl Run for Whoami {
    async fn run(self, front: &Front) -> Result<(), Failure> {
        front.perform(self).await
    }
}

impl Task for Whoami {
    const NAME: &'static str = "whoami";
    const NEEDS: Needs = Needs::Vault;

    async fn perform(&self, job: &Job<'_>) -> Result<(), Failure> {
        let account = job.account().await?;
        job.line(line(&account, job.owner.server.as_deref())).await
    }
}

fn line(account: &AccountInfo, server: Option<&str>) -> Line {
    #[derive(Serialize)]
    struct Object<'a, Account: Serialize, Key: Serialize, Registration: Serialize> {
        event: &'static str,
        account: &'a str,
        device: u8,
        account_id: Account,
        account_identity_key: Key,
        registration_id: Registration,
        primary: bool,
        logged_in: bool,
        server: Option<&'a str>,
    }
    let name = account.username.as_str();
    let text = format!(
        "{name}, device {} of account {}{}{}",
        account.device.get(),
        account.account,
        server.map(|server| format!(", on {}", visible(server))).unwrap_or_default(),
        if account.logged_in { "" } else { " (logged out)" }
    );
    let object = Object {
        event: "whoami",
        account: name,
        device: account.device.get(),
        account_id: B64(account.account),
        account_identity_key: B64(account.account_identity),
        registration_id: B64(account.registration),
        primary: account.primary,
        logged_in: account.logged_in,
        server,
    };
    Line::new(&object, text)
}
