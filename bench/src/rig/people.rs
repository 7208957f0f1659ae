//! Accounts with one device each, and their access tokens.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use sealpost_api::encoding::RefreshToken;
use sealpost_api::frames::{ClientFrame, Copy, Send, SendKind};
use sealpost_api::ids::MessageNumber;
use sealpost_api::password::AccessToken;
use sealpost_api::server::ServerInfo;
use sealpost_api::sessions::{LoginRequest, SessionGrant};
use sealpost_crypto::{DeviceAddress, UnixMillis};
use sealpost_harness::people::{Account, Device};

use super::http::Http;
use super::server::Server;

mod fill;

pub(crate) use fill::fill;

/// Everybody's; what it is does not matter to what a hash of it costs.
const PASSWORD: &str = "a password of the bench";

/// Somebody with an account, one device and a session.
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) address: DeviceAddress,
    device: Device,
    access: Option<AccessToken>,
}

impl Person {
    fn new(account: Account) -> Self {
        Self { name: account.name, address: account.device.address, device: account.device, access: None }
    }

    /// The access token.
    pub(crate) fn token(&self) -> Result<&str> {
        Ok(self.access.as_ref().context("nobody has asked for an access token yet")?.reveal())
    }

    /// A log-in with a new session.
    pub(crate) fn login_request(&self, info: &ServerInfo) -> LoginRequest {
        self.device.login_request_anew(info.server_id.0, &self.name, PASSWORD)
    }

    async fn refresh(&mut self, http: &Http, info: &ServerInfo) -> Result<()> {
        let next = RefreshToken::from_bytes(rand::random());
        let request = self.device.refresh_request(info.server_id.0, &self.device.refresh, next.hash());
        let body = http.call("POST", "/v1/sessions/refresh", None, &serde_json::to_string(&request)?).await?;
        let grant: SessionGrant = serde_json::from_slice(&body)?;
        (self.device.refresh, self.access) = (next, Some(grant.access_token));
        Ok(())
    }
}

/// A message to this device.
pub(crate) fn message(to: &DeviceAddress, number: u64, ciphertext: Bytes) -> ClientFrame {
    let copy = Copy { device: to.device, registration: to.registration, ciphertext };
    let kind = SendKind::Message;
    ClientFrame::Send(Send { number: MessageNumber(number), to: to.account, kind, copies: vec![copy] })
}

/// What the server says of itself.
pub(crate) async fn server_info(http: &Http) -> Result<ServerInfo> {
    Ok(serde_json::from_slice(&http.call("GET", "/v1/server", None, "").await?)?)
}

/// Registers people over HTTP, one after the other: each costs the server a password hash.
pub(crate) async fn register(server: &Server, count: usize) -> Result<Vec<Person>> {
    let http = Http::connect(server.connector()?).await?;
    let info = server_info(&http).await?;
    let mut people = Vec::with_capacity(count);
    for number in 0..count {
        let account = Account::new(&format!("person{number}"));
        let request = account.registration((info.server_id.0, UnixMillis(info.now)), PASSWORD, []);
        let request = serde_json::to_string(&request)?;
        let body = http.call("POST", "/v1/accounts", None, &request).await?;
        let grant: SessionGrant = serde_json::from_slice(&body)?;
        people.push(Person { access: Some(grant.access_token), ..Person::new(account) });
    }
    Ok(people)
}

/// New access tokens for everybody.
pub(crate) async fn refresh(server: &Server, people: &mut [Person]) -> Result<()> {
    /// Calls that wait for the disk together.
    const AT_ONCE: usize = 32;
    let info = server_info(&Http::connect(server.connector()?).await?).await?;
    let share = people.len().div_ceil(AT_ONCE).max(1);
    let shares = people.chunks_mut(share).map(async |share| {
        let http = Http::connect(server.connector()?).await?;
        for person in share {
            person.refresh(&http, &info).await?;
        }
        anyhow::Ok(())
    });
    futures_util::future::try_join_all(shares).await?;
    Ok(())
}
