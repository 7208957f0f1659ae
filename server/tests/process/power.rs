//! Power cuts: copies of a disk as it is while the server stands still, each started from anew.
//!
//! The disk is a file system in a file. What the server wrote and did not sync is in the kernel's cache of that file system,
//! and so not in the file: a copy of the file holds what a power cut would leave.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clap::Parser as _;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rustix::process::Signal;
use sealpost_api::frames::ServerFrame;
use sealpost_crypto::DeviceAddress;
use sealpost_server::process::cli::{Cli, Command as ServerCommand};
use sealpost_server::process::settings::load;
use sealpost_server::process::{logging, serve};
use sealpost_server::store::embedded::{EmbeddedOptions, EmbeddedStore};
use sealpost_server::store::{QueueItem, QueueStore as _};

use super::image::{Disk, run};
use super::world::{Client, Person, Running, World};

/// Arguments of a server that never syncs, for this test run as a child.
const NEVER_SYNC: &str = "SEALPOST_TEST_NEVER_SYNC";
const SENDERS: usize = 3;

type Accepted = Arc<Mutex<BTreeSet<(DeviceAddress, u64)>>>;

/// Sends for ever; notes what was accepted once the answer has been read.
async fn send(client: Client, from: Person, to: Arc<Person>, accepted: Accepted) {
    let mut socket = client.connect(&from).await;
    while socket.frame().await != ServerFrame::Drained {}
    for number in 1.. {
        socket.send(number, &to, &format!("text {number}")).await;
        match socket.frame().await {
            ServerFrame::Sent(sent) => accepted.lock().unwrap().insert((from.address, sent.number.0)),
            other => panic!("{other:?}"),
        };
    }
}

/// Stops every thread of the server, each once its system call is over.
fn stand_still(server: &Running) {
    server.signal(Signal::STOP);
    let stopped = |task: &Path| {
        let state = fs::read_to_string(task.join("stat")).unwrap();
        state.rsplit(')').next().unwrap().starts_with(" T")
    };
    let begin = Instant::now();
    while !fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap().all(|task| stopped(&task.unwrap().path())) {
        assert!(begin.elapsed() < Duration::from_secs(60), "it does not stand still");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What a store that starts from this copy holds for the recipient; an error when it does not start.
async fn found(copy: &Path, to: DeviceAddress) -> Result<BTreeSet<(DeviceAddress, u64)>, String> {
    let disk = Disk::mount(copy.to_owned(), copy.with_extension("mounted"));
    let options = EmbeddedOptions { reserve_bytes: 0, ..EmbeddedOptions::default() };
    let store = EmbeddedStore::open(&disk.data(), &options, &[7; 32]).map_err(|error| error.to_string())?;
    let wrong = store.verify().await.map_err(|error| error.to_string())?;
    if !wrong.is_empty() {
        return Err(wrong.join("; "));
    }
    let items = store.undelivered(to, &BTreeSet::new(), usize::MAX, usize::MAX).await.unwrap();
    drop(store);
    drop(disk);
    Ok(items
        .into_iter()
        .filter_map(|item| match item {
            QueueItem::Message { from, number, .. } => Some((from, number.0)),
            _ => None,
        })
        .collect())
}

/// What the cuts of one server came to.
#[derive(Debug, Default)]
struct Cuts {
    accepted: usize,
    lost: usize,
    refused: Vec<String>,
}

/// Cuts the power of a server under load this many times.
async fn cut(count: usize, start: impl FnOnce(&mut World, &str) -> Running) -> Cuts {
    let place = World::new();
    let disk = Disk::new(&place.file("."), 96);
    let mut world = World::with_data(disk.data());
    let limits = ["send_pair", "connect_device"];
    let limits = limits.map(|name| format!("[limits.{name}]\nburst = 100000\ntokens = 100000\nper_seconds = 1\n"));
    let config = "[store]\nreserve_bytes = 4194304\n[queue]\nmessages_max = 1000000\nsender_messages_max = 1000000\n";
    fs::write(world.file("c.toml"), format!("{config}{}", limits.concat())).unwrap();
    let config = world.file("c.toml").display().to_string();
    let server = start(&mut world, &config);
    let client = server.client();
    let bob = Arc::new(client.register("bob", "correct horse battery").await);
    let accepted = Accepted::default();
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..SENDERS {
        let person = client.register(&format!("sender{sender}"), "correct horse battery").await;
        senders.spawn(send(client.clone(), person, Arc::clone(&bob), Arc::clone(&accepted)));
    }
    // The accounts are not what is lost here.
    run("sync", &["-f", disk.mount.to_str().unwrap()]);
    let mut cuts = Cuts::default();
    let mut random = StdRng::seed_from_u64(count as u64);
    for cut in 0..count {
        let enough = accepted.lock().unwrap().len() + random.random_range(10..80);
        while accepted.lock().unwrap().len() < enough {
            assert!(senders.try_join_next().is_none(), "a sender ended");
            tokio::time::sleep(Duration::from_micros(random.random_range(200..3_000))).await;
        }
        stand_still(&server);
        let before = accepted.lock().unwrap().clone();
        let copy = place.file(&format!("cut{cut}.img"));
        run("cp", &["--sparse=always", disk.image.to_str().unwrap(), copy.to_str().unwrap()]);
        server.signal(Signal::CONT);
        match found(&copy, bob.address).await {
            Ok(after) => cuts.lost += before.difference(&after).count(),
            Err(refused) => cuts.refused.push(refused),
        }
        cuts.accepted = before.len();
        fs::remove_file(copy).unwrap();
    }
    senders.shutdown().await;
    cuts
}

/// The control: the same server without a single sync.
fn start_without_syncs(world: &mut World, config: &str) -> Running {
    let name = "power::threat_15_power_cuts_lose_nothing_that_was_accepted";
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", &format!("{NEVER_SYNC}=\"$*\" exec \"$0\" --exact {name} --nocapture")])
        .arg(std::env::current_exe().unwrap())
        .args(["sealpost-server", "serve", "--listen", "127.0.0.1:0", "--config", config, "--data"])
        .arg(world.data());
    world.start_command(command)
}

fn serve_without_syncs(arguments: &str) {
    let ServerCommand::Serve(arguments) = Cli::parse_from(arguments.split(' ')).command else { panic!("no server") };
    let mut config = load(*arguments.clone()).unwrap();
    config.store.never_sync = true;
    let log = logging::begin(&config.log).unwrap();
    serve::run(config, *arguments, log).unwrap();
}

#[test]
fn threat_15_power_cuts_lose_nothing_that_was_accepted() {
    if let Ok(arguments) = std::env::var(NEVER_SYNC) {
        return serve_without_syncs(&arguments);
    }
    // `SEALPOST_POWER_CUTS=50` is the long form.
    let count = std::env::var("SEALPOST_POWER_CUTS").map_or(8, |text| text.parse().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let cuts =
        runtime.block_on(cut(count, |world, config| world.start(&["--listen", "127.0.0.1:0", "--config", config])));
    println!("{count} cuts: {cuts:?}");
    assert!(cuts.refused.is_empty(), "it does not open by itself: {:?}", cuts.refused);
    assert_eq!(cuts.lost, 0, "accepted and lost, of {} accepted", cuts.accepted);
    let control = runtime.block_on(cut(3, start_without_syncs));
    println!("3 cuts without syncs: {control:?}");
    assert!(control.lost > 0 || !control.refused.is_empty(), "these cuts show nothing: {control:?}");
}
