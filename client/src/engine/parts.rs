//! The parts of the engine. Each owns its state; none knows another.

use super::account::Account;
use super::directory::Directory;
use super::error::EngineError;
use super::inbox::Inbox;
use super::link::Link;
use super::outbox::Outbox;
use super::people::People;
use super::sessions::Sessions;
use super::timeline::Timeline;
use crate::vault::VaultTransaction;

/// All parts.
pub(crate) struct Parts {
    pub(crate) account: Account,
    pub(crate) directory: Directory,
    pub(crate) sessions: Sessions,
    pub(crate) outbox: Outbox,
    pub(crate) inbox: Inbox,
    pub(crate) timeline: Timeline,
    pub(crate) link: Link,
}

impl Parts {
    /// Reads what is in the vault.
    pub(crate) fn open(vault: &mut dyn VaultTransaction) -> Result<Self, EngineError> {
        Ok(Self {
            account: Account::open(vault)?,
            directory: Directory::open(vault)?,
            sessions: Sessions::new(),
            outbox: Outbox::open(vault)?,
            inbox: Inbox::open(vault)?,
            timeline: Timeline::open(vault)?,
            link: Link::default(),
        })
    }

    /// Writes what has changed.
    pub(crate) fn flush(&mut self, vault: &mut dyn VaultTransaction) -> Result<(), EngineError> {
        self.account.flush(vault)?;
        self.directory.flush(vault)?;
        self.sessions.flush(vault)?;
        self.outbox.flush(vault)?;
        self.inbox.flush(vault)?;
        self.timeline.flush(vault)
    }
}

/// Returns the view of the people that other parts are lent.
pub(crate) const fn people<'a>(account: &'a Account, directory: &'a Directory) -> People<'a> {
    People::new(account.me(), directory.contacts())
}
