//! The schema's versions: append-only files, each of them collections with a validator and indexes.
//!
//! Applying a version makes what is missing and changes what exists, so that it can be repeated. A lease keeps several
//! nodes that start at once from doing it at the same time; two that did would do no harm.

use std::time::Duration;

use mongodb::bson::{Bson, Document, doc};
use mongodb::error::ErrorKind;
use mongodb::options::IndexOptions;
use mongodb::{Database, IndexModel};
use sealpost_crypto::UnixMillis;
use serde::Deserialize;

use super::db::Db;
use super::lease::Lease;
use super::open_error::OpenError;
use crate::store::schema::SchemaStatus;

/// Name and text of every version; the first is version 1.
const MIGRATIONS: [(&str, &str); 1] = [("initial", include_str!("../../../../migrations/mongodb/0001_initial.json"))];

/// How long a node may take for one collection before it is taken for dead, in ms.
const LEASE_MILLIS: u64 = 120_000;

/// How long a node waits for another one to finish.
const WAIT: Duration = Duration::from_secs(60);

/// The pause between two looks at whether it has.
const LOOK: Duration = Duration::from_millis(200);

/// The server's code for: the collection exists already.
const NAMESPACE_EXISTS: i32 = 48;

/// One version.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Migration {
    #[serde(rename = "about")]
    _about: Vec<String>,
    collections: Vec<CollectionSpec>,
}

/// A collection of a version.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CollectionSpec {
    name: String,
    #[serde(rename = "about")]
    _about: String,
    schema: Document,
    #[serde(default)]
    indexes: Vec<IndexSpec>,
}

/// An index of a collection.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IndexSpec {
    name: String,
    #[serde(rename = "about")]
    _about: String,
    /// The fields, in order, all ascending.
    fields: Vec<String>,
    #[serde(default)]
    unique: bool,
}

/// Returns the newest version that this program knows.
fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Reads the file of a version.
fn parse(text: &str) -> Result<Migration, OpenError> {
    serde_json::from_str(text).map_err(|_| OpenError::Damaged("a migration in this program"))
}

/// Returns the version of a database.
pub(super) async fn status(database: &Database) -> Result<SchemaStatus, OpenError> {
    let found = database.collection::<Document>("meta").find_one(doc! { "_id": "schema" }).await?;
    let current = match found.as_ref().and_then(|found| found.get("version")) {
        None => 0,
        Some(Bson::Int64(version)) => *version,
        Some(_) => return Err(OpenError::Damaged("the version of the schema is no number")),
    };
    if current > newest() {
        return Err(OpenError::Newer { found: current, known: newest() });
    }
    let versions = MIGRATIONS.iter().zip(1_i64..).filter(|(_, version)| *version > current);
    Ok(SchemaStatus { current, newest: newest(), missing: versions.map(|((name, _), _)| *name).collect() })
}

/// Applies the versions that are missing, or waits for another node that does.
pub(super) async fn apply(db: &Db, now: UnixMillis) -> Result<(), OpenError> {
    let begun = tokio::time::Instant::now();
    let lease = Lease::new(db, "lease:schema", now, LEASE_MILLIS);
    loop {
        let status = status(&db.database).await?;
        if status.current == status.newest {
            return Ok(());
        }
        if lease.hold().await? {
            let applied = apply_after(db, &lease, status.current).await;
            lease.release().await?;
            return applied;
        }
        if begun.elapsed() > WAIT {
            return Err(OpenError::Migrating);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Applies the versions after this one.
async fn apply_after(db: &Db, lease: &Lease<'_>, current: i64) -> Result<(), OpenError> {
    for ((name, text), version) in MIGRATIONS.iter().zip(1_i64..).filter(|(_, version)| *version > current) {
        tracing::info!(version, name, "applying a migration");
        for spec in parse(text)?.collections {
            if !lease.hold_on().await? {
                return Err(OpenError::Migrating);
            }
            collection(&db.database, spec).await?;
        }
        let schema = doc! { "$max": { "version": version } };
        db.meta.update_one(doc! { "_id": "schema" }, schema).upsert(true).await?;
    }
    Ok(())
}

/// Makes a collection, or gives an existing one its new validator; makes its indexes.
async fn collection(database: &Database, spec: CollectionSpec) -> Result<(), OpenError> {
    let validator = doc! { "$jsonSchema": spec.schema };
    let made = database.run_command(doc! { "create": &spec.name, "validator": validator.clone() }).await;
    match made {
        Ok(_) => {}
        Err(error) if exists(&error.kind) => {
            database.run_command(doc! { "collMod": &spec.name, "validator": validator }).await?;
        }
        Err(error) => return Err(error.into()),
    }
    let indexes: Vec<IndexModel> = spec
        .indexes
        .into_iter()
        .map(|index| {
            let keys: Document = index.fields.into_iter().map(|field| (field, Bson::Int32(1))).collect();
            let options = IndexOptions::builder().name(index.name).unique(index.unique.then_some(true)).build();
            IndexModel::builder().keys(keys).options(options).build()
        })
        .collect();
    if !indexes.is_empty() {
        database.collection::<Document>(&spec.name).create_indexes(indexes).await?;
    }
    Ok(())
}

/// Returns whether a collection could not be made because it exists already.
fn exists(error: &ErrorKind) -> bool {
    matches!(error, ErrorKind::Command(command) if command.code == NAMESPACE_EXISTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_migration_can_be_read_and_names_each_index_once() {
        for (_, text) in MIGRATIONS {
            for collection in parse(text).unwrap().collections {
                let mut names: Vec<_> = collection.indexes.iter().map(|index| &index.name).collect();
                names.sort();
                names.dedup();
                assert_eq!(names.len(), collection.indexes.len(), "{}", collection.name);
                assert!(collection.schema.contains_key("required"), "{}", collection.name);
            }
        }
    }
}
