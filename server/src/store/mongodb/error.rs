//! What can go wrong with MongoDB, and what the services are told of it.
//!
//! The texts name the kind of the failure and the server's code, never its message, which may quote values.

use mongodb::error::{Error, ErrorKind, WriteFailure};

use crate::store::error::StoreError;

/// The server's code for: another document has the same unique key.
const DUPLICATE_KEY: i32 = 11_000;

/// The server's code for: the disk is full.
const OUT_OF_DISK_SPACE: i32 = 14_031;

/// Why an operation on the database gave no answer.
#[derive(Debug)]
pub(super) enum DbError {
    /// A document holds something that cannot be true.
    Corrupt(&'static str),
    /// Other nodes changed the same document again and again.
    Contended,
    /// The database knows an older state than it had confirmed, as for a moment after an election.
    Behind,
    /// The operation took too long and was given up.
    Slow,
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
            DbError::Behind => Self::Unavailable("MongoDB has not caught up with what it confirmed".into()),
            DbError::Slow => Self::Unavailable("MongoDB took too long".into()),
            DbError::Mongo(error) => match &*error.kind {
                ErrorKind::BsonDeserialization(_) | ErrorKind::Bson(_) => {
                    Self::Corrupt("a document has another form than it was written with")
                }
                _ if code(&error) == Some(OUT_OF_DISK_SPACE) => Self::DiskFull,
                // Without an answer it is unknown whether the step was done; and after a refusal, the steps before it may
                // still have been done.
                _ => Self::Unavailable(describe(&error).into()),
            },
        }
    }
}

/// Returns the error of an operation that may have been done in part: whatever went wrong, "nothing was changed" would
/// be false.
pub(super) fn in_part(error: DbError) -> StoreError {
    match StoreError::from(error) {
        StoreError::Unavailable(why) => StoreError::Unavailable(why),
        other => StoreError::Unavailable(other.to_string().into()),
    }
}

/// Returns the server's code, if it gave one.
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

/// Returns whether another document has the same unique key.
pub(super) fn is_duplicate(error: &Error) -> bool {
    code(error) == Some(DUPLICATE_KEY)
}

/// Returns which documents an `insert_many` refused, each with whether another document has its unique key; the rest is
/// written. `None` if more than that failed.
pub(super) fn refused(error: &Error) -> Option<Vec<(usize, bool)>> {
    let ErrorKind::InsertMany(many) = &*error.kind else { return None };
    let writes = many.write_errors.as_ref()?;
    let refused = writes.iter().map(|write| (write.index, write.code == DUPLICATE_KEY));
    many.write_concern_error.is_none().then(|| refused.collect())
}

/// Describes the failure in a few words, without the server's message.
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
