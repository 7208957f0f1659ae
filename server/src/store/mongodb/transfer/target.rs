//! Filling a store.

use std::collections::BTreeMap;

use async_trait::async_trait;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Binary, Bson, Document, doc};
use sealpost_api::ids::{ServerId, StoreId};
use sealpost_crypto::{AccountId, DeviceAddress};

use super::database::MongoTransfer;
use super::documents::{document, earlier_lists, hot, insert, notices_of, prekeys_of};
use crate::store::error::StoreError;
use crate::store::invites::InviteRecord;
use crate::store::mongodb::documents::devices::Hot;
use crate::store::mongodb::documents::meta::Invite;
use crate::store::mongodb::documents::queue::Row;
use crate::store::mongodb::error::DbError;
use crate::store::mongodb::moved::MOVE;
use crate::store::mongodb::{values, verify};
use crate::store::transfer::{BeginError, MovePlan, MovedAccount, MovedMessage, Progress, TransferTarget};

impl MongoTransfer {
    /// Begins or resumes a move; `None` if the database is not empty.
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

    /// Writes everything of these accounts except themselves and what a message changes; these come with
    /// [`TransferTarget::done`].
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

    /// Appends messages to queues.
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

    /// Writes the accounts that were put last, and records that they are complete.
    async fn put_down(&mut self, last: AccountId) -> Result<(), DbError> {
        let (accounts, devices) = (std::mem::take(&mut self.accounts), std::mem::take(&mut self.devices));
        insert(&self.db.devices, devices.into_values().collect()).await?;
        insert(&self.db.accounts, accounts).await?;
        let after = doc! { "$set": { "after": values::account(last) } };
        self.db.meta.update_one(doc! { "_id": MOVE }, after).await?;
        Ok(())
    }

    /// Gives the store its ids, and ends the move.
    async fn end_move(&self) -> Result<(), DbError> {
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
        // A move that was killed here left some of them; nothing else would be lost.
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
        Ok(self.end_move().await?)
    }
}
