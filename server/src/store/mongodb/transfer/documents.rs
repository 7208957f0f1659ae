//! The documents of what is moved into the database.

use std::collections::BTreeMap;

use mongodb::Collection;
use mongodb::bson::oid::ObjectId;

use crate::store::mongodb::documents::accounts::{Account, Device, Session};
use crate::store::mongodb::documents::devices::Hot;
use crate::store::mongodb::documents::meta::ListRow;
use crate::store::mongodb::documents::prekeys::{Prekeys, Signed};
use crate::store::mongodb::documents::queue::Notice;
use crate::store::mongodb::error::DbError;
use crate::store::mongodb::values;
use crate::store::transfer::{MovedAccount, MovedDevice, MovedSession};

/// Inserts documents; does not call the database if there are none.
pub(super) async fn insert<T: serde::Serialize + Send + Sync>(
    into: &Collection<T>,
    all: Vec<T>,
) -> Result<(), DbError> {
    if !all.is_empty() {
        into.insert_many(all).await?;
    }
    Ok(())
}

/// Returns the lists before the current one, which is in the account.
pub(super) fn earlier_lists(account: &MovedAccount) -> impl Iterator<Item = ListRow> + '_ {
    let earlier = account.lists.split_last().map_or(&[][..], |(_, earlier)| earlier);
    earlier.iter().map(|(version, encoded)| ListRow {
        account: values::account(account.id),
        version: version.cast_signed(),
        encoded: values::binary(encoded),
    })
}

/// Returns the document of an account.
pub(super) fn document(moved: &MovedAccount) -> Result<Account, DbError> {
    let (version, list) = moved.lists.last().ok_or(DbError::Corrupt("an account without a device list"))?;
    let name_hash = moved.name_hash.ok_or(DbError::Corrupt("an account without the hash of its name"))?;
    let mut account = Account {
        id: values::account(moved.id),
        username: moved.username.as_str().to_owned(),
        name_hash: values::binary(&name_hash),
        ids: Vec::new(),
        password_hash: moved.password_hash.clone(),
        created_at: values::time(moved.created_at),
        disabled_at: moved.disabled_at.map(values::time),
        erased_at: None,
        rev: 1,
        list_version: version.cast_signed(),
        list_hash: values::binary(&moved.list_hash),
        list: values::binary(list),
        devices: moved.devices.iter().map(listed).collect(),
        sessions: moved.sessions.iter().map(session_of).collect(),
        removing: Vec::new(),
    };
    account.index();
    Ok(account)
}

/// Returns the document of a device, without counters.
pub(super) fn hot(device: &MovedDevice) -> Hot {
    Hot {
        epoch: device.connection_epoch.cast_signed(),
        highest: device.highest_number.cast_signed(),
        window: values::binary(&device.window),
        ..Hot::new(&device.address, values::time(device.last_seen_at))
    }
}

/// Returns the document of prekeys of a device.
pub(super) fn prekeys_of(device: &MovedDevice) -> Prekeys {
    Prekeys {
        id: values::address(&device.address),
        account: values::account(device.address.account),
        key_epoch: i64::from(device.key_epoch),
        max_issued: i64::from(device.max_issued_id),
        signed: device.signed_prekey.as_ref().map(Signed::new),
        one_time: Vec::new(),
        taken: None,
        begun: ObjectId::new(),
        removed: false,
    }
}

/// Returns the notices of a device.
pub(super) fn notices_of(device: &MovedDevice) -> Vec<Notice> {
    let mut turns: BTreeMap<(u8, u8, Vec<u8>), i64> = BTreeMap::new();
    let notices = device.notices.iter().zip(1_i64..).map(|(notice, row)| {
        let peer = values::address(&notice.peer);
        let turn = turns.entry((notice.kind, notice.reason, peer.bytes.clone())).or_default();
        *turn = turn.saturating_add(1);
        Notice {
            id: ObjectId::new(),
            account: values::account(device.address.account),
            to: values::device(&device.address),
            row,
            kind: i32::from(notice.kind),
            reason: i32::from(notice.reason),
            peer,
            numbers: notice.numbers.iter().map(|number| number.cast_signed()).collect(),
            recent: Vec::new(),
            count: values::number(notice.count),
            created_at: values::time(notice.created_at),
            turn: *turn,
            sealed: notice.sealed,
        }
    });
    notices.collect()
}

/// Returns a device as it is in the account.
fn listed(device: &MovedDevice) -> Device {
    Device {
        id: i32::from(device.address.device.get()),
        registration: values::binary(device.address.registration.as_bytes()),
        identity: values::binary(device.identity.as_bytes()),
        since: values::time(device.last_seen_at),
    }
}

/// Returns a session as it is in the account.
fn session_of(session: &MovedSession) -> Session {
    let last_used_at = values::time(session.last_used_at);
    Session {
        id: values::binary(session.id.as_bytes()),
        device: i32::from(session.address.device.get()),
        registration: values::binary(session.address.registration.as_bytes()),
        refresh: values::binary(session.refresh_hash.as_bytes()),
        previous: session.previous_hash.as_ref().map(|hash| values::binary(hash.as_bytes())),
        generation: i64::from(session.generation),
        created_at: values::time(session.created_at),
        last_used_at,
        ended_at: session.ended.then_some(last_used_at),
    }
}
