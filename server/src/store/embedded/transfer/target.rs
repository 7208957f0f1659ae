//! Filling a store.

use std::fs::{self, File};
use std::io;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, params};
use sealpost_api::ids::StoreId;
use sealpost_crypto::{AccountId, DeviceAddress, UnixMillis};

use super::database::EmbeddedTransfer;
use super::put;
use crate::store::embedded::error::DbError;
use crate::store::embedded::files::DATABASE;
use crate::store::embedded::moved::UNFINISHED;
use crate::store::embedded::tables::columns;
use crate::store::embedded::{migrations, verify};
use crate::store::error::StoreError;
use crate::store::invites::InviteRecord;
use crate::store::transfer::{BeginError, MovePlan, MovedAccount, MovedMessage, Progress, TransferTarget};

/// The rows of `meta` that exist while a move goes on: the source's id, when the move began, the last complete account.
const FROM: &str = "move_from";
const BEGUN_AT: &str = "move_at";
const AFTER: &str = "move_after";

impl EmbeddedTransfer {
    /// Reads how far the move is that the database holds.
    fn progress(&self, plan: MovePlan) -> Result<Progress, DbError> {
        let at: [u8; 8] = self.db.query_row("SELECT value FROM meta WHERE key = ?1", [BEGUN_AT], |row| row.get(0))?;
        let after: Option<[u8; 16]> =
            self.db.query_row("SELECT value FROM meta WHERE key = ?1", [AFTER], |row| row.get(0)).optional()?;
        let to = StoreId::from_bytes(migrations::meta(&self.db, "store_id")?);
        let plan = MovePlan { to, at: UnixMillis(u64::from_be_bytes(at)), ..plan };
        Ok(Progress { plan, after: after.map(AccountId::from_bytes) })
    }
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
        Ok(self.progress(plan).map_err(StoreError::from)?)
    }

    async fn put_accounts(&mut self, accounts: &[MovedAccount]) -> Result<(), StoreError> {
        self.write(|db| accounts.iter().try_for_each(|account| put::account(db, account)))
    }

    async fn put_messages(&mut self, messages: &[(DeviceAddress, MovedMessage)]) -> Result<(), StoreError> {
        self.write(|db| messages.iter().try_for_each(|(to, message)| put::message(db, to, message)))
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
                    columns::time(invite.expires_at),
                    columns::time(invite.created_at)
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
        let failed = |error: io::Error| StoreError::Failed(error.to_string().into());
        if !std::mem::take(&mut self.is_target) {
            return Ok(());
        }
        self.write(|db| {
            // A device that came only as a sender is forgotten with its last message.
            let at: [u8; 8] = db.query_row("SELECT value FROM meta WHERE key = ?1", [BEGUN_AT], |row| row.get(0))?;
            let at = UnixMillis(u64::from_be_bytes(at));
            db.execute("UPDATE devices SET removed_at = ?1 WHERE listed = 0", [columns::time(at)])?;
            db.execute("DELETE FROM meta WHERE key IN (?1, ?2, ?3)", [FROM, BEGUN_AT, AFTER])?;
            Ok(())
        })?;
        // Closing the database removes its log, so that the file is complete.
        let db = std::mem::replace(&mut self.db, Connection::open_in_memory().map_err(DbError::from)?);
        db.close().map_err(|(_, error)| DbError::from(error))?;
        let unfinished = self.path.join(UNFINISHED);
        File::open(unfinished.join(DATABASE)).and_then(|file| file.sync_all()).map_err(failed)?;
        fs::rename(unfinished.join(DATABASE), self.path.join(DATABASE)).map_err(failed)?;
        File::open(&self.path).and_then(|folder| folder.sync_all()).map_err(failed)?;
        fs::remove_dir_all(&unfinished).map_err(failed)
    }
}
