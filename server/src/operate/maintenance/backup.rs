//! `sealpost-server backup`: makes a folder with everything that is needed to run again, while the server runs.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde::Serialize;

use super::files;
use super::manifest::{self, Manifest};
use crate::base::config::data_folder;
use crate::base::files::replace;
use crate::domain::clock::{Clock as _, SystemClock};
use crate::store::factory::folder::{DATABASE, copy_database};

/// The number of progress lines outside a terminal.
const TENTHS: u64 = 10;

/// `sealpost-server backup`.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
EXAMPLES
  sealpost-server backup --data /var/lib/sealpost --to /backup/monday
  Into a new folder inside of one that is there, for a timer:
  sealpost-server backup --data /var/lib/sealpost --to /backup --json

The server may run. The backup is a folder: the database at one moment, checked; the key of retired names; the built-in
certificate authority; and manifest.json with their SHA-256. One-time prekeys, the keys of access tokens, the pepper and your own
certificate are not in it.")]
pub struct BackupArgs {
    /// The data folder [default: the user's data folder + sealpost-server].
    #[arg(long, env = "SEALPOST_SERVER_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The folder for the backup, which is created; if it exists already, a new folder is created inside it
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

#[derive(Serialize)]
struct Printed<'a> {
    path: String,
    one_time_prekeys_left_out: u64,
    #[serde(flatten)]
    manifest: &'a Manifest,
}

/// Makes the backup and prints its path.
///
/// # Errors
/// An error for the operator if no backup was made.
pub fn run(args: &BackupArgs) -> Result<()> {
    let data = data_folder(args.data.as_deref())?;
    let taken_at = SystemClock.now().0;
    let target = target(&args.to, taken_at)?;
    let unfinished = beside(&target, "unfinished")?;
    let _making = files::begin_folder(&unfinished)?;
    let (manifest, left_out) = make(&data, &unfinished, taken_at, args.json)
        .and_then(|made| {
            std::fs::rename(&unfinished, &target)
                .with_context(|| format!("cannot give the backup its name {}", target.display()))?;
            files::sync_parent(&target)?;
            Ok(made)
        })
        .inspect_err(|_| drop(files::remove_folder(&unfinished)))?;
    if args.json {
        let path = target.display().to_string();
        let printed = Printed { path, one_time_prekeys_left_out: left_out, manifest: &manifest };
        println!("{}", serde_json::to_string(&printed)?);
    } else {
        println!("The backup is {}", target.display());
        println!(
            "It holds {} accounts, {} devices and {} waiting messages, checked; {left_out} one-time prekeys were left out.",
            manifest.accounts, manifest.devices, manifest.queued_messages
        );
        println!(
            "Keep it like the server itself: it holds the certificate authority's key. The pepper, if any, is not in it."
        );
    }
    Ok(())
}

/// Returns the path of the backup: the path itself, or a new folder in it if it exists already.
fn target(to: &Path, taken_at: u64) -> Result<PathBuf> {
    if !to.exists() {
        return Ok(to.to_owned());
    }
    if !to.is_dir() {
        bail!("{} is a file; a backup is a folder", to.display());
    }
    if to.join(manifest::NAME).exists() {
        bail!("{} is a backup already; name another folder", to.display());
    }
    let target = to.join(format!("sealpost-backup-{}", taken_at / 1_000));
    if target.exists() {
        bail!("{} is there already; wait a second", target.display());
    }
    Ok(target)
}

/// Returns another name in the same folder.
pub(super) fn beside(path: &Path, ending: &str) -> Result<PathBuf> {
    let mut name = path.file_name().with_context(|| format!("{} names no folder", path.display()))?.to_owned();
    name.push(".");
    name.push(ending);
    Ok(path.with_file_name(name))
}

/// Writes the backup's files, the manifest last.
fn make(data: &Path, folder: &Path, taken_at: u64, quiet: bool) -> Result<(Manifest, u64)> {
    let mut said = 0;
    let copied = copy_database(data, &folder.join(DATABASE), &mut |done, pages| {
        if !quiet {
            tell(done, pages, &mut said);
        }
    })?;
    for name in files::kept(data) {
        files::copy(data, folder, name)?;
    }
    let mut manifest = Manifest {
        schema: copied.schema,
        accounts: copied.accounts,
        devices: copied.devices,
        queued_messages: copied.queued_messages,
        ..Manifest::new(taken_at)
    };
    for name in std::iter::once(DATABASE).chain(files::kept(folder)) {
        manifest.files.push(files::entry(folder, name)?);
    }
    let mut text = serde_json::to_vec_pretty(&manifest)?;
    text.push(b'\n');
    replace(&folder.join(manifest::NAME), &text, 0o600)?;
    files::sync_folder(folder)?;
    Ok((manifest, copied.one_time_prekeys_left_out))
}

/// Shows progress: one changing line at a terminal, and one line for each tenth elsewhere.
fn tell(done: u64, pages: u64, said: &mut u64) {
    let percent = done.saturating_mul(100).checked_div(pages).unwrap_or(100);
    let mut stderr = std::io::stderr();
    // Standard error may have no reader; the backup continues.
    let _told = if stderr.is_terminal() {
        write!(stderr, "\r{percent:3} % of {pages} pages copied{}", if done == pages { "\n" } else { "" })
    } else if percent / TENTHS > *said {
        *said = percent / TENTHS;
        writeln!(stderr, "{percent} % of {pages} pages copied")
    } else {
        Ok(())
    };
}
