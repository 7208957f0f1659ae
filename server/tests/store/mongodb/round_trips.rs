//! What goes over the wire to the database, counted there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use sealpost_server::store::AcceptOutcome;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::mongodb::support::{any, open};
use crate::world::{NOW, Person, rows};
use sealpost_harness::database::Database;

/// Commands by name.
type Counts = Arc<Mutex<BTreeMap<String, usize>>>;

/// A way to the database on which every command is counted. What the database says of its own address leads here too.
async fn counted(database: &str) -> (String, Counts) {
    let (listener, here) = loop {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap().to_string();
        // The answers keep their lengths.
        if here.len() == database.len() {
            break (listener, here);
        }
    };
    let counts = Counts::default();
    let (database, address, counting) = (database.to_owned(), here.clone(), Arc::clone(&counts));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (from_client, to_client) = client.into_split();
            let (from_database, to_database) = TcpStream::connect(&database).await.unwrap().into_split();
            tokio::spawn(pass(from_client, to_database, Some(Arc::clone(&counting)), None));
            let names = Some((database.clone(), address.clone()));
            tokio::spawn(pass(from_database, to_client, None, names));
        }
    });
    (here, counts)
}

/// Passes messages on until one side is gone.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    counts: Option<Counts>,
    names: Option<(String, String)>,
) -> Option<()> {
    loop {
        let mut message = vec![0; 16];
        from.read_exact(&mut message).await.ok()?;
        let length = u32::from_le_bytes(message[..4].try_into().unwrap());
        message.resize(length as usize, 0);
        from.read_exact(&mut message[16..]).await.ok()?;
        if let Some(counts) = &counts {
            // Header, flags, kind of section, length of its document, type of its first element, and then its name.
            let name = message.get(26..).unwrap_or_default().split(|byte| *byte == 0).next().unwrap();
            *counts.lock().unwrap().entry(String::from_utf8_lossy(name).into_owned()).or_default() += 1;
        }
        if let Some((name, other)) = &names {
            let places: Vec<_> = (0..message.len()).filter(|at| message[*at..].starts_with(name.as_bytes())).collect();
            for at in places {
                message[at..at + other.len()].copy_from_slice(other.as_bytes());
            }
        }
        to.write_all(&message).await.ok()?;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_messages_and_acks_at_once_share_their_round_trips() {
    const PAIRS: usize = 24;
    const EACH: u64 = 8;
    const MESSAGES: usize = PAIRS * EACH as usize;
    let folder = tempfile::tempdir().unwrap();
    let database = Database::start(folder.path(), 0).unwrap();
    let listens = database.address().to_owned();
    let (way, counts) = counted(&listens).await;
    let store = open(&format!("mongodb://{way}/sealpost"), 1).await;
    let s = any(&store);
    let (mut senders, mut recipients) = (Vec::new(), Vec::new());
    for pair in 0..PAIRS {
        senders.push(Person::register(&s, &format!("sender{pair}"), 1).await);
        recipients.push(Person::register(&s, &format!("recipient{pair}"), 1).await);
    }
    let taken = || std::mem::take(&mut *counts.lock().unwrap());
    let before = taken();
    assert!(before["insert"] >= 2 * PAIRS, "all goes this way: {before:?}");
    let pairs = || senders.iter().zip(&recipients);
    let sends = pairs().flat_map(|(sender, recipient)| {
        let copy = recipient.devices[0].copy("hello");
        (1..=EACH).map(move |number| (sender.devices[0].accept(number, recipient.id, vec![copy.clone()]), NOW))
    });
    let outcomes = join_all(sends.map(|(accept, now)| s.accept(accept, now))).await;
    let mut queued = Vec::new();
    for outcome in outcomes {
        let outcome = outcome.unwrap();
        assert!(matches!(outcome, AcceptOutcome::Accepted { .. }), "{outcome:?}");
        queued.extend(rows(outcome));
    }
    let sending = taken();
    // Four lanes, each with a batch of what came first and one or two of the rest.
    let most = |name: &str, most: usize| {
        let count = sending.get(name).copied().unwrap_or_default();
        assert!(count <= most, "{name}: {count} of at most {most} for {MESSAGES} messages; {sending:?}");
    };
    most("insert", 16);
    most("update", 16);
    most("find", 3 * 16);
    most("findAndModify", 3 * PAIRS);
    let acks = recipients.iter().zip(queued.chunks(EACH as usize));
    for acked in join_all(acks.map(|(recipient, ids)| recipient.devices[0].ack(&s, ids))).await {
        assert_eq!(acked, Some(EACH));
    }
    let acking = taken();
    let count = |name: &str| acking.get(name).copied().unwrap_or_default();
    assert!(count("update") <= 6, "{acking:?}");
    assert!(count("delete") <= PAIRS && count("find") <= PAIRS + 6, "{acking:?}");
    println!("{MESSAGES} messages: {sending:?}\n{PAIRS} acks: {acking:?}");
}
