//! Comparing secrets and their hashes.

use subtle::ConstantTimeEq as _;

/// Returns whether two byte strings are the same, in a time that does not depend on where they differ.
#[must_use]
pub fn same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}
