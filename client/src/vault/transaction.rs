//! One transaction over the SQLite file.

use rusqlite::{OptionalExtension as _, Row, Transaction, params};
use zeroize::Zeroizing;

use super::sealing::{Blinded, Place, Sealer};
use super::sqlite::database;
use super::{Log, Table, Value, VaultError, VaultTransaction};

/// Length of the field that says how long a look-up key is.
const KEY_LENGTH_BYTES: usize = 4;

pub(super) struct SqliteTransaction<'a> {
    database: &'a Transaction<'a>,
    sealer: &'a Sealer,
}

impl<'a> SqliteTransaction<'a> {
    pub(super) const fn new(database: &'a Transaction<'a>, sealer: &'a Sealer) -> Self {
        Self { database, sealer }
    }

    /// The database, while the transaction is open. A full disk makes SQLite roll back by itself; what a body that overlooks
    /// this wrote afterwards would be committed at once, on its own.
    fn begun(&self) -> Result<&'a Transaction<'a>, VaultError> {
        if self.database.is_autocommit() {
            return Err(VaultError::Storage { reason: "the transaction was rolled back".to_owned() });
        }
        Ok(self.database)
    }

    fn open_entry(&self, table: Table, blinded: &Blinded, sealed: &[u8]) -> Result<(Value, Value), VaultError> {
        let what = table_name(table);
        let opened = self.sealer.open(Place::Entry(table, blinded), sealed, what)?;
        let damaged = || VaultError::Damaged { what };
        let (length, rest) = opened.split_first_chunk::<KEY_LENGTH_BYTES>().ok_or_else(damaged)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| damaged())?;
        let (key, value) = rest.split_at_checked(length).ok_or_else(damaged)?;
        Ok((Zeroizing::new(key.to_vec()), Zeroizing::new(value.to_vec())))
    }

    fn list(&self, sql: &str, log: Log, bound: u64, limit: usize) -> Result<Vec<(u64, Value)>, VaultError> {
        let mut statement = self.begun()?.prepare_cached(sql).map_err(|error| database(&error))?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        // Positions are counted up from 0, so that one beyond i64 bounds nothing.
        let bound = i64::try_from(bound).unwrap_or(i64::MAX);
        let rows = statement
            .query_map(params![log as u8, bound, limit], |row| Ok((position(row)?, row.get::<_, Vec<u8>>(1)?)))
            .map_err(|error| database(&error))?;
        rows.map(|row| {
            let (position, sealed) = row.map_err(|error| database(&error))?;
            Ok((position, self.sealer.open(Place::Position(log, position), &sealed, log_name(log))?))
        })
        .collect()
    }
}

impl VaultTransaction for SqliteTransaction<'_> {
    fn get(&mut self, table: Table, key: &[u8]) -> Result<Option<Value>, VaultError> {
        let blinded = self.sealer.blind(table, key);
        let sealed: Option<Vec<u8>> = self
            .begun()?
            .prepare_cached("SELECT value FROM entry WHERE tab = ?1 AND key = ?2")
            .and_then(|mut statement| statement.query_row(params![table as u8, blinded], |row| row.get(0)).optional())
            .map_err(|error| database(&error))?;
        sealed.map(|sealed| self.open_entry(table, &blinded, &sealed).map(|(_, value)| value)).transpose()
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), VaultError> {
        let blinded = self.sealer.blind(table, key);
        let length = u32::try_from(key.len()).map_err(|_| VaultError::Damaged { what: "key" })?;
        let sealed = self.sealer.seal(Place::Entry(table, &blinded), &[&length.to_be_bytes(), key, value])?;
        self.begun()?
            .prepare_cached("INSERT OR REPLACE INTO entry (tab, key, value) VALUES (?1, ?2, ?3)")
            .and_then(|mut statement| statement.execute(params![table as u8, blinded, sealed]))
            .map(|_| ())
            .map_err(|error| database(&error))
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<bool, VaultError> {
        let blinded = self.sealer.blind(table, key);
        self.begun()?
            .prepare_cached("DELETE FROM entry WHERE tab = ?1 AND key = ?2")
            .and_then(|mut statement| statement.execute(params![table as u8, blinded]))
            .map(|deleted| deleted > 0)
            .map_err(|error| database(&error))
    }

    fn entries(&mut self, table: Table) -> Result<Vec<(Value, Value)>, VaultError> {
        let mut statement = self
            .begun()?
            .prepare_cached("SELECT key, value FROM entry WHERE tab = ?1")
            .map_err(|error| database(&error))?;
        let rows = statement
            .query_map([table as u8], |row| Ok((row.get::<_, Blinded>(0)?, row.get::<_, Vec<u8>>(1)?)))
            .map_err(|error| database(&error))?;
        rows.map(|row| {
            let (blinded, sealed) = row.map_err(|error| database(&error))?;
            let (key, value) = self.open_entry(table, &blinded, &sealed)?;
            if self.sealer.blind(table, &key) != blinded {
                return Err(VaultError::Damaged { what: table_name(table) });
            }
            Ok((key, value))
        })
        .collect()
    }

    fn count(&mut self, table: Table) -> Result<u64, VaultError> {
        self.begun()?
            .prepare_cached("SELECT count(*) FROM entry WHERE tab = ?1")
            .and_then(|mut statement| statement.query_row([table as u8], |row| row.get::<_, i64>(0)))
            .map(i64::cast_unsigned)
            .map_err(|error| database(&error))
    }

    fn append(&mut self, log: Log, value: &[u8]) -> Result<u64, VaultError> {
        let next: i64 = self
            .begun()?
            .prepare_cached(
                "INSERT INTO list_head (log, next) VALUES (?1, 1) \
                 ON CONFLICT (log) DO UPDATE SET next = next + 1 RETURNING next - 1",
            )
            .and_then(|mut statement| statement.query_row([log as u8], |row| row.get(0)))
            .map_err(|error| database(&error))?;
        let position = next.cast_unsigned();
        let sealed = self.sealer.seal(Place::Position(log, position), &[value])?;
        self.begun()?
            .prepare_cached("INSERT INTO list (log, position, value) VALUES (?1, ?2, ?3)")
            .and_then(|mut statement| statement.execute(params![log as u8, next, sealed]))
            .map_err(|error| database(&error))?;
        Ok(position)
    }

    fn replace(&mut self, log: Log, position: u64, value: &[u8]) -> Result<(), VaultError> {
        let sealed = self.sealer.seal(Place::Position(log, position), &[value])?;
        let replaced = self
            .begun()?
            .prepare_cached("UPDATE list SET value = ?3 WHERE log = ?1 AND position = ?2")
            .and_then(|mut statement| statement.execute(params![log as u8, position.cast_signed(), sealed]))
            .map_err(|error| database(&error))?;
        if replaced == 1 { Ok(()) } else { Err(VaultError::Damaged { what: log_name(log) }) }
    }

    fn remove(&mut self, log: Log, position: u64) -> Result<bool, VaultError> {
        self.begun()?
            .prepare_cached("DELETE FROM list WHERE log = ?1 AND position = ?2")
            .and_then(|mut statement| statement.execute(params![log as u8, position.cast_signed()]))
            .map(|removed| removed > 0)
            .map_err(|error| database(&error))
    }

    fn read(&mut self, log: Log, from: u64, limit: usize) -> Result<Vec<(u64, Value)>, VaultError> {
        let sql = "SELECT position, value FROM list WHERE log = ?1 AND position >= ?2 ORDER BY position LIMIT ?3";
        self.list(sql, log, from, limit)
    }

    fn read_back(&mut self, log: Log, before: u64, limit: usize) -> Result<Vec<(u64, Value)>, VaultError> {
        let sql = "SELECT position, value FROM list WHERE log = ?1 AND position < ?2 ORDER BY position DESC LIMIT ?3";
        self.list(sql, log, before, limit)
    }

    fn last(&mut self, log: Log) -> Result<Option<u64>, VaultError> {
        self.begun()?
            .prepare_cached("SELECT max(position) FROM list WHERE log = ?1")
            .and_then(|mut statement| statement.query_row([log as u8], |row| row.get::<_, Option<i64>>(0)))
            .map(|position| position.map(i64::cast_unsigned))
            .map_err(|error| database(&error))
    }
}

fn position(row: &Row<'_>) -> rusqlite::Result<u64> {
    row.get::<_, i64>(0).map(i64::cast_unsigned)
}

const fn table_name(table: Table) -> &'static str {
    match table {
        Table::Meta => "table of facts",
        Table::Identity => "table of identities",
        Table::Contact => "table of contacts",
        Table::Session => "table of sessions",
        Table::Inbox => "inbox",
        Table::Prekey => "table of prekeys",
        Table::Request => "table of requests",
        Table::Sealed => "table of sealed frames",
        Table::Peer => "table of peers",
        Table::Seen => "table of numbers",
        Table::Shown => "table of shown messages",
        Table::Sent => "table of sent messages",
    }
}

const fn log_name(log: Log) -> &'static str {
    match log {
        Log::History => "history",
        Log::Outbox => "outbox",
        Log::Notice => "list of notices",
    }
}
