//! The stores behind the services: one trait per resource, with its contract, and any number of back ends.
//!
//! Every operation is **one atomic step that is safe to repeat**; there are no multi-step transactions to hold open.
//! What an operation reports as done is durable before it returns. Reads look at everything that was reported as done
//! before they began. A back end knows nothing of HTTP, sockets or limits beyond those that it is given. Time is always
//! an argument.
//!
//! Files of this folder import each other, never this index, so that no import leads back to where it came from.

mod accounts;
mod admin;
mod back_end;
mod connections;
mod device_lists;
mod devices;
pub mod embedded;
mod error;
pub mod factory;
mod filling;
mod findings;
mod invites;
pub mod mongodb;
mod nodes;
mod prekeys;
mod queue;
mod reasons;
mod schema;
mod sessions;
pub mod transfer;
mod watch;

pub use self::accounts::{AccountRecord, AccountStore, CreateAccount, Erased, NameMatch, NewAccount, Vacancy};
pub use self::admin::{AccountSummary, AdminStore, QueueSummary, StoreFigures};
pub use self::back_end::{AfterRestore, Store};
pub use self::connections::{ConnectionStore, OpenConnection};
pub use self::device_lists::{DeviceListStore, PublishList, PublishOutcome};
pub use self::devices::{DeviceRecord, DeviceStore};
pub use self::error::StoreError;
pub use self::findings::{Finding, Severity};
pub use self::invites::{InviteRecord, InviteStore};
pub use self::nodes::{DeviceGlance, Fact, NodeStore};
pub use self::prekeys::{DeviceKeys, PrekeyStore, TakenBundle, UploadPrekeys};
pub use self::queue::{AcceptOutcome, ExpiredRows, QueueItem, QueueStore};
pub use self::schema::SchemaStatus;
pub use self::sessions::{LogIn, NewSession, RotateRefreshToken, SessionRecord, SessionStore, StartSession};
pub use self::watch::{FileSizes, NoObserver, StoreObserver};
pub use crate::domain::accepting::{Accept, Refusal};
pub use crate::domain::quotas::QueueLimits;
