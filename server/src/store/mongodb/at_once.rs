//! Running many steps of one kind concurrently.

use futures_util::{StreamExt as _, stream};

/// Steps of one kind that are under way at once.
pub(super) const AT_ONCE: usize = 32;

/// Runs these, some at a time. Returns their results in any order.
pub(super) async fn at_once<T>(operations: Vec<impl Future<Output = T>>) -> Vec<T> {
    stream::iter(operations).buffer_unordered(AT_ONCE).collect().await
}
