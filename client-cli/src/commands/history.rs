//! `history`.

use sealpost_client::driver::UnixMillis;

use crate::errors;
use crate::failure::Failure;
use crate::lines;
use crate::owner::{Owner, username};
use crate::sink::Sink;

/// Lines handed over at a time.
const BATCH: usize = 256;

/// Prints both sides' messages, oldest first. Needs no server.
pub(crate) async fn history(
    owner: &Owner,
    sink: &Sink,
    name: &str,
    since: Option<u64>,
    limit: Option<u64>,
) -> Result<(), Failure> {
    let me = owner.account().await?;
    let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let name = username(name)?;
    let (asked, since) = (name.clone(), since.map(UnixMillis));
    let entries = owner.query(move |engine, context| engine.history(context, &asked, since, limit)).await?;
    if entries.is_empty() {
        let known = name.clone();
        if owner.query(move |engine, _| Ok(engine.contact(&known))).await?.is_none() {
            return Err(errors::unknown_contact(name.as_str()));
        }
    }
    for batch in entries.chunks(BATCH) {
        let lines: Vec<_> = batch.iter().map(|entry| lines::history(entry, me.username.as_str())).collect();
        sink.lines(&lines).await?;
    }
    Ok(())
}
