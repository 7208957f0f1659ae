use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sealpost_server::store::StoreObserver;
use sealpost_server::store::embedded::{EmbeddedOptions, EmbeddedStore};

use crate::world::{Person, S, rows};

/// Tries, of which a machine that is busy with other things may spoil some.
const TRIES: u64 = 40;

/// How many operations each transaction had.
#[derive(Debug, Default)]
struct Transactions(Mutex<Vec<usize>>);

impl StoreObserver for Transactions {
    fn committed(&self, operations: usize, _: Duration) {
        self.0.lock().push(operations);
    }
}

#[tokio::test]
async fn an_acknowledgement_goes_with_the_transaction_of_a_message_that_comes_soon_after() {
    let folder = tempfile::tempdir().unwrap();
    let transactions = Arc::new(Transactions::default());
    let observer: Arc<dyn StoreObserver> = Arc::<Transactions>::clone(&transactions);
    let options = EmbeddedOptions { reserve_bytes: 0, observer, ..EmbeddedOptions::default() };
    let store: S = Arc::new(EmbeddedStore::open(&folder.path().join("data"), &options, &[7; 32]).unwrap());
    let (alice, bob) = (Person::register(&store, "alice", 1).await, Person::register(&store, "bobby", 1).await);
    let mut together = 0;
    let mut last = rows(alice.devices[0].send(&store, 1, &bob, "the first").await);
    for number in 2..2 + TRIES {
        transactions.0.lock().clear();
        let send = async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            rows(alice.devices[0].send(&store, number, &bob, "another").await)
        };
        let (acknowledged, sent) = tokio::join!(bob.devices[0].ack(&store, &last), send);
        assert_eq!(acknowledged, Some(1));
        together += usize::from(*transactions.0.lock() == [2]);
        last = sent;
    }
    assert!(together > 10, "{together} of {TRIES} acknowledgements shared a transaction");
    // Without company it is written all the same.
    transactions.0.lock().clear();
    assert_eq!(bob.devices[0].ack(&store, &last).await, Some(1));
    assert_eq!(*transactions.0.lock(), [1]);
}
