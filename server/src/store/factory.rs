//! The one place that knows which back ends there are: it opens a store, of any kind, as the configuration says.

pub mod folder;
mod location;
mod opened;
mod schema;
mod transfer;

pub use self::location::Location;
pub use self::opened::{OpenError, OpenedStore, Settings};
pub use self::schema::{Examined, SchemaError, examine, migrate};
pub use self::transfer::{EndError, transfer_source, transfer_target};
