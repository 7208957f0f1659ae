//! Hints over NATS. A hint reaches the nodes that listen when it is published; nothing is kept.
//!
//! Each device has a subject of its own, and a node listens to all of them with one subscription. With one subscription
//! for each connected device NATS would drop the hints that concern nobody here. But a subscription begins some time
//! after its stream, it would cost several KiB on both sides for an idle stream, and after each lost connection all of
//! them would have to be made again. A hint that concerns nobody here costs one look at the hub.
//!
//! No hint is believed: see [`Listener`]. When the connection breaks or the library drops hints that arrive too fast,
//! the listener is told that it may have missed something.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event};
use futures_util::StreamExt as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sealpost_api::ids::ServerId;

use self::outbox::Outbox;
pub use self::settings::{NatsSettings, NatsSettingsError};
use self::wire::Subjects;
use super::{Hint, Listener, Relay, RelayCounts, RelayState};
use crate::base::config::Login;

mod outbox;
mod settings;
mod wire;

/// The interval of pings. A server that leaves two or three of them unanswered is taken for lost, and the node reports
/// that and looks for another.
const PING_INTERVAL: Duration = Duration::from_secs(2);
/// The longest time that connecting can take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest pause between two attempts to connect.
const RETRY_MAX: Duration = Duration::from_secs(2);
/// The first pause, which doubles with each attempt.
const RETRY: Duration = Duration::from_millis(50);
/// The number of messages that the library keeps until they are read. Further ones are dropped, and then the node
/// sweeps.
const HEARING_MAX: usize = 16_384;
/// How long the subscription can be on its way after connecting. Hints that are sent meanwhile are not heard.
const SUBSCRIBED_AFTER: Duration = Duration::from_millis(500);

/// Why the relay could not be started. An unreachable server is not an error: the node keeps trying.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// A TLS file cannot be used.
    #[error("{} holds no {what} in PEM that can be read", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What the file should contain.
        what: &'static str,
    },
    /// The library rejected the settings.
    #[error("the relay's settings cannot be used")]
    Settings(#[source] async_nats::ConnectError),
    /// The library could not subscribe.
    #[error("the relay cannot be listened to")]
    Subscribe(#[source] async_nats::SubscribeError),
}

#[derive(Default)]
struct Shared {
    outbox: Outbox,
    connected: AtomicBool,
    sent: AtomicU64,
    heard: AtomicU64,
    dropped: AtomicU64,
}

impl Shared {
    fn drop_some(&self, hints: u64) {
        self.dropped.fetch_add(hints, Ordering::Relaxed);
    }
}

/// A node's connection to the others. Its tasks end with the process.
pub struct NatsRelay {
    shared: Arc<Shared>,
}

impl NatsRelay {
    /// Starts connecting, and keeps trying for as long as the process lives. `cluster` is the store's server id.
    ///
    /// # Errors
    /// [`NatsError`] if the settings or a TLS file cannot be used.
    pub async fn start(
        settings: &NatsSettings,
        cluster: ServerId,
        listener: Arc<dyn Listener>,
    ) -> Result<Self, NatsError> {
        check_files(settings)?;
        if !settings.address.is_local() && !settings.address.is_tls() {
            tracing::warn!(
                "hints cross the network without TLS: who is on the way sees which accounts get messages; use tls://"
            );
        }
        if *settings.address.login() == Login::Nobody && settings.identity.is_none() {
            tracing::warn!("the relay asks for no user: anyone who reaches it can wake devices for nothing");
        }
        let shared = Arc::new(Shared::default());
        let client = connect(settings, &shared, &listener).await.map_err(NatsError::Settings)?;
        let subjects = Arc::new(Subjects::new(cluster));
        let subscriber = client.subscribe(subjects.all()).await.map_err(NatsError::Subscribe)?;
        tokio::spawn(hear(subscriber, Arc::clone(&subjects), Arc::clone(&shared), listener));
        tokio::spawn(send(client, subjects, Arc::clone(&shared)));
        Ok(Self { shared })
    }
}

impl Relay for NatsRelay {
    fn publish(&self, hint: Hint) {
        self.shared.drop_some(self.shared.outbox.put(hint));
    }

    fn state(&self) -> RelayState {
        if self.shared.connected.load(Ordering::Relaxed) { RelayState::Connected } else { RelayState::Disconnected }
    }

    fn counts(&self) -> RelayCounts {
        RelayCounts {
            sent: self.shared.sent.load(Ordering::Relaxed),
            heard: self.shared.heard.load(Ordering::Relaxed),
            dropped: self.shared.dropped.load(Ordering::Relaxed),
        }
    }
}

/// Checks the TLS files at the start. The library reads them at each connection and reports only that connecting
/// failed, so an operator would learn of a wrong file name late.
fn check_files(settings: &NatsSettings) -> Result<(), NatsError> {
    let failed = |path: &PathBuf, what| NatsError::Tls { path: path.clone(), what };
    let certificates = |path: &PathBuf| {
        let readable = CertificateDer::pem_file_iter(path).is_ok_and(|mut found| matches!(found.next(), Some(Ok(_))));
        if readable { Ok(()) } else { Err(failed(path, "certificate")) }
    };
    settings.ca.iter().try_for_each(certificates)?;
    if let Some((certificate, key)) = &settings.identity {
        certificates(certificate)?;
        PrivateKeyDer::from_pem_file(key).map_err(|_| failed(key, "private key"))?;
    }
    Ok(())
}

async fn connect(
    settings: &NatsSettings,
    shared: &Arc<Shared>,
    listener: &Arc<dyn Listener>,
) -> Result<Client, async_nats::ConnectError> {
    let (shared, listener) = (Arc::clone(shared), Arc::clone(listener));
    let mut options = ConnectOptions::new()
        .name(format!("sealpost {}", settings.node))
        .retry_on_initial_connect()
        .no_echo()
        .ping_interval(PING_INTERVAL)
        .connection_timeout(CONNECT_TIMEOUT)
        .subscription_capacity(HEARING_MAX)
        .reconnect_delay_callback(pause)
        .require_tls(settings.address.is_tls())
        .event_callback(move |event| {
            happened(&event, &shared, &listener);
            std::future::ready(())
        });
    options = match settings.address.login() {
        Login::Nobody => options,
        Login::Token(token) => options.token(token.to_string()),
        Login::User(user, password) => options.user_and_password(user.to_string(), password.to_string()),
    };
    if let Some(ca) = &settings.ca {
        options = options.add_root_certificates(ca.clone());
    }
    if let Some((certificate, key)) = &settings.identity {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    options.connect(settings.address.servers()).await
}

fn pause(tried: usize) -> Duration {
    let doubled = u32::try_from(tried.saturating_sub(1).min(8)).unwrap_or_default();
    if tried == 0 { Duration::ZERO } else { RETRY.saturating_mul(2_u32.saturating_pow(doubled)).min(RETRY_MAX) }
}

fn happened(event: &Event, shared: &Arc<Shared>, listener: &Arc<dyn Listener>) {
    match event {
        Event::Connected => {
            shared.connected.store(true, Ordering::Relaxed);
            tracing::info!("the relay is connected");
            listener.missed();
            let listener = Arc::clone(listener);
            tokio::spawn(async move {
                tokio::time::sleep(SUBSCRIBED_AFTER).await;
                listener.missed();
            });
        }
        Event::Disconnected | Event::Closed => {
            if shared.connected.swap(false, Ordering::Relaxed) {
                tracing::warn!("the relay is gone: messages from other nodes come with the sweep, within 5 s");
            }
            listener.missed();
        }
        Event::SlowConsumer(_) => {
            shared.drop_some(1);
            listener.missed();
        }
        Event::ServerError(error) => tracing::warn!(%error, "the relay refused something"),
        Event::ClientError(error) => tracing::warn!(%error, "the relay cannot be reached"),
        Event::LameDuckMode | Event::Draining => {}
    }
}

async fn hear(
    mut subscriber: async_nats::Subscriber,
    subjects: Arc<Subjects>,
    shared: Arc<Shared>,
    listener: Arc<dyn Listener>,
) {
    while let Some(message) = subscriber.next().await {
        match subjects.decode(&message.subject, &message.payload) {
            Some(hint) => {
                shared.heard.fetch_add(1, Ordering::Relaxed);
                listener.heard(hint);
            }
            None => shared.drop_some(1),
        }
        // A flood must not keep the other tasks of this thread waiting.
        tokio::task::consume_budget().await;
    }
}

async fn send(client: Client, subjects: Arc<Subjects>, shared: Arc<Shared>) {
    loop {
        for hint in shared.outbox.take().await {
            for (subject, payload) in subjects.encode(&hint) {
                // What is from before a break would come after the sweep that the break leads to.
                let there = shared.connected.load(Ordering::Relaxed);
                if there && client.publish(subject, payload).await.is_ok() {
                    shared.sent.fetch_add(1, Ordering::Relaxed);
                } else {
                    shared.drop_some(1);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_between_tries_grows_to_two_seconds() {
        assert_eq!([0, 1, 2, 6, 7, 1_000].map(|tried| pause(tried).as_millis()), [0, 50, 100, 1_600, 2_000, 2_000]);
    }
}
