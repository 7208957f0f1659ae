//! `sealpost-server migrate`: the schema's version, and bringing it up to date without serving.

use anyhow::Result;
use serde::Serialize;

use crate::config::{MigrateAction, MigrateArgs, default_data};
use crate::domain::clock::{Random as _, SystemRandom};
use crate::store::embedded::{EmbeddedOptions, EmbeddedStore};

#[derive(Serialize)]
struct Printed {
    current: i64,
    newest: i64,
}

/// Prints the version; with `apply`, applies what is missing first.
///
/// # Errors
/// When the folder cannot be used; the text is for the operator.
pub fn run(args: &MigrateArgs) -> Result<()> {
    let data = match &args.data {
        Some(data) => data.clone(),
        None => default_data()?,
    };
    if args.action == MigrateAction::Apply {
        let mut seed = [0; 32];
        SystemRandom.fill(&mut seed);
        // Opening applies what is missing; dropping closes.
        let options = EmbeddedOptions { allow_unsafe_filesystem: true, ..EmbeddedOptions::default() };
        drop(EmbeddedStore::open(&data, &options, &seed)?);
    }
    let status = EmbeddedStore::schema_status(&data)?;
    println!("{}", serde_json::to_string(&Printed { current: status.current, newest: status.newest })?);
    Ok(())
}
