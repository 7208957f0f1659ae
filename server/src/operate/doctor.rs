//! `sealpost-server doctor`: checks the store without serving and without changing anything. With `--e2e` or `--ready`
//! it checks a running server.

use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::base::config::data_folder;
use crate::domain::clock::{Clock as _, SystemClock};
use crate::store::factory::{self, Examined, Location};
use crate::store::{Finding, SchemaStatus, Severity};

mod args;
mod connect;
mod e2e;
mod invites;
mod person;

pub use args::DoctorArgs;

/// Prints the findings. The exit code says whether `serve` would start, or whether the running server works.
///
/// # Errors
/// An error for the operator if the store cannot be checked.
pub fn run(args: &DoctorArgs) -> Result<ExitCode> {
    if args.e2e || args.ready {
        let data = data_folder(args.data.as_deref()).ok();
        return if args.e2e { e2e::run(args, data.as_deref()) } else { e2e::ready(args, data.as_deref()) };
    }
    let config = args.store.config();
    let location = Location::of(config.address()?, || data_folder(args.data.as_deref()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let examined = factory::examine(&location, SystemClock.now());
    let Examined { mut findings, schema: status } = runtime.context("no runtime could be made")?.block_on(examined)?;
    findings.push(schema(&status));
    for finding in &findings {
        if args.json {
            println!("{}", serde_json::to_string(finding)?);
        } else {
            println!("{:8} {:11} {}", finding.severity, finding.about, finding.text);
        }
    }
    let refused = findings.iter().any(|finding| finding.severity == Severity::Refused);
    Ok(if refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn schema(status: &SchemaStatus) -> Finding {
    let text = match status.current {
        0 => "there is no store yet; `serve` makes it".to_owned(),
        current if current == status.newest => format!("version {current}, the newest"),
        current => format!("version {current}; `serve` brings it to {}", status.newest),
    };
    Finding { severity: Severity::Good, about: "schema", text }
}
