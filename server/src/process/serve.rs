//! The process, from a configuration to a running server and to its end.

use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use anyhow::{Context as _, Result, bail};
use parking_lot::Mutex;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::base::config::{Config, TlsConfig};
use crate::domain::clock::{Clock, Random, SystemClock, SystemRandom};
use crate::edge::tls::{Certificates, Source, names};
use crate::operate::admin::socket::Socket;
use crate::operate::audit::Audit;
use crate::operate::secrets::Secrets;
use crate::process::logging::LogControl;
use crate::process::metrics::Metrics;
use crate::process::settings::ServeArgs;
use crate::service::{Core, Services};
use crate::store::StoreError;

mod build;
mod listen;
mod opened;
mod operator;
mod private;
mod process;
mod public;
mod ready;
mod reload;
mod tasks;

use crate::store::factory::OpenedStore;
use operator::Operator;
use reload::Reload;

pub use listen::{Listen, ListenError};
use public::DRAIN_TIMEOUT;
pub use public::serve_plain;

/// How often the drain checks for remaining calls.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// Serves until a signal or until the store stops. On the operator's request `args` are read again with the
/// configuration file.
///
/// # Errors
/// An error for the operator if the server could not start, or had to end.
pub fn run(config: Config, args: ServeArgs, log: LogControl) -> Result<()> {
    actix_web::rt::System::new().block_on(serve(config, args, log))
}

/// A signal that ends the server.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn begin() -> Result<Self> {
        let on = |kind| signal(kind).context("signals cannot be waited for");
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
            hangup: on(SignalKind::hangup())?,
        })
    }
}

async fn serve(config: Config, args: ServeArgs, log: LogControl) -> Result<()> {
    let mut signals = Signals::begin()?;
    let connections_max = process::prepare(config.workers, config.connections_max)?;
    let listen = Listen::resolve(&config.listen)?;
    if matches!(config.tls, TlsConfig::Plain { anywhere: false }) && !listen.is_loopback() {
        return Err(ListenError::PlainAnywhere(config.listen.clone()).into());
    }
    let (clock, random): (Arc<dyn Clock>, Arc<dyn Random>) = (Arc::new(SystemClock), Arc::new(SystemRandom));
    let metrics = Arc::new(Metrics::new().context("the metrics could not be made")?);
    let opened = opened::open(&config, clock.as_ref(), random.as_ref(), &metrics).await?;
    let store = opened.store();
    if let Err(error) = store.ready().await {
        tracing::warn!(%error, "nothing is accepted until there is room; see [store] reserve_bytes");
    }
    let run = Run { config, args, log, connections_max, metrics };
    let outcome = serve_store(run, listen, &mut signals, clock, random, &opened).await;
    store.close().await;
    outcome
}

/// The parts of a running server.
struct Run {
    config: Config,
    args: ServeArgs,
    log: LogControl,
    connections_max: usize,
    metrics: Arc<Metrics>,
}

async fn serve_store(
    Run { config, args, log, connections_max, metrics }: Run,
    listen: Listen,
    signals: &mut Signals,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    opened: &OpenedStore,
) -> Result<()> {
    let places = opened::secrets(opened, &config)?;
    let secrets = Secrets::load(&places, random.as_ref())?;
    let refused = || format!("the secrets in {} cannot be used", places.folder.display());
    secrets.fingerprints()?.agree(opened.store().as_ref(), opened.is_shared()).await.with_context(refused)?;
    let certificates = certificates(&config, &listen, clock.as_ref())?;
    let built_in_loopback = listen.is_loopback() && matches!(config.tls, TlsConfig::BuiltIn);
    let (hub, hearing) = build::hub();
    let relay = build::relay(&config, opened, Arc::clone(&hearing)).await?;
    let world = build::World { store: opened.store(), clock, random, hub, relay, metrics: Arc::clone(&metrics) };
    let core = build::core(&config, built_in_loopback, &secrets, world)?;
    let services = Services::new(Arc::clone(&core));

    let public = listen.bind()?;
    let private = Listen::resolve(&config.private_listen)?.bind()?;
    let url = listen.url(&public, certificates.is_some())?;
    let private_url = Listen::resolve(&config.private_listen)?.url(&private, false)?;
    let private_server = private::start(private, services.clone(), Arc::clone(&metrics))?;
    let public_handle = public::start(&config, connections_max, public, certificates.as_ref(), services.clone())?;
    tasks::watch_store(opened.clone(), Arc::clone(&core.clock), Arc::clone(&metrics));
    tasks::begin(&core, certificates.clone(), listen.host().to_owned());
    tasks::follow_others(&core, hearing);

    let operator = Arc::new(Operator {
        services: services.clone(),
        audit: Arc::new(Audit::new(&config.data)),
        url: url.clone(),
        started_at: core.clock.now(),
        reload: Arc::new(Reload {
            args,
            current: Mutex::new(config.clone()),
            core: Arc::clone(&core),
            places,
            is_shared: opened.is_shared(),
            certificates: certificates.clone(),
            host: listen.host().to_owned(),
            log,
        }),
    });
    let socket = actix_web::rt::spawn(Socket::bind(&config.data)?.serve(Arc::clone(&operator)));

    let ca = certificates.as_ref().and_then(|certificates| certificates.authority());
    let facts = ready::Ready::new(url, ca, private_url);
    facts.print();
    if secrets.is_new() {
        build::print_first_invite(&services).await?;
        secrets.told()?;
    }
    if let Some(path) = &config.ready_file {
        facts.write(path)?;
    }
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "serving");

    let stopped = loop {
        tokio::select! {
            _ = signals.terminate.recv() => break None,
            _ = signals.interrupt.recv() => break None,
            reason = opened.stopped() => break Some(reason),
            _ = signals.hangup.recv() => operator.reload_by_signal().await,
        }
    };
    socket.abort();
    // Dropping it removes the socket's file.
    let _cancelled = socket.await;
    drain(&core, &public_handle).await;
    private_server.stop(false).await;
    match stopped {
        Some(reason) => bail!(StoreError::Stopped(reason)),
        None => Ok(()),
    }
}

fn certificates(config: &Config, listen: &Listen, clock: &dyn Clock) -> Result<Option<Arc<Certificates>>> {
    let source = match &config.tls {
        TlsConfig::BuiltIn => {
            Source::Authority(crate::edge::tls::Authority::open(&config.data.join("tls"), clock.now())?)
        }
        TlsConfig::Files { certificate, key } => Source::Files { certificate: certificate.clone(), key: key.clone() },
        TlsConfig::Plain { .. } => return Ok(None),
    };
    Ok(Some(Certificates::load(source, &names::machine(listen.host()), clock.now())?))
}

/// Accepts no more connections, closes the streams so that clients reconnect here or elsewhere, and lets calls finish.
async fn drain(core: &Core, public: &ServerHandle) {
    tracing::info!("stopping");
    public.pause().await;
    core.hub.stop();
    let drained = async {
        while core.hub.connections() > 0 {
            tokio::time::sleep(DRAIN_LOOK).await;
        }
    };
    if tokio::time::timeout(DRAIN_TIMEOUT, drained).await.is_err() {
        tracing::warn!(streams = core.hub.connections(), "streams were cut");
    }
    public.stop(true).await;
}
