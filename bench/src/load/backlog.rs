//! A backlog that is larger than the caches when its recipients connect.

use std::fs::File;

use anyhow::Result;
use rustix::fs::{Advice, fadvise, fsync};

use super::plan::{Outcome, Plan};
use super::throughput;
use crate::rig::Rig;

/// Stores the messages, starts the server again on a disk whose pages the system has dropped, and drains them.
pub(crate) async fn backlog(rig: &mut Rig, plan: Plan) -> Result<Outcome> {
    let (run, _) = throughput::store(rig, plan).await?;
    rig.server.stop()?;
    forget(&rig.server.data())?;
    rig.server.start_again()?;
    throughput::drain(rig, &run).await
}

/// Drops the files' pages from the system's memory.
fn forget(folder: &std::path::Path) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let file = File::open(entry.path())?;
            // Only what is on the disk can be dropped.
            fsync(&file)?;
            fadvise(&file, 0, None, Advice::DontNeed)?;
        }
    }
    Ok(())
}
