//! Logs to stderr, if `SEALPOST_LOG` asks for it. Logs hold no texts, names or keys.

use std::io;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Starts logging.
pub(crate) fn start() {
    let Ok(asked) = tracing_subscriber::EnvFilter::try_from_env("SEALPOST_LOG") else { return };
    // Libraries trace what they send; the WebSocket's traces its request with the access token.
    let harmless = tracing_subscriber::filter::filter_fn(|metadata| {
        *metadata.level() <= LevelFilter::DEBUG || metadata.target().starts_with("sealpost")
    });
    let output = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let _ = tracing_subscriber::registry().with(asked).with(harmless).with(output).try_init();
}
