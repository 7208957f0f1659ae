//! The store on MongoDB, for many nodes.
//!
//! Every operation is one step on one document, or a few steps in an order that a crash between them does not hurt, and
//! that any node may repeat; there are no transactions over documents. Everything that must change together is in one
//! document: an account with its name, password, device list and sessions; the prekeys of a device; a device's window
//! and epoch. Such a document changes by a conditional update on what it was decided on.
//!
//! Where several documents belong together, the one that makes the others count is written last when something comes,
//! and first when it goes:
//!
//! - A new device's prekeys come before the list that names it; nobody finds them without it.
//! - A message's copies come before the sender's window that records its number, and that before the answer. A crash
//!   between is healed by the sender's repetition: the unique index on (recipient, sender, number) finds the copies.
//! - A device that goes leaves the list first, in one step with the note that it must be cleaned up. The sweep does what
//!   a crash left, and repeats it for a while, because another node may just have been writing to its queue.
//! - An erased account becomes the note of its erasure in one step, under the same unique index of names.
//!
//! Reads and writes go to the primary; a write is answered once a majority of the members has it in their journals. What
//! the connection string says otherwise is not followed.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mongodb::bson::doc;
use mongodb::options::{
    Acknowledgment, ClientOptions, ReadConcern, ReadPreference, SelectionCriteria, ServerAddress, ServerApi, Tls,
    WriteConcern,
};
use mongodb::{Client, Collection, Database};
use parking_lot::Mutex;
use sealpost_api::ids::{ServerId, StoreId};
use sealpost_crypto::UnixMillis;

use self::accept::Accepting;
use self::acks::Acking;
use self::check::Connection;
pub use self::check::{Finding, Severity};
use self::documents::{Account, Hot, Invite, ListRow, Notice, Prekeys, Row};
use self::doubt::Doubtful;
use self::error::DbError;
use self::recount::Suspects;
pub use self::transfer::MongoTransfer;
use crate::store::{AfterRestore, SchemaStatus, Store, StoreError};

mod accept;
mod accounts;
mod acks;
mod admin;
mod bulk;
mod check;
mod devices;
mod documents;
mod doubt;
mod erase;
mod error;
mod expiry;
mod figures;
mod lanes;
mod lease;
mod migrations;
mod nodes;
mod notices;
mod prekeys;
mod publish;
mod queue;
mod recount;
mod removal;
mod restore;
mod sessions;
mod transfer;
mod values;
mod verify;

/// The database, where the connection string names none.
const DATABASE: &str = "sealpost";
/// How long an operation looks for a primary. An election takes about 10 s; clients try again until it is over.
const SELECTION_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections to each member: as many operations are under way at once.
const POOL_MAX: u32 = 100;
/// How long a write waits for a majority.
const MAJORITY_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a change is decided anew when others change the same document.
const TRIES: u32 = 64;
/// Half of the longest first pause between two such tries; it grows with each.
const PAUSE: Duration = Duration::from_millis(1);

/// Why a database could not be opened as a store. The texts never hold the connection string.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The connection string cannot be used.
    #[error(
        "the connection string of the store cannot be used: {0}; it looks like mongodb://user:password@host:27017/sealpost?replicaSet=rs0"
    )]
    Address(&'static str),
    /// The database cannot be reached, or refused.
    #[error("MongoDB cannot be used: {0}")]
    Database(String),
    /// It was written by a newer program.
    #[error("the database has version {found}, and this program knows versions up to {known}; use a newer program")]
    Newer {
        /// Its version.
        found: i64,
        /// The newest known.
        known: i64,
    },
    /// Another node has been bringing the schema up to date for too long.
    #[error("another node is bringing the database's schema up to date; try again in a minute")]
    Migrating,
    /// It is not such that the promises hold.
    #[error("MongoDB cannot be used as it is: {0}")]
    Unfit(String),
    /// Something in it cannot be true.
    #[error("the database holds something that is none of Sealpost's: {0}")]
    Damaged(&'static str),
}

impl From<mongodb::error::Error> for OpenError {
    fn from(error: mongodb::error::Error) -> Self {
        Self::Database(error::describe(&error))
    }
}

impl From<DbError> for OpenError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Corrupt(what) => Self::Damaged(what),
            DbError::Contended => Self::Migrating,
            DbError::Mongo(error) => (*error).into(),
            other @ (DbError::Behind | DbError::Slow) => Self::Database(StoreError::from(other).to_string()),
        }
    }
}

/// The collections.
#[derive(Clone)]
struct Collections {
    accounts: Collection<Account>,
    lists: Collection<ListRow>,
    devices: Collection<Hot>,
    prekeys: Collection<Prekeys>,
    queue: Collection<Row>,
    notices: Collection<Notice>,
    invites: Collection<Invite>,
    retired: Collection<mongodb::bson::Document>,
    meta: Collection<mongodb::bson::Document>,
}

impl Collections {
    fn of(database: &Database) -> Self {
        Self {
            accounts: database.collection("accounts"),
            lists: database.collection("device_lists"),
            devices: database.collection("devices"),
            prekeys: database.collection("prekeys"),
            queue: database.collection("queue"),
            notices: database.collection("notices"),
            invites: database.collection("invites"),
            retired: database.collection("retired_names"),
            meta: database.collection("meta"),
        }
    }
}

/// What every part of the store works with; cheap to clone.
#[derive(Clone)]
struct Db {
    to: Arc<Collections>,
    database: Database,
    /// Names this process in leases.
    holder: Arc<str>,
    /// Queues whose counters and rows disagreed when the sweep counted them.
    suspects: Suspects,
    /// Queues whose counters this process has to have counted again.
    doubtful: Doubtful,
}

impl std::ops::Deref for Db {
    type Target = Collections;

    fn deref(&self) -> &Collections {
        &self.to
    }
}

/// The open store.
pub struct MongoStore {
    db: Db,
    client: Client,
    accepting: Accepting,
    acking: Acking,
    server_id: ServerId,
    /// As it was read last. Another node's operator may give the store a new one.
    store_id: Mutex<StoreId>,
}

impl std::fmt::Debug for MongoStore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("MongoStore").field("store_id", &*self.store_id.lock()).finish_non_exhaustive()
    }
}

impl MongoStore {
    /// Connects, applies what is missing of the schema (one node at a time), and reads the ids of server and store; where
    /// there are none yet, these are drawn from `random` (48 bytes; the last 16 name this process among the nodes).
    ///
    /// # Errors
    /// [`OpenError`], whose text is meant for the person who started the program.
    pub async fn open(address: &str, random: &[u8; 48], now: UnixMillis) -> Result<Self, OpenError> {
        let (client, database, connection) = connect(address).await?;
        for finding in judge(&database, connection, now).await? {
            match finding.severity {
                Severity::Good => {}
                Severity::Warning => tracing::warn!(about = finding.about, "{}", finding.text),
                Severity::Refused => return Err(OpenError::Unfit(format!("{}: {}", finding.about, finding.text))),
            }
        }
        let (&[server, store, node], []) = random.as_chunks::<16>() else {
            return Err(OpenError::Damaged("random bytes of another length"));
        };
        let holder = node.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let db = Db {
            to: Arc::new(Collections::of(&database)),
            database,
            holder: holder.into(),
            suspects: Arc::default(),
            doubtful: Arc::default(),
        };
        migrations::apply(&db, now).await?;
        transfer::refuse_moved(&db.database).await?;
        let ids = restore::ids(&db, &server, &store).await?;
        let (accepting, acking) = (Accepting::begin(&db), Acking::begin(&db));
        Ok(Self {
            db,
            client,
            accepting,
            acking,
            server_id: ServerId::from_bytes(values::fixed(&ids.server_id)?),
            store_id: Mutex::new(StoreId::from_bytes(values::fixed(&ids.store_id)?)),
        })
    }

    /// Reads the store's id again: another node may have changed it.
    async fn read_store_id(&self) -> Result<(), DbError> {
        let id = restore::store_id(&self.db).await?;
        *self.store_id.lock() = id;
        Ok(())
    }

    /// The schema's version, without changing anything.
    ///
    /// # Errors
    /// [`OpenError`] when the database cannot be used.
    pub async fn schema_status(address: &str) -> Result<SchemaStatus, OpenError> {
        let (_client, database, _) = connect(address).await?;
        migrations::status(&database).await
    }

    /// What the program thinks of a database, without changing anything there.
    ///
    /// # Errors
    /// [`OpenError`] when the database cannot be reached.
    pub async fn examine(address: &str, now: UnixMillis) -> Result<Vec<Finding>, OpenError> {
        let (_client, database, connection) = connect(address).await?;
        judge(&database, connection, now).await
    }

    /// Looks for what cannot be true: rows and counters that disagree, and what nothing leads to. Empty when all is well. Only
    /// while nothing else happens.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn verify(&self) -> Result<Vec<String>, StoreError> {
        Ok(verify::verify(&self.db).await?)
    }
}

/// A client with the concerns that the promises need, whatever the connection string says.
async fn connect(address: &str) -> Result<(Client, Database, Connection), OpenError> {
    if !address.starts_with("mongodb://") {
        return Err(OpenError::Address("it must begin with mongodb://"));
    }
    let mut options = ClientOptions::parse(address).await.map_err(|_| {
        OpenError::Address("a part of it is wrong, or a special character in it is not percent-encoded")
    })?;
    options.app_name.get_or_insert_with(|| "sealpost-server".to_owned());
    options.write_concern =
        Some(WriteConcern::builder().w(Acknowledgment::Majority).journal(true).w_timeout(MAJORITY_TIMEOUT).build());
    options.read_concern = Some(ReadConcern::majority());
    options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    options.retry_writes = Some(true);
    options.retry_reads = Some(true);
    options.server_selection_timeout.get_or_insert(SELECTION_TIMEOUT);
    options.connect_timeout.get_or_insert(CONNECT_TIMEOUT);
    options.max_pool_size.get_or_insert(POOL_MAX);
    options.server_api = None::<ServerApi>;
    // Of one member alone nobody knows whether it is still the primary.
    options.direct_connection = None;
    if options.load_balanced == Some(true) {
        return Err(OpenError::Address("loadBalanced=true hides which member is the primary; name the members"));
    }
    let name = options.default_database.clone().unwrap_or_else(|| DATABASE.to_owned());
    let connection = Connection {
        is_local: options.hosts.iter().all(is_local),
        has_user: options.credential.is_some(),
        has_tls: matches!(options.tls, Some(Tls::Enabled(_))),
        believes_anyone: matches!(&options.tls, Some(Tls::Enabled(tls)) if tls.allow_invalid_certificates == Some(true)),
    };
    let client = Client::with_options(options)?;
    let database = client.database(&name);
    Ok((client, database, connection))
}

fn is_local(host: &ServerAddress) -> bool {
    match host {
        ServerAddress::Tcp { host, .. } => {
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        // A socket in the file system.
        _ => true,
    }
}

async fn judge(database: &Database, connection: Connection, now: UnixMillis) -> Result<Vec<Finding>, OpenError> {
    let begun = tokio::time::Instant::now();
    let hello = database.run_command(doc! { "hello": 1, "compression": ["zlib"] }).await?;
    let passed = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let build = database.run_command(doc! { "buildInfo": 1 }).await?;
    Ok(check::judge(&hello, &build, connection, now.saturating_add(passed)))
}

/// The pause before the next try of a change that others were faster with: longer each time, and never the same for two that
/// met, so that they do not meet again.
async fn pause(tried: u32) {
    let spread = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), tried) % 1_024;
    let longest = PAUSE.saturating_mul(tried.saturating_mul(2).min(32));
    tokio::time::sleep(longest.saturating_mul(u32::try_from(spread).unwrap_or(0)) / 1_024).await;
}

#[async_trait]
impl Store for MongoStore {
    fn server_id(&self) -> ServerId {
        self.server_id
    }

    fn store_id(&self) -> StoreId {
        *self.store_id.lock()
    }

    fn durability(&self) -> &'static str {
        "majority"
    }

    async fn after_restore(&self, store: StoreId) -> Result<AfterRestore, StoreError> {
        let ended = restore::after_restore(&self.db, store).await?;
        *self.store_id.lock() = store;
        Ok(ended)
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.accepting.open()?;
        self.db.database.run_command(doc! { "ping": 1 }).await.map_err(DbError::from)?;
        Ok(())
    }

    async fn close(&self) {
        tokio::join!(self.accepting.close(), self.acking.close());
        self.client.clone().shutdown().await;
    }
}
