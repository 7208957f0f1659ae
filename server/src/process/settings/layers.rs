//! Merges arguments and environment over the file over the defaults.
//!
//! No library merges these layers, because three groups replace each other as a whole: the protection of connections,
//! the store's address and the relay's. The environment is clap's layer, so that `--help` names each variable and a
//! wrong value is refused by its name.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;

use sealpost_api::server::RegistrationPolicy;

use super::args::ServeArgs;
use super::error::LoadError;
use super::file::FileConfig;
use crate::base::config::{
    Config, Limit, LogConfig, LogFormat, RelayConfig, SecretsConfig, StoreConfig, TlsConfig, data_folder,
};
use crate::operate::store_args::StoreArgs;
use crate::service::limiter::LimitTable;

/// The most connections of one worker. Each costs up to 27 KiB when idle with TLS; at the start it is checked against
/// the limit of descriptors.
const CONNECTIONS_MAX: usize = 25_000;
/// The most connections of one network: an office behind one address has room, and one machine cannot take them all.
const CONNECTIONS_PER_ADDRESS: usize = 1_000;

/// Merges the arguments over the file, and the file over the defaults.
///
/// # Errors
/// [`LoadError`] if a setting is invalid or contradicts another.
pub(super) fn merge(args: ServeArgs, file: FileConfig) -> Result<Config, LoadError> {
    let (relay, store) = (relay(&args, file.relay), store(&args.store, file.store));
    let tls = tls(&args, file.tls)?;
    let data = data_folder(args.data.or(file.data).as_deref())?;
    let format = args
        .log_format
        .map(LogFormat::from)
        .or(file.log.format)
        .unwrap_or_else(|| if std::io::stderr().is_terminal() { LogFormat::Human } else { LogFormat::Json });
    let workers =
        args.workers.or(file.workers).unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let connections_max = file.connections_max.unwrap_or(CONNECTIONS_MAX);
    let connections_per_address = file.connections_per_address.unwrap_or(CONNECTIONS_PER_ADDRESS);
    for (number, name) in [
        (workers, "workers"),
        (connections_max, "connections_max"),
        (connections_per_address, "connections_per_address"),
    ] {
        if number == 0 {
            return Err(LoadError::Zero(name));
        }
    }
    if file.stream.ping_millis == 0 {
        return Err(LoadError::Zero("stream.ping_millis"));
    }
    let mut allowed_origins = if args.allowed_origins.is_empty() { file.allowed_origins } else { args.allowed_origins };
    // An empty variable names no page, and an empty `Origin` is not valid.
    allowed_origins.retain(|origin| !origin.is_empty());
    Ok(Config {
        data,
        listen: args.listen.or(file.listen).unwrap_or_else(|| "127.0.0.1:8443".to_owned()),
        private_listen: args.private_listen.or(file.private_listen).unwrap_or_else(|| "127.0.0.1:0".to_owned()),
        ready_file: args.ready_file.or(file.ready_file),
        node: args.node.or(file.node).unwrap_or_else(|| "sealpost".to_owned()),
        registration: args.registration.map(RegistrationPolicy::from).or(file.registration),
        allowed_origins,
        workers,
        connections_max,
        connections_per_address,
        trust_proxy: args.trust_proxy.unwrap_or(file.trust_proxy),
        tls,
        log: LogConfig {
            format,
            filter: args.log.or(file.log.filter).unwrap_or_else(|| "warn,sealpost_server=info".to_owned()),
        },
        stream: file.stream,
        queue: file.queue,
        store,
        relay,
        secrets: SecretsConfig { folder: args.secrets.or(file.secrets.folder) },
        pepper_file: args.pepper_file.or(file.pepper_file),
        limits: limits(file.limits)?,
    })
}

/// Returns the store's address. An address and a file that contains it are one choice: either of them in the arguments
/// replaces both of the file.
fn store(args: &StoreArgs, file: StoreConfig) -> StoreConfig {
    StoreConfig {
        uri: args.store.clone().or(file.uri.filter(|_| args.store_file.is_none())),
        uri_file: args.store_file.clone().or(file.uri_file.filter(|_| args.store.is_none())),
        ..file
    }
}

/// Returns the relay's address, as [`store`] does.
fn relay(args: &ServeArgs, file: RelayConfig) -> RelayConfig {
    RelayConfig {
        nats: args.relay.clone().or(file.nats.filter(|_| args.relay_file.is_none())),
        nats_file: args.relay_file.clone().or(file.nats_file.filter(|_| args.relay.is_none())),
        ca: args.relay_ca.clone().or(file.ca),
        certificate: args.relay_cert.clone().or(file.certificate),
        key: args.relay_key.clone().or(file.key),
    }
}

/// Returns how connections are protected. Plain HTTP on any address needs two settings that agree; otherwise it is
/// refused.
fn tls(args: &ServeArgs, file: Option<TlsConfig>) -> Result<TlsConfig, LoadError> {
    let plain = |of_file| TlsConfig::Plain { anywhere: args.plain_http_anywhere.unwrap_or(of_file) };
    let chosen = match (&args.tls_cert, &args.tls_key, args.plain_http, file) {
        (Some(_), _, Some(true), _) => return Err(LoadError::PlainWithCertificate),
        (Some(certificate), Some(key), ..) => TlsConfig::Files { certificate: certificate.clone(), key: key.clone() },
        (_, _, None | Some(true), Some(TlsConfig::Plain { anywhere })) => plain(anywhere),
        (_, _, Some(true), _) => plain(false),
        (_, _, Some(false), Some(TlsConfig::Plain { .. }) | None) | (_, _, None, None) => TlsConfig::BuiltIn,
        (_, _, _, Some(other)) => other,
    };
    if args.plain_http_anywhere == Some(true) && !matches!(chosen, TlsConfig::Plain { .. }) {
        return Err(LoadError::AnywhereWithoutPlain);
    }
    Ok(chosen)
}

/// Returns the whole table with the file's lines applied, so that the printed configuration is complete.
fn limits(changed: BTreeMap<String, Limit>) -> Result<BTreeMap<String, Limit>, LoadError> {
    let mut table = LimitTable::default();
    for (name, limit) in changed {
        table.set(&name, limit).map_err(|source| LoadError::Limit { name, source })?;
    }
    Ok(table.iter().map(|(name, limit)| (name.rule().name.to_owned(), *limit)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::config::TrustedProxies;

    fn load_with(file: &str, args: ServeArgs) -> Result<Config, LoadError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, file).unwrap();
        merge(args, FileConfig::read(&path)?)
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let file = "listen = '0.0.0.0:1'\ndata = '/a'\n[limits.send_pair]\nburst = 7\ntokens = 8\nper_seconds = 9\n";
        let config = load_with(file, ServeArgs { data: Some("/b".into()), ..ServeArgs::default() }).unwrap();
        assert_eq!((config.listen.as_str(), config.data.to_str()), ("0.0.0.0:1", Some("/b")));
        assert_eq!(config.limits["send_pair"], Limit { burst: 7, tokens: 8, per_seconds: 9 });
        assert_eq!(config.private_listen, "127.0.0.1:0");
        assert_eq!(config.limits.len(), LimitTable::default().iter().count(), "every limit is listed");
    }

    #[test]
    fn what_is_printed_gives_the_same_configuration_again() {
        let file = "[tls]\nmode = 'plain'\nanywhere = true\n[queue]\nmessages_max = 5\n";
        let config = load_with(file, ServeArgs { data: Some("/b".into()), ..ServeArgs::default() }).unwrap();
        let printed = toml::to_string(&config).unwrap();
        assert_eq!(load_with(&printed, ServeArgs::default()).unwrap(), config);
    }

    #[test]
    fn a_switch_that_is_turned_off_wins_over_a_file_that_turns_it_on() {
        let file = "trust_proxy = ['127.0.0.1']\n[tls]\nmode = 'plain'\nanywhere = true\n";
        let args = ServeArgs { data: Some("/b".into()), ..ServeArgs::default() };
        let config = load_with(file, args.clone()).unwrap();
        assert_eq!(
            (config.trust_proxy, config.tls),
            ("127.0.0.1".parse().unwrap(), TlsConfig::Plain { anywhere: true })
        );
        let off = ServeArgs {
            trust_proxy: Some(TrustedProxies::default()),
            plain_http_anywhere: Some(false),
            ..args.clone()
        };
        let config = load_with(file, off).unwrap();
        assert_eq!((config.trust_proxy, config.tls), (TrustedProxies::default(), TlsConfig::Plain { anywhere: false }));
        let off = ServeArgs { plain_http: Some(false), ..args };
        assert_eq!(load_with(file, off).unwrap().tls, TlsConfig::BuiltIn);
    }

    #[test]
    fn a_certificate_is_never_given_up_for_plain_http() {
        let args = ServeArgs {
            data: Some("/b".into()),
            tls_cert: Some("c.pem".into()),
            tls_key: Some("k.pem".into()),
            ..ServeArgs::default()
        };
        let files = TlsConfig::Files { certificate: "c.pem".into(), key: "k.pem".into() };
        for (plain_http, file) in [(None, ""), (Some(false), ""), (None, "[tls]\nmode = 'plain'\nanywhere = false\n")] {
            assert_eq!(load_with(file, ServeArgs { plain_http, ..args.clone() }).unwrap().tls, files, "{file}");
        }
        let both = ServeArgs { plain_http: Some(true), ..args.clone() };
        assert!(matches!(load_with("", both), Err(LoadError::PlainWithCertificate)));
        let anywhere = ServeArgs { plain_http_anywhere: Some(true), ..args };
        assert!(matches!(load_with("", anywhere), Err(LoadError::AnywhereWithoutPlain)));
    }

    #[test]
    fn an_empty_origin_allows_nobody() {
        let args = ServeArgs { data: Some("/b".into()), allowed_origins: vec![String::new()], ..ServeArgs::default() };
        assert!(load_with("", args).unwrap().allowed_origins.is_empty());
    }

    #[test]
    fn unknown_names_and_zeroes_are_refused() {
        for file in [
            "lissten = 'x'",
            "[limits.nonsense]\nburst = 1\ntokens = 1\nper_seconds = 1\n",
            "[limits.send_pair]\nburst = 0\ntokens = 1\nper_seconds = 1\n",
            "workers = 0",
            "[tls]\nmode = 'none'",
        ] {
            assert!(load_with(file, ServeArgs { data: Some("/b".into()), ..ServeArgs::default() }).is_err(), "{file}");
        }
    }
}
