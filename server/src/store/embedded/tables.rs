//! The statements on each table. They know nothing of threads and transactions.

pub(super) mod accounts;
pub(super) mod columns;
pub(super) mod device_lists;
pub(super) mod devices;
pub(super) mod invites;
pub(super) mod notices;
pub(super) mod prekeys;
pub(super) mod row_ids;
pub(super) mod sessions;
