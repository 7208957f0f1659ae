//! Builds the core from the configuration.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use sealpost_api::limits::QUEUE_RETENTION_MILLIS;
use sealpost_api::server::RegistrationPolicy;

use crate::base::config::Config;
use crate::domain::clock::{Clock, Random};
use crate::operate::secrets::Secrets;
use crate::process::metrics::Metrics;
use crate::relay::Relay;
use crate::relay::local::{AbsentRelay, LocalRelay};
use crate::relay::nats::{NatsRelay, NatsSettings};
use crate::service::hub::Hub;
use crate::service::limiter::{LimitTable, Limiter};
use crate::service::nodes::Hearing;
use crate::service::passwords::{PasswordSettings, Passwords};
use crate::service::stream::StreamSettings;
use crate::service::tokens::Tokens;
use crate::service::{Core, ServiceSettings, Services};
use crate::store::factory::OpenedStore;
use crate::store::{QueueLimits, Store};

/// The lifetime of the first invite, which is for the operator: a week.
const FIRST_INVITE_MILLIS: u64 = 7 * 24 * 3_600 * 1_000;

/// The parts of the core, from the most general to the most particular.
pub(super) struct World {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    pub(super) hub: Arc<Hub>,
    pub(super) relay: Arc<dyn Relay>,
    pub(super) metrics: Arc<Metrics>,
}

/// Creates the hub of this node, and its receiver of hints.
pub(super) fn hub() -> (Arc<Hub>, Arc<Hearing>) {
    let hub = Arc::new(Hub::new());
    let hearing = Arc::new(Hearing::new(Arc::clone(&hub)));
    (hub, hearing)
}

/// Creates the relay of this node. With a store in the data folder there are no other nodes.
pub(super) async fn relay(config: &Config, opened: &OpenedStore, hearing: Arc<Hearing>) -> Result<Arc<dyn Relay>> {
    let settings = NatsSettings::of(&config.relay, &config.node)?;
    match settings {
        None if opened.is_shared() => Ok(Arc::new(AbsentRelay)),
        None => Ok(Arc::new(LocalRelay)),
        Some(_) if !opened.is_shared() => {
            bail!("a relay connects nodes that share a MongoDB; leave --relay out, or name the MongoDB with --store")
        }
        Some(settings) => Ok(Arc::new(NatsRelay::start(&settings, opened.store().server_id(), hearing).await?)),
    }
}

/// Creates the core. `built_in_loopback` says that the listener is for this machine only, with the built-in
/// certificate.
pub(super) fn core(config: &Config, built_in_loopback: bool, secrets: &Secrets, world: World) -> Result<Arc<Core>> {
    let World { store, clock, random, hub, relay, metrics } = world;
    let default_policy = if built_in_loopback { RegistrationPolicy::Open } else { RegistrationPolicy::Invite };
    let settings = ServiceSettings {
        registration: config.registration.unwrap_or(default_policy),
        retired_names_key: secrets.retired_names_key.clone(),
        queue: QueueLimits {
            messages_max: config.queue.messages_max,
            bytes_max: config.queue.bytes_max,
            sender_messages_max: config.queue.sender_messages_max,
            dormant_after_millis: QUEUE_RETENTION_MILLIS,
        },
        stream: StreamSettings {
            node: config.node.clone(),
            ping_interval: Duration::from_millis(config.stream.ping_millis),
            write_timeout: Duration::from_millis(config.stream.write_timeout_millis),
            auth_timeout: Duration::from_millis(config.stream.auth_timeout_millis),
            ..StreamSettings::default()
        },
    };
    let tokens = Tokens::new(&secrets.token_keys(), store.server_id())?;
    let password_settings = PasswordSettings { pepper: secrets.pepper.clone(), ..PasswordSettings::default() };
    let passwords = Passwords::new(&password_settings, Arc::clone(&random)).context("passwords cannot be hashed")?;
    let limiter = Limiter::new(LimitTable::changed(&config.limits)?);
    Ok(Arc::new(Core { store, clock, random, hub, relay, limiter, tokens, passwords, metrics, settings }))
}

/// Makes and prints an invite if registration needs one, so that the operator can register first.
pub(super) async fn print_first_invite(services: &Services) -> Result<()> {
    if services.core().settings.registration == RegistrationPolicy::Invite {
        let invite = services.issue_invite(FIRST_INVITE_MILLIS).await.context("no invite could be made")?;
        println!("Registration is by invite. The first one, good for 7 days: {invite}");
    }
    Ok(())
}
