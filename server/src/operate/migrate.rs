//! `sealpost-server migrate`: the schema's version, and bringing it up to date without serving.

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::base::config::{MigrateArgs, StoreAddress, default_data};
use crate::domain::clock::{Clock as _, Random as _, SystemClock, SystemRandom};
use crate::store::SchemaStatus;
use crate::store::embedded::{EmbeddedOptions, EmbeddedStore};
use crate::store::mongodb::MongoStore;

#[derive(Serialize)]
struct Printed {
    current: i64,
    newest: i64,
    /// Between the two.
    missing: Vec<&'static str>,
}

/// Applies what is missing, unless it is asked to look only; prints the version.
///
/// # Errors
/// When the store cannot be used; the text is for the operator.
pub fn run(args: &MigrateArgs) -> Result<()> {
    let config = args.store.config();
    let apply = !args.status && !args.dry_run;
    let status = match config.address()? {
        StoreAddress::Embedded => embedded(args, apply)?,
        StoreAddress::Mongo(address) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.context("no runtime could be made")?.block_on(mongo(&address, apply))?
        }
    };
    let SchemaStatus { current, newest, missing } = status;
    println!("{}", serde_json::to_string(&Printed { current, newest, missing })?);
    Ok(())
}

fn embedded(args: &MigrateArgs, apply: bool) -> Result<SchemaStatus> {
    let data = match &args.data {
        Some(data) => data.clone(),
        None => default_data()?,
    };
    if apply {
        let mut seed = [0; 32];
        SystemRandom.fill(&mut seed);
        // Opening applies what is missing; dropping closes.
        let options = EmbeddedOptions { allow_unsafe_filesystem: true, ..EmbeddedOptions::default() };
        drop(EmbeddedStore::open(&data, &options, &seed)?);
    }
    Ok(EmbeddedStore::schema_status(&data)?)
}

async fn mongo(address: &str, apply: bool) -> Result<SchemaStatus> {
    if apply {
        let mut seed = [0; 48];
        SystemRandom.fill(&mut seed);
        crate::store::Store::close(&MongoStore::open(address, &seed, SystemClock.now()).await?).await;
    }
    Ok(MongoStore::schema_status(address).await?)
}
