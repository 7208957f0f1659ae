//! The whole store, for `sealpost-server move`: read while no node runs, or filled before the first one does.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Binary, Bson, Document, doc};
use mongodb::{Collection, Database};
use sealpost_api::ids::{ServerId, StoreId};
use sealpost_crypto::{AccountId, DeviceAddress, UnixMillis};

use self::write::{document, earlier_lists, hot, insert, notices_of, prekeys_of};
use super::check::Severity;
use super::documents::{Account, Hot, Invite, Row};
use super::error::DbError;
use super::{Collections, Db, OpenError, connect, expiry, judge, migrations, values, verify};
use crate::store::transfer::{BeginError, MovePlan, MovedAccount, MovedMessage, Progress, TransferTarget};
use crate::store::{InviteRecord, StoreError};

mod read;
mod write;

/// Names a move in leases: a second one takes over what a killed one held.
const HOLDER: &str = "move";
/// The document in `meta` that is there for as long as a move into this database goes on.
const MOVE: &str = "move";
/// The document there that says that the store has gone elsewhere.
const MOVED: &str = "moved";
/// The key epoch of a device that has none noted.
const FIRST_EPOCH: u32 = 1;

/// A database that no node uses.
pub struct MongoTransfer {
    db: Db,
    /// The accounts that were put last. They are written after all that is theirs.
    accounts: Vec<Account>,
    /// Their devices, whose counters grow with each message.
    devices: BTreeMap<DeviceAddress, Hot>,
}

/// Refuses a database into which a move has begun and not finished, and one whose store has gone elsewhere.
pub(super) async fn refuse_moved(database: &Database) -> Result<(), OpenError> {
    let meta = database.collection::<Document>("meta");
    let note = meta.find_one(doc! { "_id": { "$in": [MOVE, MOVED] } }).await?;
    match note.as_ref().and_then(|note| note.get_str("_id").ok()) {
        None => Ok(()),
        Some(MOVE) => Err(OpenError::Unfit(
            "a move into this database has not finished; run the same `sealpost-server move` again, or name another database"
                .to_owned(),
        )),
        Some(_) => Err(OpenError::Unfit(
            "what was here was moved to another store; start the server on that one. To go on from here all the same, without \
             what was sent there since, delete the document `moved` of the collection `meta`"
                .to_owned(),
        )),
    }
}

impl MongoTransfer {
    const fn new(db: Db) -> Self {
        Self { db, accounts: Vec::new(), devices: BTreeMap::new() }
    }

    /// A store to read. It must be of the newest schema. `now` shows whether a node was here a moment ago.
    ///
    /// # Errors
    /// [`OpenError`]
    pub async fn source(address: &str, now: UnixMillis) -> Result<Self, OpenError> {
        let db = open(address, now).await?;
        refuse_moved(&db.database).await?;
        let status = migrations::status(&db.database).await?;
        if status.current != status.newest {
            return Err(OpenError::Unfit(match status.current {
                0 => "there is no store to move".to_owned(),
                _ => "its schema is not the newest; run `sealpost-server migrate` first".to_owned(),
            }));
        }
        let mut leases = db.meta.find(doc! {}).await?;
        while let Some(lease) = leases.try_next().await? {
            let until = values::millis(lease.get_i64("until").unwrap_or(0));
            if until > now && lease.get_str("holder").is_ok_and(|holder| holder != HOLDER) {
                return Err(OpenError::Unfit(format!(
                    "a node used it a moment ago; stop all nodes, and try again in {} s",
                    until.since(now).div_ceil(1_000)
                )));
            }
        }
        // What a removed device left in its queue is for its senders to be told, not to be moved.
        expiry::sweep(&db, UnixMillis(0), now, 0).await.map_err(|error| OpenError::Database(error.to_string()))?;
        Ok(Self::new(db))
    }

    /// A store to fill.
    ///
    /// # Errors
    /// [`OpenError`]
    pub async fn target(address: &str, now: UnixMillis) -> Result<Self, OpenError> {
        let db = open(address, now).await?;
        migrations::apply(&db, now).await?;
        Ok(Self::new(db))
    }

    async fn is_empty(&self) -> Result<bool, DbError> {
        async fn any<T: Send + Sync>(collection: &Collection<T>, filter: Document) -> Result<bool, DbError> {
            Ok(collection.clone_with_type::<Document>().find_one(filter).await?.is_some())
        }
        let db = &self.db;
        let held = any(&db.accounts, doc! {}).await?
            || any(&db.lists, doc! {}).await?
            || any(&db.devices, doc! {}).await?
            || any(&db.prekeys, doc! {}).await?
            || any(&db.queue, doc! {}).await?
            || any(&db.notices, doc! {}).await?
            || any(&db.invites, doc! {}).await?
            || any(&db.retired, doc! {}).await?
            || any(&db.meta, doc! { "_id": "store" }).await?;
        Ok(!held)
    }
}

async fn open(address: &str, now: UnixMillis) -> Result<Db, OpenError> {
    let (_client, database, connection) = connect(address).await?;
    for finding in judge(&database, connection, now).await? {
        if finding.severity == Severity::Refused {
            return Err(OpenError::Unfit(format!("{}: {}", finding.about, finding.text)));
        }
    }
    Ok(Db {
        to: Arc::new(Collections::of(&database)),
        database,
        holder: HOLDER.into(),
        suspects: Arc::default(),
        doubtful: Arc::default(),
    })
}

impl MongoTransfer {
    async fn begin_move(&self, plan: MovePlan) -> Result<Option<Progress>, DbError> {
        let mine = doc! {
            "_id": MOVE,
            "from": values::binary(plan.from.as_bytes()),
            "to": values::binary(plan.to.as_bytes()),
            "server": values::binary(plan.server.as_bytes()),
            "at": values::time(plan.at),
        };
        let Some(found) = self.db.meta.find_one(doc! { "_id": MOVE }).await? else {
            if !self.is_empty().await? {
                return Ok(None);
            }
            self.db.meta.insert_one(mine).await?;
            return Ok(Some(Progress { plan, after: None }));
        };
        let id = |name: &str| match found.get(name) {
            Some(Bson::Binary(id)) => values::fixed(id),
            _ => Err(DbError::Corrupt("the note of a move has another form")),
        };
        let after = if found.contains_key("after") { Some(AccountId::from_bytes(id("after")?)) } else { None };
        let plan = MovePlan {
            server: ServerId::from_bytes(id("server")?),
            from: StoreId::from_bytes(id("from")?),
            to: StoreId::from_bytes(id("to")?),
            at: values::millis(found.get_i64("at").unwrap_or(0)),
        };
        Ok(Some(Progress { plan, after }))
    }

    /// Everything of these accounts but themselves and what a message changes, which come with [`TransferTarget::done`].
    async fn put(&mut self, moved: &[MovedAccount]) -> Result<(), DbError> {
        let ids: Vec<Binary> = moved.iter().map(|account| values::account(account.id)).collect();
        let of_accounts = || doc! { "account": { "$in": &ids } };
        let db = &self.db;
        db.queue.delete_many(of_accounts()).await?;
        db.notices.delete_many(of_accounts()).await?;
        db.lists.delete_many(of_accounts()).await?;
        db.devices.delete_many(of_accounts()).await?;
        db.prekeys.delete_many(of_accounts()).await?;
        db.accounts.delete_many(doc! { "_id": { "$in": &ids } }).await?;
        let (mut lists, mut notices, mut prekeys) = (Vec::new(), Vec::new(), Vec::new());
        (self.accounts, self.devices) = (Vec::new(), BTreeMap::new());
        for account in moved {
            lists.extend(earlier_lists(account));
            self.accounts.push(document(account)?);
            for device in &account.devices {
                let (hot, told) = (hot(device), notices_of(device));
                self.devices.insert(device.address, Hot { next: values::limit(told.len()), ..hot });
                notices.extend(told);
                prekeys.push(prekeys_of(device));
            }
        }
        insert(&db.lists, lists).await?;
        insert(&db.notices, notices).await?;
        insert(&db.prekeys, prekeys).await
    }

    async fn append(&mut self, messages: &[(DeviceAddress, MovedMessage)]) -> Result<(), DbError> {
        let mut rows = Vec::with_capacity(messages.len());
        for (to, message) in messages {
            let hot = self.devices.get_mut(to).ok_or(DbError::Corrupt("a message for a device that was not moved"))?;
            let bytes = values::limit(message.ciphertext.len());
            hot.next = hot.next.saturating_add(1);
            hot.messages = hot.messages.saturating_add(1);
            hot.bytes = hot.bytes.saturating_add(bytes);
            rows.push(Row {
                id: ObjectId::new(),
                account: values::account(to.account),
                to: values::device(to),
                row: hot.next,
                from: values::address(&message.from),
                number: message.number.cast_signed(),
                accepted_at: values::time(message.accepted_at),
                bytes,
                ciphertext: values::binary(&message.ciphertext),
            });
        }
        insert(&self.db.queue, rows).await
    }

    async fn put_down(&mut self, last: AccountId) -> Result<(), DbError> {
        let (accounts, devices) = (std::mem::take(&mut self.accounts), std::mem::take(&mut self.devices));
        insert(&self.db.devices, devices.into_values().collect()).await?;
        insert(&self.db.accounts, accounts).await?;
        let after = doc! { "$set": { "after": values::account(last) } };
        self.db.meta.update_one(doc! { "_id": MOVE }, after).await?;
        Ok(())
    }
}

#[async_trait]
impl TransferTarget for MongoTransfer {
    async fn begin(&mut self, plan: MovePlan) -> Result<Progress, BeginError> {
        match self.begin_move(plan).await.map_err(StoreError::from)? {
            None => Err(BeginError::NotEmpty),
            Some(found) if found.plan.from != plan.from => Err(BeginError::OtherMove(found.plan.from)),
            Some(found) => Ok(found),
        }
    }

    async fn put_accounts(&mut self, accounts: &[MovedAccount]) -> Result<(), StoreError> {
        Ok(self.put(accounts).await?)
    }

    async fn put_messages(&mut self, messages: &[(DeviceAddress, MovedMessage)]) -> Result<(), StoreError> {
        Ok(self.append(messages).await?)
    }

    async fn done(&mut self, account: AccountId) -> Result<(), StoreError> {
        Ok(self.put_down(account).await?)
    }

    async fn put_invites(&mut self, invites: &[InviteRecord]) -> Result<(), StoreError> {
        for invite in invites {
            let id = values::binary(&invite.hash);
            let document = Invite {
                id: id.clone(),
                created_at: values::time(invite.created_at),
                expires_at: values::time(invite.expires_at),
                account: None,
            };
            let put = self.db.invites.replace_one(doc! { "_id": id }, document).upsert(true);
            put.await.map_err(DbError::from)?;
        }
        Ok(())
    }

    async fn put_retired_names(&mut self, names: &[[u8; 32]]) -> Result<(), StoreError> {
        // A move that was killed here left some of them; there is nothing else to lose.
        self.db.retired.delete_many(doc! {}).await.map_err(DbError::from)?;
        for chunk in names.chunks(1_000) {
            let documents: Vec<Document> = chunk.iter().map(|name| doc! { "_id": values::binary(name) }).collect();
            self.db.retired.insert_many(documents).await.map_err(DbError::from)?;
        }
        Ok(())
    }

    async fn findings(&mut self) -> Result<Vec<String>, StoreError> {
        Ok(verify::verify(&self.db).await?)
    }

    async fn finish(&mut self) -> Result<(), StoreError> {
        let finish = async {
            let Some(found) = self.db.meta.find_one(doc! { "_id": MOVE }).await? else { return Ok(()) };
            let id = |name: &str| -> Result<Binary, DbError> {
                found
                    .get(name)
                    .and_then(|id| if let Bson::Binary(id) = id { Some(id.clone()) } else { None })
                    .ok_or(DbError::Corrupt("the note of a move has another form"))
            };
            let ids = doc! { "$set": { "server_id": id("server")?, "store_id": id("to")? } };
            self.db.meta.update_one(doc! { "_id": "store" }, ids).upsert(true).await?;
            // From here on nodes may start.
            self.db.meta.delete_one(doc! { "_id": MOVE }).await?;
            Ok::<(), DbError>(())
        };
        Ok(finish.await?)
    }
}
