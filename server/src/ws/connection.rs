//! The end of a connection whose stream has ended. actix writes an answer to its end before it closes, however long the peer
//! takes none of it; a peer that never reads would keep its connection, and what waits for it, for ever.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::Notify;

tokio::task_local! {
    static CURRENT: Ending;
}

/// Ends one connection.
#[derive(Clone)]
pub(super) struct Ending(Arc<Notify>);

impl Ending {
    /// Of the connection that is being served; `None` where connections are not served by [`until_ended`].
    pub(super) fn of_this_connection() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Closes it, whatever it has still to write.
    pub(super) fn now(&self) {
        self.0.notify_one();
    }
}

/// Serves a connection to its end, or until the stream on it demands the end: `None` then, and all of it is dropped.
pub async fn until_ended<F: Future>(served: F) -> Option<F::Output> {
    let ending = Ending(Arc::new(Notify::new()));
    tokio::select! {
        output = CURRENT.scope(ending.clone(), served) => Some(output),
        () = ending.0.notified() => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_ends_when_its_stream_says_so() {
        assert_eq!(until_ended(async { 7 }).await, Some(7));
        let endless = until_ended(async {
            Ending::of_this_connection().unwrap().now();
            std::future::pending::<()>().await
        });
        assert_eq!(endless.await, None);
        assert!(Ending::of_this_connection().is_none());
    }
}
