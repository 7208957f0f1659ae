//! All commands: the one list. A command is a file with its arguments and what it does; it is named here, and nowhere else.

mod chat;
mod completions;
mod contacts;
mod delete_account;
mod devices;
mod export;
mod history;
mod keys;
mod login;
mod logout;
mod password;
mod receive;
mod register;
mod send;
mod sessions;
mod status;
mod verify;
mod whoami;

use clap::Subcommand;

use crate::run::Typed;
use crate::task::Entry;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Register(register::Register),
    Login(login::Login),
    Logout(logout::Logout),
    Password(password::ChangePassword),
    DeleteAccount(delete_account::DeleteAccount),
    Export(export::Export),
    Send(send::Send),
    Receive(receive::Receive),
    Chat(chat::Chat),
    History(history::History),
    Contacts(contacts::Contacts),
    Verify(verify::Verify),
    Whoami(whoami::Whoami),
    Devices(devices::Devices),
    Sessions(sessions::Sessions),
    Keys(keys::Keys),
    Status(status::Status),
    Completions(completions::Completions),
}

/// How a command is run.
pub(crate) enum Kind {
    /// With a profile.
    Profile(Box<dyn Typed>),
    /// With the definition of the command line alone.
    Completions(completions::Completions),
}

impl Command {
    /// Returns how the command is run.
    pub(crate) fn kind(self) -> Kind {
        Kind::Profile(match self {
            Self::Register(command) => Box::new(command),
            Self::Login(command) => Box::new(command),
            Self::Logout(command) => Box::new(command),
            Self::Password(command) => Box::new(command),
            Self::DeleteAccount(command) => Box::new(command),
            Self::Export(command) => Box::new(command),
            Self::Send(command) => Box::new(command),
            Self::Receive(command) => Box::new(command),
            Self::Chat(command) => Box::new(command),
            Self::History(command) => Box::new(command),
            Self::Contacts(command) => Box::new(command),
            Self::Verify(command) => Box::new(command),
            Self::Whoami(command) => Box::new(command),
            Self::Devices(command) => Box::new(command),
            Self::Sessions(command) => Box::new(command),
            Self::Keys(command) => Box::new(command),
            Self::Status(command) => Box::new(command),
            Self::Completions(command) => return Kind::Completions(command),
        })
    }
}

/// What the owner of a profile carries out for other processes.
pub(crate) const TASKS: &[Entry] = &[
    Entry::of::<register::Task>(),
    Entry::of::<login::Task>(),
    Entry::of::<logout::Logout>(),
    Entry::of::<password::Task>(),
    Entry::of::<delete_account::Task>(),
    Entry::of::<export::Task>(),
    Entry::of::<send::Task>(),
    Entry::of::<receive::Receive>(),
    Entry::of::<history::History>(),
    Entry::of::<contacts::Contacts>(),
    Entry::of::<verify::Verify>(),
    Entry::of::<whoami::Whoami>(),
    Entry::of::<devices::List>(),
    Entry::of::<devices::Remove>(),
    Entry::of::<sessions::List>(),
    Entry::of::<sessions::End>(),
    Entry::of::<sessions::EndAll>(),
    Entry::of::<keys::Keys>(),
    Entry::of::<status::Status>(),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_keep_their_names_on_the_socket() {
        let names: Vec<_> = TASKS.iter().map(|entry| entry.name).collect();
        let known = [
            "register",
            "login",
            "logout",
            "change_password",
            "delete_account",
            "export",
            "send",
            "receive",
            "history",
            "contacts",
            "verify",
            "whoami",
            "devices",
            "remove_device",
            "sessions",
            "end_session",
            "end_all_sessions",
            "keys",
            "status",
        ];
        assert_eq!(names, known);
    }
}
