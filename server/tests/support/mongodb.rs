//! A MongoDB for tests: SecantusDB's server, or a replica set that the environment names.
//!
//! `SEALPOST_TEST_MONGODB_URI` points the tests at a real replica set; they make databases of their own there, and
//! leave them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};

use crate::secantusdb::{self, Database};

/// A running server. It ends with the last test that holds it.
pub(crate) struct Engine {
    _process: Option<(Database, tempfile::TempDir)>,
    /// With `DATABASE` where a database's name belongs.
    address: String,
}

impl Engine {
    /// The one of this process, started when nobody has it.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Engine>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap();
        shared.upgrade().unwrap_or_else(|| {
            let engine = Arc::new(Self::start());
            *shared = Arc::downgrade(&engine);
            engine
        })
    }

    fn start() -> Self {
        if let Ok(address) = std::env::var("SEALPOST_TEST_MONGODB_URI") {
            return Self { _process: None, address: with_place(&address) };
        }
        let storage = tempfile::tempdir().unwrap();
        let (database, address) = secantusdb::run(storage.path(), 0);
        Self { _process: Some((database, storage)), address: format!("mongodb://{address}/DATABASE") }
    }

    /// The connection string of a database that nobody else has.
    pub(crate) fn database(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        // The same process id may come again on a database that stays.
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        let name = format!("sealpost_test_{}_{}_{since}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        self.address.replace("DATABASE", &name)
    }
}

/// The address with a place for the database's name.
fn with_place(address: &str) -> String {
    let hosts = address.strip_prefix("mongodb://").expect("SEALPOST_TEST_MONGODB_URI begins with mongodb://");
    let (before, options) = hosts.split_once('?').map_or((hosts, ""), |(before, options)| (before, options));
    let (hosts, _) = before.split_once('/').unwrap_or((before, ""));
    format!("mongodb://{hosts}/DATABASE?{options}")
}
