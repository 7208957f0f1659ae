//! The database, as every part of the store works with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::Document;
use mongodb::{Collection, Database};
use parking_lot::Mutex;
use sealpost_crypto::DeviceAddress;

use super::documents::accounts::Account;
use super::documents::devices::Hot;
use super::documents::meta::{Invite, ListRow};
use super::documents::prekeys::Prekeys;
use super::documents::queue::{Notice, Row};
use super::suspect::Suspect;

/// How often a change is decided again when other nodes change the same document.
pub(super) const TRIES: u32 = 64;

/// Half of the longest first pause between two such attempts. It grows with each attempt.
const PAUSE: Duration = Duration::from_millis(1);

/// The collections.
#[derive(Clone)]
pub(super) struct Collections {
    pub(super) accounts: Collection<Account>,
    pub(super) lists: Collection<ListRow>,
    pub(super) devices: Collection<Hot>,
    pub(super) prekeys: Collection<Prekeys>,
    pub(super) queue: Collection<Row>,
    pub(super) notices: Collection<Notice>,
    pub(super) invites: Collection<Invite>,
    pub(super) retired: Collection<Document>,
    pub(super) meta: Collection<Document>,
}

/// The database; cheap to clone.
#[derive(Clone)]
pub(super) struct Db {
    to: Arc<Collections>,
    pub(super) database: Database,
    /// The name of this process in leases.
    pub(super) holder: Arc<str>,
    /// Queues whose counters and rows disagreed when they were counted.
    pub(super) suspects: Arc<Mutex<BTreeMap<DeviceAddress, Suspect>>>,
    /// Queues whose counters may be too high, until the database knows it too.
    pub(super) doubtful: Doubtful,
}

/// Queues whose counters may be too high.
pub(super) type Doubtful = Arc<Mutex<BTreeSet<DeviceAddress>>>;

impl Db {
    /// The store's collections in this database. `holder` names this process in leases.
    pub(super) fn new(database: Database, holder: Arc<str>) -> Self {
        let to = Arc::new(Collections::of(&database));
        Self { to, database, holder, suspects: Arc::default(), doubtful: Arc::default() }
    }
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

impl std::ops::Deref for Db {
    type Target = Collections;

    fn deref(&self) -> &Collections {
        &self.to
    }
}

/// Pauses before the next attempt of a change that other nodes were faster with. The pause is longer each time and
/// never the same for two nodes that met, so that they do not meet again.
pub(super) async fn pause(tried: u32) {
    let spread = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), tried) % 1_024;
    let longest = PAUSE.saturating_mul(tried.saturating_mul(2).min(32));
    tokio::time::sleep(longest.saturating_mul(u32::try_from(spread).unwrap_or(0)) / 1_024).await;
}
