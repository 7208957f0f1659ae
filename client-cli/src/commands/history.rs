//! `history`.

use clap::Args;
use sealpost_client::driver::UnixMillis;
use serde::{Deserialize, Serialize};

use crate::errors;
use crate::failure::Failure;
use crate::front::Front;
use crate::job::Job;
use crate::lines::message;
use crate::names::username;
use crate::run::Run;
use crate::task::{Needs, Task};

/// Lines handed over at a time.
const BATCH: usize = 256;

/// Both sides' messages, oldest first; needs no server
#[derive(Debug, Args, Serialize, Deserialize)]
pub(crate) struct History {
    /// The other person's name
    name: String,
    /// Only messages sent at or after this time, in ms since 1970
    #[arg(long, value_name = "MS")]
    since: Option<u64>,
    /// Only the newest N messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

impl Run for History {
    async fn run(self, front: &Front) -> Result<(), Failure> {
        front.perform(self).await
    }
}

impl Task for History {
    const NAME: &'static str = "history";
    const NEEDS: Needs = Needs::Vault;

    async fn perform(&self, job: &Job<'_>) -> Result<(), Failure> {
        let me = job.account().await?;
        let limit = self.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let name = username(&self.name)?;
        let (asked, since) = (name.clone(), self.since.map(UnixMillis));
        let entries = job.client().query(move |engine, context| engine.history(context, &asked, since, limit)).await?;
        if entries.is_empty() {
            let known = name.clone();
            if job.client().query(move |engine, _| Ok(engine.contact(&known))).await?.is_none() {
                return Err(errors::unknown_contact(name.as_str()));
            }
        }
        for batch in entries.chunks(BATCH) {
            let lines: Vec<_> = batch.iter().map(|entry| message::of_history(entry, me.username.as_str())).collect();
            job.lines(&lines).await?;
        }
        Ok(())
    }
}
