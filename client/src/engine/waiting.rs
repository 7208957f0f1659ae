//! The commands that have not ended, and what each of them waits for.

use std::collections::BTreeMap;

use sealpost_api::ids::SessionId;
use sealpost_api::password::Password;
use sealpost_api::username::Username;

use super::command::{CommandError, CommandId, InvalidCommand, Outcome};

/// What a command that has not ended waits for.
#[derive(Debug)]
pub(crate) enum Waiting {
    /// The pending account request.
    Account,
    /// The answer for an outbox item.
    Send {
        /// The item's position.
        item: u64,
    },
    /// The look-up of a name.
    LookUp(Username),
    /// A welcome.
    Online,
    /// The account's own lists.
    OwnLists,
    /// The own list that is being published.
    Publish {
        /// Whether it adds a device.
        added: bool,
    },
    /// The password change.
    Password,
    /// A prekey upload.
    Rotation,
    /// A request of its own.
    Call(Call),
}

/// A command that is one request.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    /// Ends this log-in.
    Logout,
    /// Deletes the account.
    Delete(Password),
    /// Asks for all that the server holds.
    Export,
    /// Lists the log-ins.
    Sessions,
    /// Ends one log-in.
    EndSession(SessionId),
    /// Ends every log-in.
    EndAll,
    /// Asks what the server holds of the prekeys.
    KeyStatus,
}

/// How a command begins.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, on the stack")]
pub(crate) enum Begun {
    /// It waits for something.
    Waits(Waiting),
    /// It ended at once.
    Done(Outcome),
    /// It cannot be carried out.
    Failed(CommandError),
}

impl From<InvalidCommand> for Begun {
    fn from(invalid: InvalidCommand) -> Self {
        Self::Failed(invalid.into())
    }
}

impl From<InvalidCommand> for CommandError {
    fn from(invalid: InvalidCommand) -> Self {
        Self::Invalid(invalid)
    }
}

/// The commands that have not ended.
#[derive(Default)]
pub(crate) struct Commands {
    waiting: BTreeMap<CommandId, Waiting>,
}

impl Commands {
    /// Lets a command wait.
    pub(crate) fn wait(&mut self, id: CommandId, waiting: Waiting) {
        self.waiting.insert(id, waiting);
    }

    /// Ends the wait of a command.
    pub(crate) fn end(&mut self, id: CommandId) {
        self.waiting.remove(&id);
    }

    /// Returns what a command waits for.
    pub(crate) fn get(&self, id: CommandId) -> Option<&Waiting> {
        self.waiting.get(&id)
    }

    /// Returns all commands with what they wait for.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (CommandId, &Waiting)> {
        self.waiting.iter().map(|(id, waiting)| (*id, waiting))
    }

    /// Returns the command that waits for an outbox item.
    pub(crate) fn sender_of(&self, position: u64) -> Option<CommandId> {
        self.iter()
            .find(|(_, waiting)| matches!(waiting, Waiting::Send { item } if *item == position))
            .map(|(id, _)| id)
    }

    /// Returns the names that commands wait to have looked up.
    pub(crate) fn looked_up(&self) -> impl Iterator<Item = &Username> {
        self.waiting.values().filter_map(|waiting| if let Waiting::LookUp(name) = waiting { Some(name) } else { None })
    }
}
