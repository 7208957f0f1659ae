use std::collections::BTreeSet;
use std::sync::Arc;

use sealpost_api::ids::{KeyEpoch, StoreId};
use sealpost_server::store::{
    AcceptOutcome, AccountStore as _, CreateAccount, OpenConnection, QueueLimits, Refusal, Store as _, UploadPrekeys,
};
use tokio::sync::Mutex;

use crate::mongodb::support::{any, open};
use crate::world::{LIMITS, NOW, Person, S, fresh, one_time, rows, size};
use sealpost_harness::database::Engine;

async fn three(address: &str) -> [S; 3] {
    [any(&open(address, 1).await), any(&open(address, 2).await), any(&open(address, 3).await)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_500_concurrent_registrations_on_three_nodes_gets_the_name() {
    let engine = Engine::shared().unwrap();
    let nodes = three(&engine.database()).await;
    let people: Vec<_> = (0..500).map(|_| Person::new("popular")).collect();
    let tasks: Vec<_> = people
        .iter()
        .zip(nodes.iter().cycle())
        .map(|(person, node)| {
            let (node, account) = (node.clone(), person.new_account());
            tokio::spawn(async move { node.create_account(account, NOW).await.unwrap() })
        })
        .collect();
    let mut winners = Vec::new();
    for (person, task) in people.iter().zip(tasks) {
        if task.await.unwrap() == CreateAccount::Created {
            winners.push(person.id);
        }
    }
    assert_eq!(winners.len(), 1);
    for node in &nodes {
        assert_eq!(node.account_by_name(&people[0].name).await.unwrap().unwrap().id, winners[0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threat_2_no_one_time_prekey_is_taken_twice_on_three_nodes() {
    // `SEALPOST_CLUSTER_TAKES=100000` is the long form.
    let takes = size("SEALPOST_CLUSTER_TAKES", 5_000);
    let engine = Engine::shared().unwrap();
    let nodes = three(&engine.database()).await;
    let alice = Person::register(&nodes[0], "alice", 1).await;
    let address = alice.devices[0].address;
    let taken = Arc::new(Mutex::new(BTreeSet::new()));
    let tasks: Vec<_> = (0..64 * nodes.len())
        .map(|task| {
            let (node, taken) = (nodes[task % nodes.len()].clone(), Arc::clone(&taken));
            tokio::spawn(async move {
                loop {
                    let bundle = node.take_bundle(address.account, address.device, true, NOW).await.unwrap().unwrap();
                    let mut taken = taken.lock().await;
                    if let Some(key) = bundle.one_time_prekey {
                        assert!(taken.insert(key.id.0), "{} was given twice", key.id.0);
                    }
                    if taken.len() >= takes {
                        return;
                    }
                }
            })
        })
        .collect();
    let mut next = 1;
    while tasks.iter().any(|task| !task.is_finished()) {
        let keys: Vec<_> = (next..next + 100).map(one_time).collect();
        // The same upload on two nodes at once, as after a lost answer.
        let upload = |node: &S| {
            let (node, keys) = (node.clone(), keys.clone());
            async move { node.upload_prekeys(address, KeyEpoch(1), keys, None).await.unwrap() }
        };
        let (one, two) = tokio::join!(upload(&nodes[1]), upload(&nodes[2]));
        if [one, two].contains(&UploadPrekeys::Stored) {
            next += 100;
        }
        tokio::task::yield_now().await;
    }
    for task in tasks {
        task.await.unwrap();
    }
    let taken = taken.lock().await;
    let left: BTreeSet<u32> = nodes[0].one_time_prekey_ids(address).await.unwrap().unwrap().into_iter().collect();
    assert!(taken.len() >= takes && taken.is_disjoint(&left));
    assert_eq!(taken.len() + left.len(), (next - 1) as usize, "taken and left are all that was uploaded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_on_another_node_ends_what_the_former_may_do() {
    let engine = Engine::shared().unwrap();
    let [one, two, _] = three(&engine.database()).await;
    let alice = Person::register(&one, "alice", 1).await;
    let mut bob = Person::register(&one, "bob", 1).await;
    let row = rows(alice.devices[0].send(&one, 1, &bob, "hello").await);
    let former = bob.devices[0].clone();
    bob.devices[0].connect(&two, NOW).await;
    assert!(bob.devices[0].epoch > former.epoch);
    assert_eq!(former.ack(&one, &row).await, None);
    assert!(!matches!(former.send(&one, 1, &alice, "late").await, AcceptOutcome::Accepted { .. }));
    assert_eq!(bob.devices[0].ack(&two, &row).await, Some(1));
    two.end_session(bob.id, bob.devices[0].session).await.unwrap();
    let opened = one.open_connection(bob.devices[0].address, bob.devices[0].session, 1, NOW).await.unwrap();
    assert_eq!(opened, OpenConnection::Refused, "a log-out on one node holds on the others");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_a_sender_who_moves_between_nodes_come_in_order() {
    let engine = Engine::shared().unwrap();
    let nodes = three(&engine.database()).await;
    let mut alice = Person::register(&nodes[0], "alice", 1).await;
    let bob = Person::register(&nodes[0], "bob", 1).await;
    for number in 1..=30 {
        let node = &nodes[number as usize % nodes.len()];
        alice.devices[0].connect(node, NOW).await;
        rows(alice.devices[0].send(node, number, &bob, "x").await);
    }
    let numbers: Vec<_> = bob.devices[0].texts(&nodes[2]).await.into_iter().map(|(_, number, _)| number).collect();
    assert!(numbers.iter().copied().eq(1..=30), "{numbers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_one_node_was_told_of_is_known_on_all() {
    let engine = Engine::shared().unwrap();
    let address = engine.database();
    let (one, two) = (open(&address, 1).await, open(&address, 2).await);
    let alice = Person::register(&any(&one), "alice", 1).await;
    let new = StoreId::from_bytes(fresh());
    assert_eq!(one.after_restore(new).await.unwrap().sessions, 1);
    let device = &alice.devices[0];
    let opened = any(&two).open_connection(device.address, device.session, 1, NOW).await.unwrap();
    assert_eq!((opened, two.store_id()), (OpenConnection::Refused, new));
    assert!(one.account(alice.id).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_that_fill_one_queue_keep_its_quota_and_every_senders_order() {
    const EACH: u64 = 12;
    let engine = Engine::shared().unwrap();
    let address = engine.database();
    let (first, nodes) = (open(&address, 4).await, three(&address).await);
    let bob = Person::register(&nodes[0], "bob", 2).await;
    let mut senders = Vec::new();
    for sender in 0..24 {
        senders.push(Person::register(&nodes[0], &format!("sender{sender}"), 1).await);
    }
    let sends = senders.iter().zip(nodes.iter().cycle()).flat_map(|(sender, node)| {
        (1..=EACH).map(|number| {
            let copies = bob.devices.iter().map(|device| device.copy("x")).collect();
            let mut accept = sender.devices[0].accept(number, bob.id, copies);
            accept.limits = QueueLimits { messages_max: 150, ..LIMITS };
            node.accept(accept, NOW)
        })
    });
    let mut queued = [0; 2];
    for outcome in futures_util::future::join_all(sends).await {
        match outcome.unwrap() {
            AcceptOutcome::Accepted { rows, .. } => {
                for (to, _) in rows {
                    queued[usize::from(to.device.get()) - 1] += 1;
                }
            }
            AcceptOutcome::Refused(Refusal::QueueFull | Refusal::QueueShare) => {}
            other => panic!("{other:?}"),
        }
    }
    for (device, queued) in bob.devices.iter().zip(queued) {
        assert!((100..=150).contains(&queued), "{queued}");
        let texts = device.texts(&nodes[2]).await;
        assert_eq!(texts.len(), queued);
        for sender in &senders {
            let of_sender = texts.iter().filter(|(from, ..)| *from == sender.devices[0].address);
            assert!(of_sender.map(|(_, number, _)| number).is_sorted());
        }
    }
    assert_eq!(first.verify().await.unwrap(), Vec::<String>::new());
}
