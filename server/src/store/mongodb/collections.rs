//! The steps on each collection, which the operations are made of.

pub(super) mod accounts;
pub(super) mod devices;
pub(super) mod invites;
pub(super) mod listings;
pub(super) mod notices;
pub(super) mod prekeys;
pub(super) mod rows;
pub(super) mod sessions;
