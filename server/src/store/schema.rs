//! Versions of a database's schema.

/// How far a database's schema is from the newest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaStatus {
    /// The database's version; 0 while there is no database.
    pub current: i64,
    /// The newest version that this program knows.
    pub newest: i64,
    /// The names of the versions between the two.
    pub missing: Vec<&'static str>,
}
