//! One transaction over the database.

use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use super::error::database;
use crate::vault::error::VaultError;
use crate::vault::port::{Log, Table, Value, VaultTransaction};
use crate::vault::sealing::{Blinded, Place, Sealer};

/// An open transaction, which seals what it writes and opens what it reads.
pub(in crate::vault) struct SqliteTransaction<'a> {
    database: &'a Transaction<'a>,
    sealer: &'a Sealer,
}

impl<'a> SqliteTransaction<'a> {
    pub(in crate::vault) const fn new(database: &'a Transaction<'a>, sealer: &'a Sealer) -> Self {
        Self { database, sealer }
    }

    /// Returns the database, while the transaction is open. A full disk makes SQLite roll back by itself; a body that overlooks
    /// this would write what is committed at once, on its own.
    fn begun(&self) -> Result<&'a Transaction<'a>, VaultError> {
        if self.database.is_autocommit() {
            return Err(VaultError::Storage { reason: "the transaction was rolled back".to_owned() });
        }
        Ok(self.database)
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
            Ok((position, self.sealer.open(Place::Position(log, position), &sealed)?))
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
        sealed.map(|sealed| self.sealer.open_row(table, &blinded, &sealed).map(|(_, value)| value)).transpose()
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), VaultError> {
        let blinded = self.sealer.blind(table, key);
        let sealed = self.sealer.seal_row(&mut rand::rng(), table, &blinded, (key, value))?;
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
            let (key, value) = self.sealer.open_row(table, &blinded, &sealed)?;
            if self.sealer.blind(table, &key) != blinded {
                return Err(Place::Entry(table, &blinded).damaged());
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
        let sealed = self.sealer.seal(&mut rand::rng(), Place::Position(log, position), &[value])?;
        self.begun()?
            .prepare_cached("INSERT INTO list (log, position, value) VALUES (?1, ?2, ?3)")
            .and_then(|mut statement| statement.execute(params![log as u8, next, sealed]))
            .map_err(|error| database(&error))?;
        Ok(position)
    }

    fn replace(&mut self, log: Log, position: u64, value: &[u8]) -> Result<(), VaultError> {
        let sealed = self.sealer.seal(&mut rand::rng(), Place::Position(log, position), &[value])?;
        let replaced = self
            .begun()?
            .prepare_cached("UPDATE list SET value = ?3 WHERE log = ?1 AND position = ?2")
            .and_then(|mut statement| statement.execute(params![log as u8, position.cast_signed(), sealed]))
            .map_err(|error| database(&error))?;
        if replaced == 1 { Ok(()) } else { Err(Place::Position(log, position).damaged()) }
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
