//! What can go wrong with MongoDB, and what the services are told of it.
//!
//! The texts name the kind of the failure and the server's code, never its message: that may quote values.

use mongodb::error::{Error, ErrorKind, WriteFailure};

use crate::store::StoreError;

/// Another document has the same unique key.
const DUPLICATE_KEY: i32 = 11_000;
/// The server has no room on its disk.
const OUT_OF_DISK_SPACE: i32 = 14_031;

/// Why an operation on the database gave no answer.
#[derive(Debug)]
pub(super) enum DbError {
    /// A document cannot be true.
    Corrupt(&'static str),
    /// Others changed the same document again and again.
    Contended,
    /// The driver's own error.
    Mongo(Box<Error>),
}

impl From<Error> for DbError {
    fn from(error: Error) -> Self {
        Self::Mongo(Box::new(error))
    }
}

impl From<DbError> for StoreError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Corrupt(what) => Self::Corrupt(what),
            DbError::Contended => Self::Busy,
            DbError::Mongo(error) => match &*error.kind {
                ErrorKind::BsonDeserialization(_) | ErrorKind::Bson(_) => {
                    Self::Corrupt("a document has another form than it was written with")
                }
                _ if code(&error) == Some(OUT_OF_DISK_SPACE) => Self::DiskFull,
                // Whether it was done is open whenever the answer is missing, and after an answer that says no the
                // steps before it may still have been done.
                _ => Self::Unavailable(describe(&error).into()),
            },
        }
    }
}

/// The server's code, where it gave one.
fn code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(command) => Some(command.code),
        ErrorKind::Write(WriteFailure::WriteError(write)) => Some(write.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(write)) => Some(write.code),
        ErrorKind::InsertMany(many) => many
            .write_errors
            .iter()
            .flatten()
            .map(|write| write.code)
            .chain(many.write_concern_error.iter().map(|error| error.code))
            .find(|code| *code != DUPLICATE_KEY),
        _ => None,
    }
}

/// Whether another document has the same unique key.
pub(super) fn is_duplicate(error: &Error) -> bool {
    code(error) == Some(DUPLICATE_KEY)
}

/// Which of the documents of an `insert_many` have a unique key that others have; `None` when that is not all that failed.
pub(super) fn duplicates(error: &Error) -> Option<Vec<usize>> {
    let ErrorKind::InsertMany(many) = &*error.kind else { return None };
    let writes = many.write_errors.as_ref()?;
    (many.write_concern_error.is_none() && writes.iter().all(|write| write.code == DUPLICATE_KEY))
        .then(|| writes.iter().map(|write| write.index).collect())
}

/// The failure in a few words, without the server's message.
pub(super) fn describe(error: &Error) -> String {
    let kind = match &*error.kind {
        ErrorKind::Authentication { .. } => "MongoDB refused the name or password",
        ErrorKind::Io(_) => "the connection to MongoDB broke",
        ErrorKind::ConnectionPoolCleared { .. } => "the connections to MongoDB were closed",
        ErrorKind::ServerSelection { .. } => "no MongoDB primary can be reached",
        ErrorKind::DnsResolve { .. } => "MongoDB's host name cannot be resolved",
        ErrorKind::InvalidTlsConfig { .. } => "the TLS settings for MongoDB cannot be used",
        ErrorKind::Shutdown => "the store is closed",
        ErrorKind::Write(WriteFailure::WriteConcernError(_)) => {
            "a majority of MongoDB's members did not confirm in time"
        }
        _ => "MongoDB refused",
    };
    let name = match &*error.kind {
        ErrorKind::Command(command) => command.code_name.as_str(),
        _ => "",
    };
    match code(error) {
        Some(code) if name.is_empty() => format!("{kind} (code {code})"),
        Some(code) => format!("{kind} ({name}, code {code})"),
        None => kind.to_owned(),
    }
}
