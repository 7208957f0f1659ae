//! The streams of this node, each with a bounded mailbox.
//!
//! The hub wakes streams and never waits. A row that does not fit into a mailbox stays in the store, and the mailbox
//! notes that there is more. The hub knows mailboxes only; the driver of a stream empties them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use sealpost_api::ids::{ConnectionEpoch, SessionId};
use sealpost_crypto::{AccountId, DeviceAddress};
use sealpost_sabotage::{Countermeasure, refuses};

use crate::store::QueueItem;

mod mailbox;

pub use mailbox::{CloseReason, Letters, Mailbox, Notice};

/// Identifies a connection within this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId(u64);

#[derive(Debug)]
struct Entry {
    connection: ConnectionId,
    address: DeviceAddress,
    session: SessionId,
    /// The connection's epoch, `None` until the store has made it durable. Rows are offered to active connections only.
    epoch: Option<ConnectionEpoch>,
    mailbox: Arc<Mailbox>,
}

#[derive(Debug, Default)]
struct Registry {
    next_connection: u64,
    /// The connections of each account. There are few: its devices, and streams that are being replaced.
    accounts: HashMap<AccountId, Vec<Entry>>,
    sessions: HashMap<SessionId, (AccountId, usize)>,
    connections: usize,
    stopping: bool,
}

/// The streams of this node, behind one short lock under which nothing is awaited.
#[derive(Debug, Default)]
pub struct Hub {
    registry: Mutex<Registry>,
}

/// A place in the hub, which is freed when dropped.
#[derive(Debug)]
pub struct Registration {
    hub: Arc<Hub>,
    connection: ConnectionId,
    account: AccountId,
    /// The mailbox of this connection.
    pub mailbox: Arc<Mailbox>,
}

/// Why a connection got no place in the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
    /// The account has the most streams allowed.
    #[error("the account has too many sockets")]
    TooMany,
}

/// The most streams of one account on one node: eight devices, each with one stream and one that is about to replace
/// it.
pub const ACCOUNT_SOCKETS_MAX: usize = 16;

impl Hub {
    /// Creates an empty hub.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a new connection its mailbox. This happens before its epoch exists, so that the end of its login is not
    /// missed.
    ///
    /// # Errors
    /// [`RegisterError`] if the node is stopping or the account has too many streams.
    pub fn register(
        self: &Arc<Self>,
        address: DeviceAddress,
        session: SessionId,
    ) -> Result<Registration, RegisterError> {
        let mut registry = self.registry.lock();
        if registry.stopping {
            return Err(RegisterError::Stopping);
        }
        let taken = registry.accounts.get(&address.account).map_or(0, Vec::len);
        if refuses(Countermeasure::ConnectionLimits, taken >= ACCOUNT_SOCKETS_MAX) {
            return Err(RegisterError::TooMany);
        }
        registry.next_connection = registry.next_connection.wrapping_add(1);
        let connection = ConnectionId(registry.next_connection);
        let mailbox = Arc::new(Mailbox::default());
        let entry = Entry { connection, address, session, epoch: None, mailbox: Arc::clone(&mailbox) };
        registry.accounts.entry(address.account).or_default().push(entry);
        registry.sessions.entry(session).or_insert((address.account, 0)).1 += 1;
        registry.connections = registry.connections.saturating_add(1);
        drop(registry);
        Ok(Registration { hub: Arc::clone(self), connection, account: address.account, mailbox })
    }

    /// Offers a row that has just become durable to the device's stream, if it has one here.
    pub fn offer(&self, address: &DeviceAddress, item: QueueItem) -> bool {
        let registry = self.registry.lock();
        match registry.active(address) {
            Some(entry) => {
                entry.mailbox.offer(item);
                true
            }
            None => false,
        }
    }

    /// Tells the device's stream, if it has one here, that the store has something new for it.
    pub fn wake(&self, address: &DeviceAddress) -> bool {
        let registry = self.registry.lock();
        registry.active(address).map(|entry| entry.mailbox.wake()).is_some()
    }

    /// Wakes every stream, because hints may have been missed.
    pub fn wake_all(&self) {
        let registry = self.registry.lock();
        registry.accounts.values().flatten().for_each(|entry| entry.mailbox.wake());
    }

    /// Returns whether the device has a stream here.
    #[must_use]
    pub fn is_connected(&self, address: &DeviceAddress) -> bool {
        self.registry.lock().active(address).is_some()
    }

    /// Tells a fact to one device.
    pub fn notify(&self, address: &DeviceAddress, notice: Notice) {
        let registry = self.registry.lock();
        if let Some(entry) = registry.active(address) {
            entry.mailbox.notify(notice);
        }
    }

    /// Tells a fact to every connected device of an account.
    pub fn notify_account(&self, account: &AccountId, notice: Notice) {
        let registry = self.registry.lock();
        for entry in registry.accounts.get(account).into_iter().flatten() {
            entry.mailbox.notify(notice);
        }
    }

    /// Ends the streams of these logins. Once it returns, nothing more is accepted on them.
    pub fn close_sessions(&self, sessions: &[SessionId], reason: CloseReason) {
        let registry = self.registry.lock();
        for session in sessions {
            let Some((account, _)) = registry.sessions.get(session) else { continue };
            for entry in registry.accounts.get(account).into_iter().flatten() {
                if entry.session == *session {
                    entry.mailbox.close(reason);
                }
            }
        }
    }

    /// Ends the streams of a device.
    pub fn close_device(&self, address: &DeviceAddress, reason: CloseReason) {
        let registry = self.registry.lock();
        for entry in registry.accounts.get(&address.account).into_iter().flatten() {
            if entry.address == *address {
                entry.mailbox.close(reason);
            }
        }
    }

    /// Ends every stream and refuses new ones.
    pub fn stop(&self) {
        let mut registry = self.registry.lock();
        registry.stopping = true;
        registry.accounts.values().flatten().for_each(|entry| entry.mailbox.close(CloseReason::Stopping));
    }

    /// Returns the number of streams.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.registry.lock().connections
    }

    /// Returns the logins of all streams, including those whose epoch is not durable yet.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionId> {
        self.registry.lock().sessions.keys().copied().collect()
    }

    /// Returns whether a login has a stream here.
    #[must_use]
    pub fn has_session(&self, session: &SessionId) -> bool {
        self.registry.lock().sessions.contains_key(session)
    }

    /// Returns whether an account has a stream here.
    #[must_use]
    pub fn has_account(&self, account: &AccountId) -> bool {
        self.registry.lock().accounts.contains_key(account)
    }

    /// Returns the devices that have an open stream here, each once.
    #[must_use]
    pub fn devices(&self) -> Vec<DeviceAddress> {
        let registry = self.registry.lock();
        let open = registry.accounts.values().flatten().filter(|entry| entry.epoch.is_some());
        let devices: BTreeSet<_> = open.map(|entry| entry.address).collect();
        devices.into_iter().collect()
    }

    /// Ends the device's streams here that are older than its newest connection on any node.
    pub fn supersede(&self, address: &DeviceAddress, newest: ConnectionEpoch) {
        let registry = self.registry.lock();
        for entry in registry.accounts.get(&address.account).into_iter().flatten() {
            let older = entry.address == *address && entry.epoch.is_some_and(|epoch| epoch < newest);
            if refuses(Countermeasure::ConnectionEpoch, older) {
                entry.mailbox.close(CloseReason::Replaced);
            }
        }
    }
}

impl Registry {
    fn active(&self, address: &DeviceAddress) -> Option<&Entry> {
        let entries = self.accounts.get(&address.account)?;
        entries
            .iter()
            .filter(|entry| entry.address == *address && entry.epoch.is_some())
            .max_by_key(|entry| entry.epoch)
    }
}

impl Registration {
    /// Makes this the device's connection: rows are now offered to it, and the previous one is closed. If two open at
    /// once, the one with the higher epoch stays, in whatever order they get here.
    pub fn activate(&self, epoch: ConnectionEpoch) {
        let mut registry = self.hub.registry.lock();
        let Some(entries) = registry.accounts.get_mut(&self.account) else { return };
        let Some(address) = entries.iter().find(|entry| entry.connection == self.connection).map(|entry| entry.address)
        else {
            return;
        };
        for entry in entries.iter_mut().filter(|entry| entry.address == address) {
            if entry.connection == self.connection {
                entry.epoch = Some(epoch);
            }
        }
        let newest = entries.iter().filter(|entry| entry.address == address).filter_map(|entry| entry.epoch).max();
        for entry in entries.iter().filter(|entry| entry.address == address) {
            if refuses(Countermeasure::ConnectionEpoch, entry.epoch.is_some() && entry.epoch < newest) {
                entry.mailbox.close(CloseReason::Replaced);
            }
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut registry = self.hub.registry.lock();
        let Some(entries) = registry.accounts.get_mut(&self.account) else { return };
        let Some(index) = entries.iter().position(|entry| entry.connection == self.connection) else { return };
        let session = entries.swap_remove(index).session;
        if entries.is_empty() {
            registry.accounts.remove(&self.account);
        }
        if let Some((_, count)) = registry.sessions.get_mut(&session) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                registry.sessions.remove(&session);
            }
        }
        registry.connections = registry.connections.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests;
