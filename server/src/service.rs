//! The rules of the server: who may do what, in which order it is checked, and what is told to whom.
//!
//! Nothing here knows actix or a database. Time, randomness, store, relay and limits are handed in with [`Core`], so that
//! the whole of it can run inside a test that owns the clock.

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

/// What an operator chooses and the services need.
#[derive(Clone, Debug)]
pub struct ServiceSettings {
    /// Who may register.
    pub registration: RegistrationPolicy,
    /// Key of the hash under which the names of deleted accounts stay retired. 32 random bytes, kept for as long as the
    /// store: with another key, every retired name could be registered again.
    pub retired_names_key: RetiredNamesKey,
    /// Quotas of the queues.
    pub queue: QueueLimits,
    /// Times of the stream.
    pub stream: StreamSettings,
}

pub(crate) use accounts::retired_name;

/// See [`ServiceSettings::retired_names_key`]. A secret: it has no readable `Debug`.
#[derive(Clone)]
pub struct RetiredNamesKey([u8; 32]);

impl RetiredNamesKey {
    /// The key with these 32 bytes.
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

/// Everything that the services work with, built once at start.
pub struct Core {
    /// The truth.
    pub store: Arc<dyn Store>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Salts, invites and request ids.
    pub random: Arc<dyn Random>,
    /// The sockets of this node.
    pub hub: Arc<Hub>,
    /// Hints to other nodes.
    pub relay: Arc<dyn Relay>,
    /// Every rate limit.
    pub limiter: Limiter,
    /// Access tokens.
    pub tokens: Tokens,
    /// Password hashing.
    pub passwords: Passwords,
    /// Counters.
    pub metrics: Arc<dyn ServiceMetrics>,
    /// The operator's choices.
    pub settings: ServiceSettings,
}

impl Core {
    /// Ends the sockets of sessions that are over, here and on every other node.
    pub fn end_sockets(&self, sessions: &[SessionId]) {
        if !sessions.is_empty() {
            self.hub.close_sessions(sessions, CloseReason::SessionEnded);
            self.relay.publish(Hint::SessionsEnded(sessions.to_vec()));
        }
    }

    /// Tells devices, wherever they are connected, that their queue holds something new.
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

/// The services; cheap to clone. Their methods stand in one file a resource.
#[derive(Clone)]
pub struct Services {
    core: Arc<Core>,
}

impl Services {
    /// The services over this core.
    #[must_use]
    pub fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// What they work with.
    #[must_use]
    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Whether the store takes writes.
    ///
    /// # Errors
    /// What a write would be answered.
    pub async fn ready(&self) -> Result<(), ServiceError> {
        Ok(self.core.store.ready().await?)
    }
}

/// Who calls: an authenticated device with a live session. Only [`Services::authenticate`] makes one, so that a service
/// which takes it cannot be called without.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caller {
    /// The account.
    pub account: AccountId,
    /// The device, of that account.
    pub address: DeviceAddress,
    /// The session.
    pub session: SessionId,
    /// The session's generation.
    pub generation: u32,
    /// When the access token expires.
    pub expires_at: UnixMillis,
}
