//! What an engine asks of its vault. An adapter answers: `sqlite`, or a test's vault in memory.

use zeroize::Zeroizing;

use super::error::VaultError;

/// A keyed map of the vault. The number is part of the stored form and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Table {
    /// Single records: session, counters, server.
    Meta = 1,
    /// The account's and the device's keys.
    Identity = 2,
    /// Contacts by account id.
    Contact = 3,
    /// Ratchet sessions by device address.
    Session = 4,
    /// Received messages that wait to be shown.
    Inbox = 5,
    /// Private halves of prekeys.
    Prekey = 6,
    // 7 is not used.
    /// Requests that are stored before they are sent.
    Request = 8,
    /// Sealed frames by number.
    Sealed = 9,
    /// What this device knows of each remote device.
    Peer = 10,
    /// Numbers and hashes that were delivered.
    Seen = 11,
    /// Messages that were shown.
    Shown = 12,
    /// Records of what was sent, by number.
    Sent = 13,
}

impl Table {
    /// Returns how an error names the table.
    #[cfg(feature = "vault")]
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Meta => "table of facts",
            Self::Identity => "table of identities",
            Self::Contact => "table of contacts",
            Self::Session => "table of sessions",
            Self::Inbox => "inbox",
            Self::Prekey => "table of prekeys",
            Self::Request => "table of requests",
            Self::Sealed => "table of sealed frames",
            Self::Peer => "table of peers",
            Self::Seen => "table of numbers",
            Self::Shown => "table of shown messages",
            Self::Sent => "table of sent messages",
        }
    }
}

/// An append-only list of the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Log {
    /// Messages in and out.
    History = 1,
    /// Messages that wait to be sent.
    Outbox = 2,
    /// Notices, each of which is shown once.
    Notice = 3,
}

impl Log {
    /// Returns how an error names the list.
    #[cfg(feature = "vault")]
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::History => "history",
            Self::Outbox => "outbox",
            Self::Notice => "list of notices",
        }
    }
}

/// A value read from the vault, wiped when dropped.
pub type Value = Zeroizing<Vec<u8>>;

/// One open transaction.
pub trait VaultTransaction {
    /// Returns the value of a key.
    ///
    /// # Errors
    /// [`VaultError`]
    fn get(&mut self, table: Table, key: &[u8]) -> Result<Option<Value>, VaultError>;
    /// Sets the value of a key.
    ///
    /// # Errors
    /// [`VaultError`]
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), VaultError>;
    /// Removes a key. Returns whether it was there.
    ///
    /// # Errors
    /// [`VaultError`]
    fn delete(&mut self, table: Table, key: &[u8]) -> Result<bool, VaultError>;
    /// Returns all keys and values of a small table.
    ///
    /// # Errors
    /// [`VaultError`]
    fn entries(&mut self, table: Table) -> Result<Vec<(Value, Value)>, VaultError>;
    /// Returns how many keys a table has.
    ///
    /// # Errors
    /// [`VaultError`]
    fn count(&mut self, table: Table) -> Result<u64, VaultError>;
    /// Appends a value. Returns its position, which rises and is never used again.
    ///
    /// # Errors
    /// [`VaultError`]
    fn append(&mut self, log: Log, value: &[u8]) -> Result<u64, VaultError>;
    /// Replaces the value at a position.
    ///
    /// # Errors
    /// [`VaultError`]
    fn replace(&mut self, log: Log, position: u64, value: &[u8]) -> Result<(), VaultError>;
    /// Removes the value at a position. Returns whether it was there.
    ///
    /// # Errors
    /// [`VaultError`]
    fn remove(&mut self, log: Log, position: u64) -> Result<bool, VaultError>;
    /// Returns at most `limit` values from a position on, ascending.
    ///
    /// # Errors
    /// [`VaultError`]
    fn read(&mut self, log: Log, from: u64, limit: usize) -> Result<Vec<(u64, Value)>, VaultError>;
    /// Returns at most `limit` values before a position, descending.
    ///
    /// # Errors
    /// [`VaultError`]
    fn read_back(&mut self, log: Log, before: u64, limit: usize) -> Result<Vec<(u64, Value)>, VaultError>;
    /// Returns the last position that holds a value.
    ///
    /// # Errors
    /// [`VaultError`]
    fn last(&mut self, log: Log) -> Result<Option<u64>, VaultError>;
}
