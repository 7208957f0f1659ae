//! The rules of the server: who can do what, in which order it is checked, and who learns about it.
//!
//! Nothing here knows actix or a database. Time, randomness, store, relay and limits are passed in with [`Core`], so
//! that a test with its own clock can run all of it.

use std::sync::Arc;

use sealpost_api::ids::SessionId;
use sealpost_api::server::RegistrationPolicy;
use sealpost_crypto::{AccountId, DeviceAddress, UnixMillis};

use crate::domain::clock::{Clock, Random};
use crate::relay::{Hint, Relay};
use crate::store::{QueueLimits, Store};

pub mod accounts;
pub mod admin;
pub mod devices;
pub mod error;
mod expiry;
pub mod hub;
mod keys;
pub mod limiter;
pub mod metrics;
pub mod nodes;
pub mod passwords;
pub mod places;
pub mod prekeys;
pub mod sessions;
pub mod stream;
pub mod tokens;

pub use error::ServiceError;
pub use metrics::{NoMetrics, ServiceMetrics};

use hub::{CloseReason, Hub, Notice};
use limiter::Limiter;
use passwords::Passwords;
use stream::StreamSettings;
use tokens::Tokens;

/// The operator's choices that the services need.
#[derive(Clone, Debug)]
pub struct ServiceSettings {
    /// Who can register.
    pub registration: RegistrationPolicy,
    /// The key of the hash under which the names of deleted accounts stay retired: 32 random bytes, kept as long as the
    /// store. With another key every retired name could be registered again.
    pub retired_names_key: RetiredNamesKey,
    /// The quotas of the queues.
    pub queue: QueueLimits,
    /// The times of the streams.
    pub stream: StreamSettings,
}

pub(crate) use accounts::retired_name;

/// See [`ServiceSettings::retired_names_key`]. A secret: it has no readable `Debug`.
#[derive(Clone)]
pub struct RetiredNamesKey([u8; 32]);

impl RetiredNamesKey {
    /// Wraps the key's 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl Drop for RetiredNamesKey {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

impl std::fmt::Debug for RetiredNamesKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("RetiredNamesKey(..)")
    }
}

/// Everything that the services use. It is built once at the start.
pub struct Core {
    /// The store, which is the truth.
    pub store: Arc<dyn Store>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The source of salts, invites and request ids.
    pub random: Arc<dyn Random>,
    /// The streams of this node.
    pub hub: Arc<Hub>,
    /// The way of hints to other nodes.
    pub relay: Arc<dyn Relay>,
    /// The rate limits.
    pub limiter: Limiter,
    /// Issues and checks access tokens.
    pub tokens: Tokens,
    /// Hashes passwords.
    pub passwords: Passwords,
    /// The counters.
    pub metrics: Arc<dyn ServiceMetrics>,
    /// The operator's choices.
    pub settings: ServiceSettings,
}

impl Core {
    /// Ends the streams of logins that have ended, here and on every other node.
    pub fn end_sockets(&self, sessions: &[SessionId]) {
        if !sessions.is_empty() {
            self.hub.close_sessions(sessions, CloseReason::SessionEnded);
            self.relay.publish(Hint::SessionsEnded(sessions.to_vec()));
        }
    }

    /// Tells devices on any node that their queue has something new.
    pub fn wake(&self, devices: &[DeviceAddress]) {
        for address in devices {
            self.hub.wake(address);
            self.relay.publish(Hint::Wake(*address));
        }
    }

    /// Tells an account's devices that it has a new device list.
    pub fn announce_device_list(&self, account: AccountId, version: u64) {
        self.hub.notify_account(&account, Notice::DeviceListChanged { account, version });
        self.relay.publish(Hint::DeviceListChanged(account));
    }
}

/// The services, which are cheap to clone. Each resource has a file with its methods.
#[derive(Clone)]
pub struct Services {
    core: Arc<Core>,
}

impl Services {
    /// Creates the services over a core.
    #[must_use]
    pub fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Returns what the services use.
    #[must_use]
    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Checks that the store takes writes.
    ///
    /// # Errors
    /// The error that a write would get.
    pub async fn ready(&self) -> Result<(), ServiceError> {
        Ok(self.core.store.ready().await?)
    }
}

/// The authenticated device that calls, with a live login. Only [`Services::authenticate`] creates one, so that no
/// service that takes it can be called without authentication.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caller {
    /// The account.
    pub account: AccountId,
    /// The device, of that account.
    pub address: DeviceAddress,
    /// The login.
    pub session: SessionId,
    /// The login's generation.
    pub generation: u32,
    /// When the access token expires.
    pub expires_at: UnixMillis,
}
