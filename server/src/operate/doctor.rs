//! `sealpost-server doctor`: what the program thinks of the store, without serving and without changing anything; and with
//! `--e2e` or `--ready` whether a running server does its work.

use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::base::config::{StoreAddress, data_folder};
use crate::domain::clock::{Clock as _, SystemClock};
use crate::store::SchemaStatus;
use crate::store::embedded::EmbeddedStore;
use crate::store::mongodb::{Finding, MongoStore, Severity};

mod args;
mod connect;
mod e2e;
mod invites;
mod person;

pub use args::DoctorArgs;

/// Prints what was found; the exit code says whether `serve` would start, or whether the running server does its work.
///
/// # Errors
/// When the store cannot be looked at; the text is for the operator.
pub fn run(args: &DoctorArgs) -> Result<ExitCode> {
    if args.e2e || args.ready {
        let data = data_folder(args.data.as_deref()).ok();
        return if args.e2e { e2e::run(args, data.as_deref()) } else { e2e::ready(args, data.as_deref()) };
    }
    let config = args.store.config();
    let findings = match config.address()? {
        StoreAddress::Embedded => {
            let data = data_folder(args.data.as_deref())?;
            vec![schema(EmbeddedStore::schema_status(&data)?)]
        }
        StoreAddress::Mongo(address) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.context("no runtime could be made")?.block_on(mongo(&address))?
        }
    };
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

async fn mongo(address: &str) -> Result<Vec<Finding>> {
    let mut findings = MongoStore::examine(address, SystemClock.now()).await?;
    findings.push(schema(MongoStore::schema_status(address).await?));
    Ok(findings)
}

fn schema(status: SchemaStatus) -> Finding {
    let text = match status.current {
        0 => "there is no store yet; `serve` makes it".to_owned(),
        current if current == status.newest => format!("version {current}, the newest"),
        current => format!("version {current}; `serve` brings it to {}", status.newest),
    };
    Finding { severity: Severity::Good, about: "schema", text }
}
