//! Connecting to a database, and examining it.

use std::net::IpAddr;
use std::time::Duration;

use mongodb::bson::doc;
use mongodb::options::{ClientOptions, ServerAddress, ServerApi, Tls};
use mongodb::{Client, Database};
use sealpost_crypto::UnixMillis;

use super::check::{self, Connection, TlsUse};
use super::concerns;
use super::open_error::OpenError;
use crate::store::findings::Finding;

/// The database, if the connection string names none.
const DATABASE: &str = "sealpost";

/// How long an operation looks for a primary. An election takes about 10 s; clients try again until it is over.
const SELECTION_TIMEOUT: Duration = Duration::from_secs(5);

/// How long making a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections to each member: this many operations are under way at once.
const POOL_MAX: u32 = 100;

/// Connects, with the concerns that the promises need, whatever the connection string says.
pub(super) async fn connect(address: &str) -> Result<(Client, Database, Connection), OpenError> {
    if !address.starts_with("mongodb://") {
        return Err(OpenError::Address("it must begin with mongodb://"));
    }
    let mut options = ClientOptions::parse(address).await.map_err(|_| {
        OpenError::Address("a part of it is wrong, or a special character in it is not percent-encoded")
    })?;
    options.app_name.get_or_insert_with(|| "sealpost-server".to_owned());
    concerns::apply(&mut options);
    options.server_selection_timeout.get_or_insert(SELECTION_TIMEOUT);
    options.connect_timeout.get_or_insert(CONNECT_TIMEOUT);
    options.max_pool_size.get_or_insert(POOL_MAX);
    options.server_api = None::<ServerApi>;
    // A connection to one member cannot tell whether that member is still the primary.
    options.direct_connection = None;
    if options.load_balanced == Some(true) {
        return Err(OpenError::Address("loadBalanced=true hides which member is the primary; name the members"));
    }
    let name = options.default_database.clone().unwrap_or_else(|| DATABASE.to_owned());
    let connection = Connection {
        is_local: options.hosts.iter().all(is_local),
        has_user: options.credential.is_some(),
        tls: match &options.tls {
            Some(Tls::Enabled(tls)) if tls.allow_invalid_certificates == Some(true) => TlsUse::AnyCertificate,
            Some(Tls::Enabled(_)) => TlsUse::Checked,
            _ => TlsUse::Off,
        },
    };
    let client = Client::with_options(options)?;
    let database = client.database(&name);
    Ok((client, database, connection))
}

/// Returns whether a host is this machine.
fn is_local(host: &ServerAddress) -> bool {
    match host {
        ServerAddress::Tcp { host, .. } => {
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        // A socket in the file system.
        _ => true,
    }
}

/// Asks the server about itself, and judges the answers.
pub(super) async fn judge(
    database: &Database,
    connection: Connection,
    now: UnixMillis,
) -> Result<Vec<Finding>, OpenError> {
    let begun = tokio::time::Instant::now();
    let hello = database.run_command(doc! { "hello": 1, "compression": ["zlib"] }).await?;
    let passed = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let build = database.run_command(doc! { "buildInfo": 1 }).await?;
    Ok(check::judge(&hello, &build, connection, now.saturating_add(passed)))
}
