//! The whole store, for `sealpost-server move`: read from a folder that no server uses, or made anew beside one.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, params};
use sealpost_api::ids::{RefreshTokenHash, StoreId};
use sealpost_crypto::{AccountId, DeviceAddress, UnixMillis};

use self::read::{listed, of, read};
use super::error::DbError;
use super::files::Folder;
use super::{DATABASE, OpenError, checkpoint, connection, durable, migrations, prekeys, rows, verify};
use crate::store::transfer::{BeginError, MovePlan, MovedAccount, MovedDevice, MovedMessage, Progress, TransferTarget};
use crate::store::{InviteRecord, StoreError};

mod read;

/// A folder inside of the target, in which the database is made; it moves out when it is whole.
const UNFINISHED: &str = "moving";
/// A file beside a database that has gone elsewhere.
const MOVED: &str = "moved";
/// Page cache, in bytes.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// Rows in `meta` for as long as a move goes on: the source's id, when it began, the last whole account.
const FROM: &str = "move_from";
const BEGUN_AT: &str = "move_at";
const AFTER: &str = "move_after";

/// A store in a folder. As long as it is there no server can use the folder.
pub struct EmbeddedTransfer {
    db: Connection,
    /// Of the folder that a server would use.
    _lock: File,
    /// That folder.
    path: PathBuf,
    /// Whether the database is being made, and goes there in the end.
    is_target: bool,
}

/// Refuses a folder into which a move has begun and not finished, and one whose store has gone elsewhere.
pub(super) fn refuse_moved(folder: &Folder) -> Result<(), OpenError> {
    if folder.path().join(UNFINISHED).exists() {
        return Err(OpenError::Moving { path: folder.path().to_owned() });
    }
    let note = folder.path().join(MOVED);
    if note.exists() { Err(OpenError::Moved { note }) } else { Ok(()) }
}

impl EmbeddedTransfer {
    /// A store to read. It must be of the newest schema, and no server may have it open.
    ///
    /// # Errors
    /// [`OpenError`]
    pub fn source(path: &Path) -> Result<Self, OpenError> {
        let folder = Folder::existing(path)?;
        let lock = folder.lock()?;
        if folder.is_restoring() {
            return Err(OpenError::Restoring { path: path.to_owned() });
        }
        refuse_moved(&folder)?;
        let missing = || OpenError::Damaged { path: folder.database(), what: "there is no database to move" };
        migrations::check_header(&folder, &folder.header()?.ok_or_else(missing)?)?;
        let mut db = connection::open_writer(&folder.database(), CACHE_BYTES, false)?;
        migrations::apply(&mut db)?;
        Ok(Self { db, _lock: lock, path: path.to_owned(), is_target: false })
    }

    /// A store to make in a folder that has none. `None` when there is one.
    ///
    /// # Errors
    /// [`OpenError`]
    pub fn target(path: &Path) -> Result<Option<Self>, OpenError> {
        durable::refuse_eatmydata()?;
        let folder = Folder::open(path)?;
        durable::refuse_file_system(path, false)?;
        let lock = folder.lock()?;
        if folder.header()?.is_some() {
            return Ok(None);
        }
        let unfinished = Folder::open(&path.join(UNFINISHED))?;
        let failed = |source| OpenError::Folder { path: unfinished.path().to_owned(), source };
        if unfinished.header()?.is_none() {
            unfinished.begin().map_err(failed)?;
            let mut made = connection::open_writer(&unfinished.unfinished(), CACHE_BYTES, false)?;
            migrations::apply(&mut made)?;
            made.close().map_err(|(_, error)| OpenError::Database(error))?;
            unfinished.finish().map_err(failed)?;
        }
        let db = connection::open_writer(&unfinished.database(), CACHE_BYTES, false)?;
        Ok(Some(Self { db, _lock: lock, path: path.to_owned(), is_target: true }))
    }

    /// Does something in one transaction.
    fn write<T>(&mut self, work: impl FnOnce(&Connection) -> Result<T, DbError>) -> Result<T, StoreError> {
        let transaction = self.db.transaction().map_err(DbError::from)?;
        let value = work(&transaction)?;
        transaction.commit().map_err(DbError::from)?;
        // The log is written back by hand here as in the server.
        checkpoint::truncate(&self.db)?;
        Ok(value)
    }
}

/// The row of a device; one that is not there yet is made as one that has left its list.
fn known(db: &Connection, address: &DeviceAddress) -> Result<i64, DbError> {
    let (account, device, registration) = of(address);
    db.prepare_cached(
        "INSERT INTO devices (account_id, device_id, registration, identity, listed, removed_at, last_seen_at, key_epoch, \
         max_issued_id, connection_epoch, queue_messages, queue_bytes, queue_next, highest_number, number_window) \
         VALUES (?1, ?2, ?3, zeroblob(32), 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, zeroblob(128)) \
         ON CONFLICT (account_id, device_id, registration) DO NOTHING",
    )?
    .execute(params![account, device, registration])?;
    Ok(db
        .prepare_cached("SELECT dev FROM devices WHERE account_id = ?1 AND device_id = ?2 AND registration = ?3")?
        .query_row(params![account, device, registration], |row| row.get(0))?)
}

#[async_trait]
impl TransferTarget for EmbeddedTransfer {
    async fn begin(&mut self, plan: MovePlan) -> Result<Progress, BeginError> {
        let found = self.write(|db| {
            let found: Option<[u8; 16]> =
                db.query_row("SELECT value FROM meta WHERE key = ?1", [FROM], |row| row.get(0)).optional()?;
            if found.is_none() {
                let at = plan.at.0.to_be_bytes();
                db.execute("INSERT INTO meta (key, value) VALUES (?1, ?2)", params![BEGUN_AT, at])?;
                migrations::set_meta(db, "server_id", plan.server.as_bytes())?;
                migrations::set_meta(db, "store_id", plan.to.as_bytes())?;
                migrations::set_meta(db, FROM, plan.from.as_bytes())?;
            }
            Ok(found)
        })?;
        match found.map(StoreId::from_bytes) {
            None => return Ok(Progress { plan, after: None }),
            Some(from) if from != plan.from => return Err(BeginError::OtherMove(from)),
            Some(_) => {}
        }
        Ok(read(|| {
            let at: [u8; 8] =
                self.db.query_row("SELECT value FROM meta WHERE key = ?1", [BEGUN_AT], |row| row.get(0))?;
            let after: Option<[u8; 16]> =
                self.db.query_row("SELECT value FROM meta WHERE key = ?1", [AFTER], |row| row.get(0)).optional()?;
            let to = StoreId::from_bytes(migrations::meta(&self.db, "store_id")?);
            let plan = MovePlan { to, at: UnixMillis(u64::from_be_bytes(at)), ..plan };
            Ok(Progress { plan, after: after.map(AccountId::from_bytes) })
        })?)
    }

    async fn put_accounts(&mut self, accounts: &[MovedAccount]) -> Result<(), StoreError> {
        self.write(|db| accounts.iter().try_for_each(|account| put_account(db, account)))
    }

    async fn put_messages(&mut self, messages: &[(DeviceAddress, MovedMessage)]) -> Result<(), StoreError> {
        self.write(|db| {
            for (to, message) in messages {
                let dev = listed(db, to)?.ok_or(DbError::Corrupt("a message for a device that was not moved"))?;
                let sender = known(db, &message.from)?;
                let (next, bytes) = (
                    db.prepare_cached("SELECT queue_next FROM devices WHERE dev = ?1")?
                        .query_row([dev], |row| rows::bits(row, 0))?,
                    i64::try_from(message.ciphertext.len()).unwrap_or(i64::MAX),
                );
                let id = rows::queue_id(dev, next).ok_or(DbError::Corrupt("a queue has no row id left"))?;
                db.prepare_cached(
                    "INSERT INTO queue (id, dev, sender_dev, number, accepted_at, ciphertext) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![
                    id,
                    dev,
                    sender,
                    message.number.cast_signed(),
                    rows::time(message.accepted_at),
                    message.ciphertext
                ])?;
                db.prepare_cached(
                    "UPDATE devices SET queue_next = queue_next + 1, queue_messages = queue_messages + 1, \
                     queue_bytes = queue_bytes + ?2 WHERE dev = ?1",
                )?
                .execute(params![dev, bytes])?;
            }
            Ok(())
        })
    }

    async fn done(&mut self, account: AccountId) -> Result<(), StoreError> {
        self.write(|db| {
            db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)", params![AFTER, account.as_bytes()])?;
            Ok(())
        })
    }

    async fn put_invites(&mut self, invites: &[InviteRecord]) -> Result<(), StoreError> {
        self.write(|db| {
            for invite in invites {
                db.prepare_cached(
                    "INSERT OR REPLACE INTO invites (invite_hash, expires_at, created_at) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![
                    invite.hash,
                    rows::time(invite.expires_at),
                    rows::time(invite.created_at)
                ])?;
            }
            Ok(())
        })
    }

    async fn put_retired_names(&mut self, names: &[[u8; 32]]) -> Result<(), StoreError> {
        self.write(|db| {
            for name in names {
                db.prepare_cached("INSERT OR IGNORE INTO retired_names (username_hash) VALUES (?1)")?
                    .execute([name])?;
            }
            Ok(())
        })
    }

    async fn findings(&mut self) -> Result<Vec<String>, StoreError> {
        Ok(verify::findings(&self.db))
    }

    async fn finish(&mut self) -> Result<(), StoreError> {
        let failed = |error: std::io::Error| StoreError::Failed(error.to_string().into());
        if !std::mem::take(&mut self.is_target) {
            return Ok(());
        }
        self.write(|db| {
            // What came as a sender only goes with its last message.
            let at: [u8; 8] = db.query_row("SELECT value FROM meta WHERE key = ?1", [BEGUN_AT], |row| row.get(0))?;
            let at = UnixMillis(u64::from_be_bytes(at));
            db.execute("UPDATE devices SET removed_at = ?1 WHERE listed = 0", [rows::time(at)])?;
            db.execute("DELETE FROM meta WHERE key IN (?1, ?2, ?3)", [FROM, BEGUN_AT, AFTER])?;
            Ok(())
        })?;
        // Closing it removes its log; then the file is all there is.
        let db = std::mem::replace(&mut self.db, Connection::open_in_memory().map_err(DbError::from)?);
        db.close().map_err(|(_, error)| DbError::from(error))?;
        let unfinished = self.path.join(UNFINISHED);
        File::open(unfinished.join(DATABASE)).and_then(|file| file.sync_all()).map_err(failed)?;
        fs::rename(unfinished.join(DATABASE), self.path.join(DATABASE)).map_err(failed)?;
        File::open(&self.path).and_then(|folder| folder.sync_all()).map_err(failed)?;
        fs::remove_dir_all(&unfinished).map_err(failed)
    }
}

fn put_account(db: &Connection, account: &MovedAccount) -> Result<(), DbError> {
    let id = account.id.as_bytes();
    for sql in [
        "DELETE FROM queue WHERE dev IN (SELECT dev FROM devices WHERE account_id = ?1)",
        "DELETE FROM notices WHERE dev IN (SELECT dev FROM devices WHERE account_id = ?1)",
        "DELETE FROM signed_prekeys WHERE dev IN (SELECT dev FROM devices WHERE account_id = ?1)",
        "DELETE FROM device_lists WHERE account_id = ?1",
        "DELETE FROM sessions WHERE account_id = ?1",
        "DELETE FROM accounts WHERE account_id = ?1",
    ] {
        db.prepare_cached(sql)?.execute([id])?;
    }
    let (version, _) = account.lists.last().ok_or(DbError::Corrupt("an account without a device list"))?;
    db.prepare_cached(
        "INSERT INTO accounts (account_id, username, password_hash, created_at, list_version, list_hash, disabled_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        id,
        account.username.as_str(),
        account.password_hash,
        rows::time(account.created_at),
        version.cast_signed(),
        account.list_hash,
        account.disabled_at.map(rows::time)
    ])?;
    for (version, encoded) in &account.lists {
        db.prepare_cached("INSERT INTO device_lists (account_id, version, encoded) VALUES (?1, ?2, ?3)")?
            .execute(params![id, version.cast_signed(), encoded])?;
    }
    for device in &account.devices {
        put_device(db, device)?;
    }
    for session in &account.sessions {
        let dev = known(db, &session.address)?;
        db.prepare_cached(
            "INSERT INTO sessions (session_id, account_id, dev, refresh_hash, previous_hash, generation, created_at, \
             last_used_at, ended) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            session.id.as_bytes(),
            id,
            dev,
            session.refresh_hash.as_bytes(),
            session.previous_hash.as_ref().map(RefreshTokenHash::as_bytes),
            session.generation,
            rows::time(session.created_at),
            rows::time(session.last_used_at),
            session.ended
        ])?;
    }
    Ok(())
}

fn put_device(db: &Connection, device: &MovedDevice) -> Result<(), DbError> {
    let dev = known(db, &device.address)?;
    db.prepare_cached(
        "UPDATE devices SET identity = ?2, listed = 1, removed_at = NULL, last_seen_at = ?3, key_epoch = ?4, \
         max_issued_id = ?5, connection_epoch = ?6, queue_messages = 0, queue_bytes = 0, queue_next = 0, \
         highest_number = ?7, number_window = ?8 WHERE dev = ?1",
    )?
    .execute(params![
        dev,
        device.identity.as_bytes(),
        rows::time(device.last_seen_at),
        device.key_epoch,
        device.max_issued_id,
        device.connection_epoch.cast_signed(),
        device.highest_number.cast_signed(),
        device.window
    ])?;
    if let Some(prekey) = &device.signed_prekey {
        prekeys::store_signed(db, dev, prekey)?;
    }
    for notice in &device.notices {
        let numbers: Vec<u8> = notice.numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
        db.prepare_cached(
            "INSERT INTO notices (dev, kind, reason, peer, count, numbers, created_at, sealed) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            dev,
            notice.kind,
            notice.reason,
            notice.peer.to_bytes(),
            notice.count.cast_signed(),
            numbers,
            rows::time(notice.created_at),
            notice.sealed
        ])?;
    }
    Ok(())
}
