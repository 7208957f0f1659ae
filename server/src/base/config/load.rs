//! Loads a checked [`Config`] from arguments and file.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use directories::ProjectDirs;
use sealpost_api::server::RegistrationPolicy;
use serde::Deserialize;

use super::args::Registration;
use super::{
    CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS, Config, LogConfig, LogFormat, QueueConfig, RelayConfig, SecretsConfig,
    ServeArgs, StoreConfig, StreamConfig, TlsConfig,
};
use crate::domain::address::TrustedProxies;
use crate::service::limiter::{Limit, LimitError, LimitTable};

/// The largest configuration file that is read.
const FILE_MAX_BYTES: u64 = 1024 * 1024;

/// Why the configuration cannot be loaded. The texts are for the operator.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("the configuration file {} cannot be read", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    /// The file is larger than any configuration.
    #[error("the configuration file {} is larger than 1 MiB", .0.display())]
    TooLarge(PathBuf),
    /// The file is not a valid configuration.
    #[error("the configuration file {} is not valid", .0.display())]
    Parse(PathBuf, #[source] Box<toml::de::Error>),
    /// A line of `[limits]` cannot be used.
    #[error("limits.{name} is not valid; `serve --print-config` lists the limits")]
    Limit {
        /// The line's name.
        name: String,
        /// Why.
        source: LimitError,
    },
    /// The user has no home for the data folder.
    #[error("there is no data folder for this user; name one with --data")]
    NoDataFolder,
    /// A number must not be zero.
    #[error("{0} must be at least 1")]
    Zero(&'static str),
    /// There is a certificate although TLS is off.
    #[error("a certificate and --plain-http contradict each other; leave one out, or say --plain-http=false")]
    PlainWithCertificate,
    /// Plain HTTP on any address is allowed although TLS is on.
    #[error("--plain-http-anywhere means nothing without --plain-http")]
    AnywhereWithoutPlain,
}

/// The file. Every setting is optional, and unknown ones are refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FileConfig {
    data: Option<PathBuf>,
    listen: Option<String>,
    private_listen: Option<String>,
    ready_file: Option<PathBuf>,
    node: Option<String>,
    registration: Option<RegistrationPolicy>,
    allowed_origins: Vec<String>,
    workers: Option<usize>,
    connections_max: Option<usize>,
    connections_per_address: Option<usize>,
    trust_proxy: TrustedProxies,
    tls: Option<TlsConfig>,
    log: FileLogConfig,
    stream: StreamConfig,
    queue: QueueConfig,
    store: StoreConfig,
    relay: RelayConfig,
    secrets: SecretsConfig,
    pepper_file: Option<PathBuf>,
    limits: BTreeMap<String, Limit>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FileLogConfig {
    format: Option<LogFormat>,
    filter: Option<String>,
}

/// Merges flags (and environment, which clap has put into them) over the file over the defaults.
///
/// # Errors
/// [`LoadError`] if a setting is missing, invalid or contradicts another.
pub fn load(args: ServeArgs) -> Result<Config, LoadError> {
    let file = args.config.as_deref().map(read).transpose()?.unwrap_or_default();
    merge(args, file)
}

#[cfg(fuzzing)]
impl Config {
    /// Returns the settings of a file with this text, without flags.
    ///
    /// # Errors
    /// [`LoadError`] if the text is not a valid configuration.
    pub fn from_text(text: &str) -> Result<Self, LoadError> {
        let data = Some(PathBuf::from("/data"));
        merge(ServeArgs { data, ..ServeArgs::default() }, parse(text, Path::new("-"))?)
    }
}

fn merge(args: ServeArgs, file: FileConfig) -> Result<Config, LoadError> {
    let relay = RelayConfig::merge(&args, file.relay);
    let tls = tls(&args, file.tls)?;
    let registration = args.registration.map(|policy| match policy {
        Registration::Open => RegistrationPolicy::Open,
        Registration::Invite => RegistrationPolicy::Invite,
        Registration::Closed => RegistrationPolicy::Closed,
    });
    let data = match args.data.or(file.data) {
        Some(data) => data,
        None => default_data()?,
    };
    let format = args
        .log_format
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
        registration: registration.or(file.registration),
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
        store: StoreConfig {
            uri: args.store.store.clone().or(file.store.uri.filter(|_| args.store.store_file.is_none())),
            uri_file: args.store.store_file.or(file.store.uri_file.filter(|_| args.store.store.is_none())),
            ..file.store
        },
        relay,
        secrets: SecretsConfig { folder: args.secrets.or(file.secrets.folder) },
        pepper_file: args.pepper_file.or(file.pepper_file),
        limits: limits(file.limits)?,
    })
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

fn read(path: &Path) -> Result<FileConfig, LoadError> {
    let failed = |error| LoadError::Read(path.to_owned(), error);
    if std::fs::metadata(path).map_err(failed)?.len() > FILE_MAX_BYTES {
        return Err(LoadError::TooLarge(path.to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    parse(&text, path)
}

fn parse(text: &str, path: &Path) -> Result<FileConfig, LoadError> {
    toml::from_str(text).map_err(|error| LoadError::Parse(path.to_owned(), Box::new(error)))
}

/// Returns the default data folder.
///
/// # Errors
/// [`LoadError::NoDataFolder`] for a user without a home.
pub(crate) fn default_data() -> Result<PathBuf, LoadError> {
    let folders = ProjectDirs::from("", "", "sealpost-server").ok_or(LoadError::NoDataFolder)?;
    Ok(folders.data_dir().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_with(file: &str, args: ServeArgs) -> Result<Config, LoadError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, file).unwrap();
        load(ServeArgs { config: Some(path), ..args })
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
