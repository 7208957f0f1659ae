//! How many messages a second the embedded store accepts and drains here, and what each costs in processor time.
//!
//! `cargo run --release -p sealpost-server --example store_rate -- [MESSAGES] [IN_FLIGHT]`: 1 KiB each, every one durable
//! before its answer, between 64 devices.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::{StreamExt as _, iter};
use sealpost_api::frames::{Copy, Send, SendKind};
use sealpost_api::ids::{ConnectionEpoch, MessageNumber, RefreshTokenHash, RowId, SessionId};
use sealpost_api::username::Username;
use sealpost_crypto::{
    AccountId, AccountIdentityKeyPair, DeviceAddress, DeviceEntry, DeviceId, DeviceIdentityKeyPair, DeviceList,
    DeviceListBody, PrekeyPublic, RegistrationId, Signature, SignedPrekey, SignedPrekeyId, UnixMillis,
};
use sealpost_server::store::embedded::{EmbeddedOptions, EmbeddedStore};
use sealpost_server::store::{
    Accept, AcceptOutcome, DeviceKeys, NewAccount, NewSession, OpenConnection, QueueLimits, Store,
};

const DEVICES: u8 = 64;
const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const LIMITS: QueueLimits = QueueLimits {
    messages_max: u64::MAX,
    bytes_max: u64::MAX,
    sender_messages_max: u64::MAX,
    dormant_after_millis: u64::MAX,
};

type Connected = (DeviceAddress, ConnectionEpoch);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let messages = arguments.next().transpose()?.unwrap_or(100_000);
    let in_flight = usize::try_from(arguments.next().transpose()?.unwrap_or(512))?;
    let folder = std::env::temp_dir().join(format!("sealpost-store-rate-{}", std::process::id()));
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&folder, &EmbeddedOptions::default(), &[1; 32])?);
    let mut devices = Vec::new();
    for number in 0..DEVICES {
        devices.push(register(&*store, number).await?);
    }
    let ciphertext = Bytes::from(vec![0x5a; 1024]);
    let sends = (0..messages).filter_map(|message| {
        let number = usize::try_from(message).ok()?;
        let from = devices.get(number % devices.len())?;
        let to = devices.get(number.wrapping_mul(7).wrapping_add(1) % devices.len())?;
        let copy = Copy { device: to.0.device, registration: to.0.registration, ciphertext: ciphertext.clone() };
        let sequence = message / u64::from(DEVICES) + 1;
        Some(Accept {
            from: from.0,
            epoch: from.1,
            send: Send {
                number: MessageNumber(sequence),
                to: to.0.account,
                kind: SendKind::Message,
                copies: if from.0 == to.0 { Vec::new() } else { vec![copy] },
            },
            rate: Ok(()),
            limits: LIMITS,
        })
    });
    let clock = Clock::start();
    let mut accepting = iter(sends.map(|accept| store.accept(accept, NOW))).buffered(in_flight);
    while let Some(outcome) = accepting.next().await {
        anyhow::ensure!(matches!(outcome?, AcceptOutcome::Accepted { .. }), "a message was not accepted");
    }
    clock.report("accept", messages);
    let clock = Clock::start();
    let drained = futures_util::future::try_join_all(devices.iter().map(|device| drain(&*store, *device))).await?;
    clock.report("drain", drained.into_iter().sum());
    store.close().await;
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// Reads 64 rows, acks them, and again, until nothing waits.
async fn drain(store: &dyn Store, (address, epoch): Connected) -> anyhow::Result<u64> {
    let mut drained = 0;
    loop {
        let items = store.undelivered(address, &BTreeSet::new(), 64, usize::MAX).await?;
        let ids: Vec<RowId> = items.iter().map(sealpost_server::store::QueueItem::id).collect();
        if ids.is_empty() {
            return Ok(drained);
        }
        drained += store.acknowledge(address, epoch, ids).await?.unwrap_or(0);
    }
}

async fn register(store: &dyn Store, number: u8) -> anyhow::Result<Connected> {
    let (account, registration) = (AccountId::from_bytes([number; 16]), RegistrationId::from_bytes([number; 32]));
    let keys = AccountIdentityKeyPair::from_seed(&[number; 32]);
    let entry = DeviceEntry {
        device: DeviceId::PRIMARY,
        registration,
        identity: DeviceIdentityKeyPair::from_seed(&[number; 32]).public(),
    };
    let address = DeviceAddress { account, device: DeviceId::PRIMARY, registration };
    let body = DeviceListBody {
        account,
        account_identity: keys.public(),
        version: 1,
        previous_hash: [0; 32],
        new_identity: false,
        devices: vec![entry],
    };
    let session = SessionId::from_bytes([number; 16]);
    let new = NewAccount {
        username: Username::parse(&format!("user{number}"))?,
        username_hash: [number; 32],
        password_hash: String::new(),
        device_list: DeviceList::sign(&keys, body)?,
        keys: DeviceKeys {
            device: DeviceId::PRIMARY,
            signed_prekey: SignedPrekey {
                id: SignedPrekeyId(1),
                key: PrekeyPublic::from_bytes(&[9; 32])?,
                expires_at: NOW,
                signature: Signature::from_bytes([0; 64]),
            },
            one_time_prekeys: Vec::new(),
        },
        session: NewSession { id: session, address, refresh_hash: RefreshTokenHash::from_bytes([number; 32]) },
        invite_hash: None,
    };
    store.create_account(new, NOW).await?;
    match store.open_connection(address, session, 1, NOW).await? {
        OpenConnection::Opened { epoch, .. } => Ok((address, epoch)),
        OpenConnection::Refused => anyhow::bail!("a connection was refused"),
    }
}

/// Time and processor time.
struct Clock {
    began: Instant,
    worked: Duration,
}

impl Clock {
    fn start() -> Self {
        Self { began: Instant::now(), worked: worked() }
    }

    #[expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "figures for a person")]
    fn report(&self, what: &str, messages: u64) {
        let (took, worked) = (self.began.elapsed(), worked().saturating_sub(self.worked));
        println!(
            "{what}: {messages} messages, {:.0}/s, {:.1} µs of processor time each",
            messages as f64 / took.as_secs_f64(),
            worked.as_secs_f64() * 1e6 / messages.max(1) as f64
        );
    }
}

/// Processor time of the whole process, to 10 ms: fields 14 and 15 of `/proc/self/stat`, in hundredths of a second.
fn worked() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
    Duration::from_millis(ticks.sum::<u64>().saturating_mul(10))
}
