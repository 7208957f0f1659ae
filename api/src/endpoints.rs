//! The list of every endpoint, for routes, documents and tests that go through all of them.

use crate::endpoint::{Metadata, Visitor};

/// Every endpoint, by resource. A path that another one with parameters would match, too, stands before that one.
pub const ENDPOINTS: &[&[Metadata]] = &[
    crate::server::ENDPOINTS,
    crate::accounts::ENDPOINTS,
    crate::devices::ENDPOINTS,
    crate::prekeys::ENDPOINTS,
    crate::sessions::ENDPOINTS,
    crate::stream::ENDPOINTS,
];

/// Returns every endpoint, in the order in which paths are matched.
pub fn all() -> impl Iterator<Item = &'static Metadata> {
    ENDPOINTS.iter().copied().flatten()
}

/// Visits every endpoint with its types.
pub fn visit(visitor: &mut impl Visitor) {
    crate::server::visit(visitor);
    crate::accounts::visit(visitor);
    crate::devices::visit(visitor);
    crate::prekeys::visit(visitor);
    crate::sessions::visit(visitor);
    crate::stream::visit(visitor);
}
