//! The documents, as `migrations/mongodb` describes them.

pub(super) mod accounts;
pub(super) mod devices;
pub(super) mod meta;
pub(super) mod prekeys;
pub(super) mod queue;
