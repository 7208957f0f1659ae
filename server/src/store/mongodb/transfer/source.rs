//! Reading everything, in an order that does not change.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, doc};
use sealpost_api::ids::{RefreshTokenHash, ServerId, SessionId, StoreId};
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, DeviceAddress};

use super::database::MongoTransfer;
use crate::domain::key_epochs::FIRST_KEY_EPOCH;
use crate::store::error::StoreError;
use crate::store::invites::InviteRecord;
use crate::store::mongodb::documents::accounts::{Account, Session};
use crate::store::mongodb::documents::devices::{Hot, in_queue};
use crate::store::mongodb::documents::meta::{Ids, Invite, ListRow};
use crate::store::mongodb::documents::prekeys::{Prekeys, Signed};
use crate::store::mongodb::documents::queue::{Notice, Row};
use crate::store::mongodb::error::DbError;
use crate::store::mongodb::moved::MOVED;
use crate::store::mongodb::values;
use crate::store::transfer::{
    MovedAccount, MovedDevice, MovedMessage, MovedNotice, MovedSession, Totals, TransferSource,
};

#[async_trait]
impl TransferSource for MongoTransfer {
    async fn ids(&mut self) -> Result<(ServerId, StoreId), StoreError> {
        let meta = self.db.meta.clone_with_type::<Ids>();
        let ids = meta.find_one(doc! { "_id": "store" }).await.map_err(DbError::from)?;
        let ids = ids.ok_or(StoreError::Corrupt("the ids of the store are gone"))?;
        let (server, store) = (values::fixed(&ids.server_id)?, values::fixed(&ids.store_id)?);
        Ok((ServerId::from_bytes(server), StoreId::from_bytes(store)))
    }

    async fn totals(&mut self) -> Result<Totals, StoreError> {
        let accounts = self.db.accounts.count_documents(doc! { "erased_at": null }).await.map_err(DbError::from)?;
        let messages = self.db.queue.count_documents(doc! {}).await.map_err(DbError::from)?;
        Ok(Totals { accounts, messages })
    }

    async fn accounts(&mut self, after: Option<AccountId>, limit: usize) -> Result<Vec<MovedAccount>, StoreError> {
        Ok(self.accounts_after(after, limit).await?)
    }

    async fn messages(
        &mut self,
        to: &DeviceAddress,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<MovedMessage>, StoreError> {
        let mut rest = in_queue(to);
        if let Some(after) = after {
            rest.insert("row", doc! { "$gt": after.cast_signed() });
        }
        let find = self.db.queue.find(rest).sort(doc! { "row": 1 }).limit(values::limit(limit));
        let rows: Vec<Row> = find.await.map_err(DbError::from)?.try_collect().await.map_err(DbError::from)?;
        let messages = rows.into_iter().map(|row| {
            Ok(MovedMessage {
                position: row.row.cast_unsigned(),
                from: values::to_address(&row.from)?,
                number: row.number.cast_unsigned(),
                accepted_at: values::millis(row.accepted_at),
                ciphertext: row.ciphertext.bytes,
            })
        });
        Ok(messages.collect::<Result<_, DbError>>()?)
    }

    async fn invites(&mut self) -> Result<Vec<InviteRecord>, StoreError> {
        Ok(self.unused_invites().await?)
    }

    async fn retired_names(&mut self) -> Result<Vec<[u8; 32]>, StoreError> {
        Ok(self.retired().await?)
    }

    async fn moved_away(&mut self) -> Result<(), StoreError> {
        let note = doc! { "$set": { "_id": MOVED } };
        self.db.meta.update_one(doc! { "_id": MOVED }, note).upsert(true).await.map_err(DbError::from)?;
        Ok(())
    }
}

impl MongoTransfer {
    /// Returns accounts with ids above `after`, ascending.
    async fn accounts_after(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<MovedAccount>, DbError> {
        let mut rest = doc! { "erased_at": null };
        if let Some(after) = after {
            rest.insert("_id", doc! { "$gt": values::account(after) });
        }
        let find = self.db.accounts.find(rest).sort(doc! { "_id": 1 }).limit(values::limit(limit));
        let found: Vec<Account> = find.await?.try_collect().await?;
        let mut accounts = Vec::with_capacity(found.len());
        for account in found {
            let id = account.account()?;
            let earlier = doc! { "account": &account.id, "version": { "$lt": account.list_version } };
            let find = self.db.lists.find(earlier).sort(doc! { "version": 1 });
            let earlier: Vec<ListRow> = find.await?.try_collect().await?;
            let mut lists: Vec<_> =
                earlier.into_iter().map(|list| (list.version.cast_unsigned(), list.encoded.bytes)).collect();
            lists.push((account.list_version.cast_unsigned(), account.list.bytes.clone()));
            let mut sessions = account.sessions.iter().map(|one| session(id, one)).collect::<Result<Vec<_>, _>>()?;
            sessions.sort_by_key(|session| *session.id.as_bytes());
            accounts.push(MovedAccount {
                id,
                username: Username::parse(&account.username).map_err(|_| DbError::Corrupt("a name that cannot be"))?,
                name_hash: Some(values::fixed(&account.name_hash)?),
                password_hash: account.password_hash.clone(),
                created_at: values::millis(account.created_at),
                disabled_at: account.disabled_at.map(values::millis),
                lists,
                list_hash: values::fixed(&account.list_hash)?,
                devices: self.devices(&account).await?,
                sessions,
            });
        }
        Ok(accounts)
    }

    /// Returns the unused invites. One that an account is being created with is unused unless that account exists.
    async fn unused_invites(&self) -> Result<Vec<InviteRecord>, DbError> {
        let all: Vec<Invite> = self.db.invites.find(doc! {}).sort(doc! { "_id": 1 }).await?.try_collect().await?;
        let mut invites = Vec::new();
        for invite in all {
            if let Some(account) = &invite.account
                && self.db.accounts.find_one(doc! { "_id": account }).await?.is_some()
            {
                continue;
            }
            invites.push(invite.record()?);
        }
        Ok(invites)
    }

    /// Returns the hashes of retired names, including those of erased accounts whose note still exists.
    async fn retired(&self) -> Result<Vec<[u8; 32]>, DbError> {
        let wrong = || DbError::Corrupt("a retired name of another form");
        let mut names = Vec::new();
        let mut found = self.db.retired.find(doc! {}).await?;
        while let Some(name) = found.try_next().await? {
            let Some(Bson::Binary(hash)) = name.get("_id") else { return Err(wrong()) };
            names.push(values::fixed(hash)?);
        }
        let mut found = self.db.accounts.find(doc! { "erased_at": { "$gte": 0_i64 } }).await?;
        while let Some(account) = found.try_next().await? {
            names.push(values::fixed(&account.name_hash)?);
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// Returns the devices of an account, with their prekeys and notices.
    async fn devices(&self, account: &Account) -> Result<Vec<MovedDevice>, DbError> {
        let of_account = || doc! { "account": &account.id };
        let hot: Vec<Hot> = self.db.devices.find(of_account()).await?.try_collect().await?;
        let mut hot: BTreeMap<_, _> = hot.into_iter().map(|hot| (hot.id.bytes.clone(), hot)).collect();
        let keys: Vec<Prekeys> = self.db.prekeys.find(of_account()).await?.try_collect().await?;
        let mut keys: BTreeMap<_, _> = keys.into_iter().map(|keys| (keys.id.bytes.clone(), keys)).collect();
        let mut devices = Vec::new();
        for device in &account.devices {
            let address = values::join(account.account()?, device.id, &device.registration)?;
            let id = values::address(&address).bytes;
            let hot = hot.remove(&id).unwrap_or_else(|| Hot::new(&address, device.since));
            let keys = keys.remove(&id);
            devices.push(MovedDevice {
                address,
                identity: device.identity_key()?,
                last_seen_at: values::millis(hot.last_seen_at.max(device.since)),
                key_epoch: keys.as_ref().map_or(Ok(FIRST_KEY_EPOCH.0), |keys| values::small(keys.key_epoch))?,
                max_issued_id: keys.as_ref().map_or(Ok(0), |keys| values::small(keys.max_issued))?,
                connection_epoch: hot.epoch.cast_unsigned(),
                highest_number: hot.highest.cast_unsigned(),
                window: values::fixed(&hot.window)?,
                signed_prekey: keys.as_ref().and_then(|keys| keys.signed.as_ref()).map(Signed::value).transpose()?,
                one_time_prekeys: keys.map_or(0, |keys| u64::try_from(keys.one_time.len()).unwrap_or(u64::MAX)),
                notices: self.notices(&address).await?,
            });
        }
        devices.sort_by_key(|device| device.address.device);
        Ok(devices)
    }

    /// Returns the notices of a device.
    async fn notices(&self, to: &DeviceAddress) -> Result<Vec<MovedNotice>, DbError> {
        let found: Vec<Notice> =
            self.db.notices.find(in_queue(to)).sort(doc! { "row": 1 }).await?.try_collect().await?;
        found.iter().map(notice).collect()
    }
}

/// Returns a notice as it moves.
fn notice(notice: &Notice) -> Result<MovedNotice, DbError> {
    let code = |code| u8::try_from(code).map_err(|_| DbError::Corrupt("a notice of an unknown kind"));
    let mut numbers: Vec<u64> = notice.numbers.iter().map(|number| number.cast_unsigned()).collect();
    numbers.sort_unstable();
    Ok(MovedNotice {
        kind: code(notice.kind)?,
        reason: code(notice.reason)?,
        peer: values::to_address(&notice.peer)?,
        count: values::count(notice.count),
        numbers,
        created_at: values::millis(notice.created_at),
        sealed: notice.sealed,
    })
}

/// Returns a session as it moves.
fn session(account: AccountId, session: &Session) -> Result<MovedSession, DbError> {
    let previous = session.previous.as_ref().map(values::fixed).transpose()?;
    Ok(MovedSession {
        id: SessionId::from_bytes(values::fixed(&session.id)?),
        address: values::join(account, session.device, &session.registration)?,
        refresh_hash: RefreshTokenHash::from_bytes(values::fixed(&session.refresh)?),
        previous_hash: previous.map(RefreshTokenHash::from_bytes),
        generation: values::small(session.generation)?,
        created_at: values::millis(session.created_at),
        last_used_at: values::millis(session.last_used_at),
        ended: session.ended_at.is_some(),
    })
}
