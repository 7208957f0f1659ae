//! Three nodes behind nginx on one database, with NATS between them: all of them real processes, killed by their ids.
//!
//! `SEALPOST_CLUSTER_MESSAGES=10000` is the long form of what is done under faults.

mod faults;
mod hints;
mod latency;
mod registering;
mod relay_tls;
mod revoking;
mod secrets;
mod talk;
mod world;

/// How much a test does: as said here, or as an environment variable says for the long form.
fn size(variable: &str, short: u64) -> u64 {
    std::env::var(variable).map_or(short, |text| text.parse().unwrap())
}
