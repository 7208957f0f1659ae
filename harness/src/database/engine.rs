//! One MongoDB for all tests of a process: SecantusDB's server, or a replica set that the environment names.
//!
//! `SEALPOST_TEST_MONGODB_URI` points the tests at a real replica set; they make databases of their own there, and
//! leave them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};

use super::secantusdb::Database;

/// A running server. It ends with the last test that holds it.
pub struct Engine {
    _process: Option<(Database, tempfile::TempDir)>,
    /// With `DATABASE` where a database's name belongs.
    address: String,
}

impl Engine {
    /// Returns the engine of this process, and starts it when no test holds it.
    ///
    /// # Errors
    /// If SecantusDB cannot be started, or the environment names no address.
    pub fn shared() -> Result<Arc<Self>> {
        static SHARED: Mutex<Weak<Engine>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = shared.upgrade() {
            return Ok(engine);
        }
        let engine = Arc::new(Self::start()?);
        *shared = Arc::downgrade(&engine);
        Ok(engine)
    }

    fn start() -> Result<Self> {
        if let Ok(address) = std::env::var("SEALPOST_TEST_MONGODB_URI") {
            return Ok(Self { _process: None, address: with_place(&address)? });
        }
        let storage = tempfile::tempdir()?;
        let database = Database::start(storage.path(), 0)?;
        let address = format!("mongodb://{}/DATABASE", database.address());
        Ok(Self { _process: Some((database, storage)), address })
    }

    /// Returns the connection string of a database that no other test has.
    #[must_use]
    pub fn database(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        // The same process id may come again on a database that stays.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let name = format!("sealpost_test_{}_{}_{since}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        self.address.replace("DATABASE", &name)
    }
}

/// Puts a place for the database's name into an address.
fn with_place(address: &str) -> Result<String> {
    let hosts = address.strip_prefix("mongodb://").context("SEALPOST_TEST_MONGODB_URI begins with mongodb://")?;
    let (before, options) = hosts.split_once('?').map_or((hosts, ""), |(before, options)| (before, options));
    let (hosts, _) = before.split_once('/').unwrap_or((before, ""));
    Ok(format!("mongodb://{hosts}/DATABASE?{options}"))
}
