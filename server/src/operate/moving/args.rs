//! The arguments of `move`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;

use crate::base::config::{StoreAddress, StoreAddressError, read_store_address};
use crate::store::factory::Location;

/// `sealpost-server move`.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
EXAMPLES
  From one machine to a cluster, with the server stopped:
      sealpost-server move --from embedded:/var/lib/sealpost --to-file /etc/sealpost/store
  And back, with all nodes stopped:
      sealpost-server move --from-file /etc/sealpost/store --source-is-stopped --to embedded:/var/lib/sealpost

Accounts with their passwords, device lists with their history, signed prekeys, sessions, queued messages, notices, invites and retired
names are carried, and then both stores are read again and compared by counts and a hash. The source stays as it is, but for a note
that keeps servers from starting on it. One-time prekeys are not carried, because none may be given twice; every key epoch rises, so that devices upload new ones by themselves.

The keys that the server keeps in files stay in files: start it on the target with the same data folder (or secrets) as before. A move that
was killed is taken up by running it again; a target that holds anything else is refused. Nobody is logged out.")]
pub struct MoveArgs {
    /// The store to copy: embedded:DIR or mongodb://…. Put an address with a password into --from-file, because others
    /// on this machine can see arguments
    #[arg(long, value_name = "STORE", required_unless_present = "from_file", conflicts_with = "from_file")]
    pub from: Option<MoveAddress>,
    /// A file that contains the value of --from
    #[arg(long, value_name = "FILE")]
    pub from_file: Option<PathBuf>,
    /// The store to fill, in which nothing was ever stored: embedded:DIR or mongodb://…
    #[arg(long, value_name = "STORE", required_unless_present = "to_file", conflicts_with = "to_file")]
    pub to: Option<MoveAddress>,
    /// A file that contains the value of --to
    #[arg(long, value_name = "FILE")]
    pub to_file: Option<PathBuf>,
    /// The folder with retired_names.key [default: the folder of the embedded store].
    #[arg(long, value_name = "DIR")]
    pub secrets: Option<PathBuf>,
    /// Confirm that no node uses the source, and none will until this is done; needed for MongoDB, where the program
    /// cannot be sure
    #[arg(long)]
    pub source_is_stopped: bool,
    /// Print one JSON object a line.
    #[arg(long)]
    pub json: bool,
}

/// A store to move. It can contain a password, so it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub enum MoveAddress {
    /// In this folder.
    Folder(PathBuf),
    /// On a database server: its connection string.
    Server(String),
}

impl fmt::Debug for MoveAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => formatter.debug_tuple("Folder").field(path).finish(),
            Self::Server(_) => formatter.write_str("Server(..)"),
        }
    }
}

impl FromStr for MoveAddress {
    type Err = StoreAddressError;

    fn from_str(text: &str) -> Result<Self, StoreAddressError> {
        match text.trim().strip_prefix("embedded:") {
            Some("") => Err(StoreAddressError::NoFolder),
            Some(folder) => Ok(Self::Folder(folder.into())),
            None => match text.parse()? {
                StoreAddress::DataFolder => Err(StoreAddressError::NoFolder),
                StoreAddress::Server(address) => Ok(Self::Server(address)),
            },
        }
    }
}

impl From<MoveAddress> for Location {
    fn from(address: MoveAddress) -> Self {
        match address {
            MoveAddress::Folder(folder) => Self::Folder(folder),
            MoveAddress::Server(address) => Self::Server(address),
        }
    }
}

impl MoveAddress {
    /// Returns the named store, or the one in the file.
    ///
    /// # Errors
    /// [`StoreAddressError`] if there is no valid address.
    pub fn of(named: Option<&Self>, file: Option<&Path>) -> Result<Self, StoreAddressError> {
        match (named, file) {
            (Some(named), _) => Ok(named.clone()),
            (None, Some(file)) => read_store_address(file)?.parse(),
            (None, None) => Err(StoreAddressError::Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_to_move_names_its_folder_and_shows_no_password() {
        let parse = |text: &str| text.parse::<MoveAddress>();
        assert_eq!(parse("embedded:/var/lib/sealpost\n").unwrap(), MoveAddress::Folder("/var/lib/sealpost".into()));
        let mongo = parse("mongodb://u:hunter2@db/sealpost").unwrap();
        assert!(!format!("{mongo:?}").contains("hunter2"));
        for text in ["embedded", "embedded:"] {
            assert!(parse(text).unwrap_err().to_string().contains("embedded:/var/lib/sealpost"), "{text}");
        }
        assert!(!parse("postgres://u:hunter2@db").unwrap_err().to_string().contains("hunter2"));
    }
}
