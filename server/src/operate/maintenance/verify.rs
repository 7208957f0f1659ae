//! `sealpost-server verify`: checks a data folder or a backup, and says which parts can still be read.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;

use super::files;
use super::manifest::Manifest;
use crate::base::config::data_folder;
use crate::store::factory::folder::{DATABASE, OpenError, Report, inspect};

/// `sealpost-server verify`.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
The exit code is 0 when all is whole. Otherwise every finding is printed, with how much of each table can still be read;
nothing is changed or repaired. The server may run.")]
pub struct VerifyArgs {
    /// The data folder [default: the user's data folder + sealpost-server].
    #[arg(long, env = "SEALPOST_SERVER_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Check a backup instead of a data folder
    #[arg(long, value_name = "DIR")]
    pub from: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

#[derive(Serialize)]
struct Printed {
    ok: bool,
    path: String,
    schema: Option<i64>,
    findings: Vec<String>,
    tables: Vec<PrintedTable>,
}

#[derive(Serialize)]
struct PrintedTable {
    table: String,
    readable_rows: u64,
    whole: bool,
}

/// Prints the findings.
///
/// # Errors
/// An error if anything is wrong, or nothing could be read.
pub fn run(args: &VerifyArgs) -> Result<()> {
    let (folder, findings) = match (&args.from, &args.data) {
        (Some(backup), _) => (backup.clone(), Manifest::read(backup)?.differences(backup)),
        (None, data) => {
            let data = data_folder(data.as_deref())?;
            let findings = missing(&data);
            (data, findings)
        }
    };
    let printed = look(&folder, findings)?;
    if args.json {
        println!("{}", serde_json::to_string(&printed)?);
    } else {
        print(&printed);
    }
    if printed.ok { Ok(()) } else { bail!("{} is damaged; nothing was changed", printed.path) }
}

/// Returns the files that a data folder should have besides its database and does not.
fn missing(data: &Path) -> Vec<String> {
    let key = files::RETIRED_NAMES_KEY;
    if files::kept(data).any(|name| name == key) { Vec::new() } else { vec![format!("{key} is missing")] }
}

fn look(folder: &Path, mut findings: Vec<String>) -> Result<Printed> {
    let Report { schema, findings: found, tables } = match inspect(&folder.join(DATABASE)) {
        Err(OpenError::Damaged { what, .. }) => {
            Report { schema: None, findings: vec![format!("{DATABASE}: {what}")], tables: Vec::new() }
        }
        report => report?,
    };
    findings.extend(found);
    let tables = tables
        .into_iter()
        .map(|table| PrintedTable { table: table.table, readable_rows: table.readable_rows, whole: table.whole })
        .collect();
    Ok(Printed { ok: findings.is_empty(), path: folder.display().to_string(), schema, findings, tables })
}

/// Returns what is wrong with a backup; the list is empty if nothing is.
pub(super) fn backup_findings(backup: &Path, manifest: &Manifest) -> Result<Vec<String>> {
    Ok(look(backup, manifest.differences(backup))?.findings)
}

fn print(printed: &Printed) {
    if printed.ok {
        println!("{} is whole.", printed.path);
    } else {
        println!("{} is damaged:", printed.path);
        for finding in &printed.findings {
            println!("  {finding}");
        }
        println!("What of it can be read:");
    }
    for table in &printed.tables {
        let rest = if table.whole { "" } else { " at least; the table is damaged" };
        println!("  {:<20} {:>10} rows{rest}", table.table, table.readable_rows);
    }
}
