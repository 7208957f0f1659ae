//! Accounts put into a store that no server has open, where thousands over HTTPS would take an hour of password hashes.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use futures_util::stream::{StreamExt as _, iter};
use sealpost_api::username::Username;
use sealpost_crypto::UnixMillis;
use sealpost_harness::people::Account;
use sealpost_server::store::embedded::{EmbeddedOptions, EmbeddedStore};
use sealpost_server::store::mongodb::MongoStore;
use sealpost_server::store::{CreateAccount, DeviceKeys, NewAccount, NewSession, Store};

use super::Person;
use crate::rig::server::Server;

/// Accounts that wait for the disk together.
const AT_ONCE: usize = 512;
/// Stands where a password hash would: these people never log in.
const NO_PASSWORD: &str = "";

/// Puts people with accounts, devices and sessions into the store.
pub(crate) async fn fill(server: &Server, count: usize) -> Result<Vec<Person>> {
    let now = UnixMillis(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?);
    let store: Arc<dyn Store> = match server.database() {
        Some(address) => {
            let mut random = [0; 48];
            rand::fill(&mut random);
            Arc::new(MongoStore::open(address, &random, now).await?)
        }
        None => Arc::new(EmbeddedStore::open(&server.data(), &EmbeddedOptions::default(), &rand::random())?),
    };
    let made = iter((0..count).map(|number| create(&store, number, now))).buffered(AT_ONCE);
    let people: Vec<Result<Person>> = made.collect().await;
    store.close().await;
    people.into_iter().collect()
}

async fn create(store: &Arc<dyn Store>, number: usize, now: UnixMillis) -> Result<Person> {
    let account = Account::new(&format!("filled{number}"));
    let device = &account.device;
    let session = NewSession { id: device.session, address: device.address, refresh_hash: device.refresh.hash() };
    let stored = NewAccount {
        username: Username::parse(&account.name)?,
        username_hash: rand::random(),
        password_hash: NO_PASSWORD.to_owned(),
        device_list: account.list.clone(),
        keys: DeviceKeys {
            device: device.address.device,
            signed_prekey: device.made_prekey(1, now),
            one_time_prekeys: Vec::new(),
        },
        session,
        invite_hash: None,
    };
    match store.create_account(stored, now).await? {
        CreateAccount::Created => Ok(Person::new(account)),
        other => bail!("an account could not be put into the store: {other:?}"),
    }
}
