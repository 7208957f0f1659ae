//! `sealpost-server restore`: makes a data folder from a backup, and revives nothing that had ended.
//!
//! The folder may be a mount point, so everything happens inside of it: the backup is copied into [`STAGING`], checked and
//! changed there, what was there before moves into a folder of its own, and then the new files take their places. From the first
//! move to the last there is a folder [`RESTORING`], beside which no server starts: an interrupted restore is begun again, never
//! overlooked. One that fails before the first move keeps no server from what is still there.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use sealpost_api::ids::StoreId;
use serde::Serialize;

use super::manifest::Manifest;
use super::{files, verify};
use crate::base::config::data_folder;
use crate::base::files::private_folder;
use crate::domain::clock::{Clock as _, Random as _, SystemClock, SystemRandom};
use crate::operate::secrets::write_new_token_keys;
use crate::store::AfterRestore;
use crate::store::factory::folder::{DATABASE, LOCK, RESTORING, finish_restore, lock_folder};

/// The folder of the new files until they are moved to their places.
const STAGING: &str = "restoring.unfinished";
/// The entries of a folder that counts as empty: the lock, files of the file system, and an interrupted restore.
const NOTHING: [&str; 4] = [LOCK, "lost+found", RESTORING, STAGING];
/// The beginning of the name of the folder that keeps the former files.
const REPLACED: &str = "replaced-";

/// `sealpost-server restore`.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
EXAMPLES
  sealpost-server restore --from /backup/monday --data /var/lib/sealpost
  In place of what is there, which moves into /var/lib/sealpost/replaced-…:
  sealpost-server restore --from /backup/monday --data /var/lib/sealpost --replace

The server must not run. Every session ends and invites are dropped, because they may have been used or revoked since; everybody
logs in again. One-time prekeys are never given twice: clients upload new ones, and send again what the backup lacks.")]
pub struct RestoreArgs {
    /// The backup.
    #[arg(long, value_name = "DIR")]
    pub from: PathBuf,
    /// The data folder, empty or missing [default: the user's data folder + sealpost-server]
    #[arg(long, env = "SEALPOST_SERVER_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Replace the contents of the data folder, and keep them in a folder inside it
    #[arg(long)]
    pub replace: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

#[derive(Serialize)]
struct Printed {
    data: String,
    taken_at: u64,
    accounts: u64,
    devices: u64,
    queued_messages: u64,
    sessions_ended: u64,
    one_time_prekeys_dropped: u64,
    invites_dropped: u64,
    /// The folder of the former files.
    replaced: Option<String>,
}

/// Restores and prints the result.
///
/// # Errors
/// An error for the operator if nothing was restored. Before the former files are moved nothing is changed.
pub fn run(args: &RestoreArgs) -> Result<()> {
    let data = data_folder(args.data.as_deref())?;
    let manifest = Manifest::read(&args.from)?;
    let findings = verify::backup_findings(&args.from, &manifest)?;
    if let Some(first) = findings.first() {
        bail!("the backup is damaged: {first}; `sealpost-server verify --from` says more. Nothing was changed");
    }
    private_folder(&data)?;
    // Locked to the end, so that no server runs or starts meanwhile.
    let _lock = lock_folder(&data)?;
    let former = former(&data)?;
    if !former.is_empty() && !args.replace {
        bail!("{} is not empty; with --replace what is in it moves into a folder inside of it", data.display());
    }
    let staging = data.join(STAGING);
    let ended = stage(&args.from, &manifest, &staging).inspect_err(|_| drop(files::remove_folder(&staging)))?;
    begin_moving(&data)?;
    let replaced = set_aside(&data, &former)?;
    put_in_place(&staging, &data)?;
    print(args, &data, &manifest, ended, replaced.as_deref())
}

/// Returns the present entries of the folder.
fn former(data: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(data).with_context(|| format!("cannot read {}", data.display()))? {
        let entry = entry.with_context(|| format!("cannot read {}", data.display()))?;
        let name = entry.file_name();
        if !NOTHING.iter().any(|nothing| name == *nothing) && !name.to_string_lossy().starts_with(REPLACED) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Makes the new contents of the data folder in a folder of their own.
fn stage(backup: &Path, manifest: &Manifest, staging: &Path) -> Result<AfterRestore> {
    files::remove_folder(staging)?;
    private_folder(staging)?;
    for entry in &manifest.files {
        files::copy(backup, staging, &entry.name)?;
    }
    write_new_token_keys(staging, &SystemRandom)?;
    let mut random = [0; 32];
    SystemRandom.fill(&mut random);
    let mut store_id = [0; 16];
    SystemRandom.fill(&mut store_id);
    let runtime = tokio::runtime::Builder::new_current_thread().build().context("no runtime could be made")?;
    let restored = runtime.block_on(finish_restore(staging, &random, StoreId::from_bytes(store_id)))?;
    if let Some(first) = restored.findings?.first() {
        bail!("the restored database is damaged: {first}");
    }
    let ended = restored.ended?;
    fs::remove_file(staging.join(LOCK)).context("cannot remove the lock of the restored database")?;
    files::sync_folder(staging)?;
    Ok(ended)
}

/// Creates the folder that forbids serving. An interrupted restore may have created it already.
fn begin_moving(data: &Path) -> Result<()> {
    let marker = data.join(RESTORING);
    if !marker.exists() {
        private_folder(&marker)?;
    }
    files::sync_folder(data)
}

/// Moves the former files into a folder of their own. The database goes first, because without it nothing can be
/// served.
fn set_aside(data: &Path, former: &[PathBuf]) -> Result<Option<PathBuf>> {
    if former.is_empty() {
        return Ok(None);
    }
    let folder = data.join(format!("{REPLACED}{}", SystemClock.now().0));
    private_folder(&folder)?;
    let mut former: Vec<_> = former.iter().filter_map(|path| Some((path, path.file_name()?))).collect();
    former.sort_by_key(|(_, name)| *name != DATABASE);
    for (path, name) in former {
        fs::rename(path, folder.join(name)).with_context(|| format!("cannot move {}", path.display()))?;
    }
    files::sync_folder(&folder)?;
    Ok(Some(folder))
}

/// Moves the new files to their places. The database comes last, and then the folder that forbids serving is removed.
fn put_in_place(staging: &Path, data: &Path) -> Result<()> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(staging).with_context(|| format!("cannot read {}", staging.display()))? {
        entries.push(entry.with_context(|| format!("cannot read {}", staging.display()))?.file_name());
    }
    entries.sort_by_key(|name| name.as_os_str() == DATABASE);
    for name in entries {
        fs::rename(staging.join(&name), data.join(&name))
            .with_context(|| format!("cannot move {} out of {}", name.display(), staging.display()))?;
    }
    files::sync_folder(data)?;
    files::remove_folder(staging)?;
    files::remove_folder(&data.join(RESTORING))?;
    files::sync_folder(data)
}

fn print(
    args: &RestoreArgs,
    data: &Path,
    manifest: &Manifest,
    ended: AfterRestore,
    replaced: Option<&Path>,
) -> Result<()> {
    if args.json {
        let printed = Printed {
            data: data.display().to_string(),
            taken_at: manifest.taken_at,
            accounts: manifest.accounts,
            devices: manifest.devices,
            queued_messages: manifest.queued_messages,
            sessions_ended: ended.sessions,
            one_time_prekeys_dropped: ended.one_time_prekeys,
            invites_dropped: ended.invites,
            replaced: replaced.map(|path| path.display().to_string()),
        };
        println!("{}", serde_json::to_string(&printed)?);
        return Ok(());
    }
    println!(
        "{} holds the backup: {} accounts, {} devices and {} waiting messages.",
        data.display(),
        manifest.accounts,
        manifest.devices,
        manifest.queued_messages
    );
    println!(
        "{} sessions were ended: everybody logs in again. {} invites were dropped. Clients upload new prekeys by themselves.",
        ended.sessions, ended.invites
    );
    if let Some(replaced) = replaced {
        println!("What was there before is in {}; delete it when you no longer need it.", replaced.display());
    }
    println!("What was deleted, disabled or changed after the backup was taken has to be done again.");
    Ok(())
}
