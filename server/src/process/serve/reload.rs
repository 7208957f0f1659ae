//! Reloads the configuration file and the certificate while the server runs.
//!
//! Rate limits, the log filter, the certificate and the keys of access tokens change at once. Other changed settings
//! are reported and need a restart. Invalid settings change nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use toml::{Table, Value};

use crate::base::config::Config;
use crate::edge::tls::{Certificates, TlsError, names};
use crate::operate::admin::protocol::{Failure, Reloaded};
use crate::operate::admin::socket::failure;
use crate::operate::secrets::{AgreeError, Places, Secrets, SecretsError};
use crate::process::logging::{LogControl, LoggingError};
use crate::process::settings::{LoadError, ServeArgs, load};
use crate::service::Core;
use crate::service::limiter::{LimitError, LimitTable};
use crate::service::tokens::TokensError;

/// Why nothing was reloaded.
#[derive(Debug, thiserror::Error)]
enum ReloadError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Limits(#[from] LimitError),
    #[error(transparent)]
    Log(#[from] LoggingError),
    #[error(transparent)]
    Certificate(#[from] TlsError),
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    #[error(transparent)]
    Disagreed(#[from] AgreeError),
    #[error(transparent)]
    Tokens(#[from] TokensError),
}

/// Everything that a reload needs.
pub(super) struct Reload {
    pub(super) args: ServeArgs,
    pub(super) current: Mutex<Config>,
    pub(super) core: Arc<Core>,
    pub(super) places: Places,
    pub(super) is_shared: bool,
    pub(super) certificates: Option<Arc<Certificates>>,
    pub(super) host: String,
    pub(super) log: LogControl,
}

impl Reload {
    /// Reloads, and returns what has changed.
    pub(super) async fn run(&self) -> Result<Reloaded, Failure> {
        self.try_run().await.map_err(|error| {
            let mut text = format!("nothing was changed: {error}");
            let mut cause = std::error::Error::source(&error);
            while let Some(source) = cause {
                text = format!("{text}: {source}");
                cause = source.source();
            }
            failure("invalid", text.trim_end())
        })
    }

    async fn try_run(&self) -> Result<Reloaded, ReloadError> {
        let secrets = Secrets::load(&self.places, self.core.random.as_ref())?;
        secrets.fingerprints()?.agree(self.core.store.as_ref(), self.is_shared).await?;
        let mut current = self.current.lock();
        let fresh = load(self.args.clone())?;
        // Everything that can fail comes before the first change.
        let (table, filter) = (LimitTable::changed(&fresh.limits)?, LogControl::parse(&fresh.log.filter)?);
        let now = self.core.clock.now();
        let certificate_changed = match &self.certificates {
            Some(certificates) => certificates.refresh(&names::machine(&self.host), now)?,
            None => false,
        };
        let mut changed = Vec::new();
        if self.core.tokens.replace(&secrets.token_keys())? {
            changed.push("token_keys.json: other keys of access tokens".to_owned());
        }
        if certificate_changed {
            changed.push("certificate: exchanged; new connections get it".to_owned());
        }
        for (name, limit) in &fresh.limits {
            let before = current.limits.insert(name.clone(), *limit);
            if let Some(before) = before.filter(|before| before != limit) {
                changed.push(format!("limits.{name}: {before} → {limit}"));
            }
        }
        self.core.limiter.replace(table);
        if current.log.filter != fresh.log.filter {
            self.log.set(filter)?;
            changed.push(format!("log.filter: {} → {}", current.log.filter, fresh.log.filter));
            current.log.filter.clone_from(&fresh.log.filter);
        }
        tracing::info!(changes = changed.len(), "the configuration was read again");
        Ok(Reloaded { changed, needs_restart: differences(&current, &fresh) })
    }
}

/// Returns the settings that differ, as `name` or `section.name`.
fn differences(current: &Config, fresh: &Config) -> Vec<String> {
    let table = |config| Table::try_from(config).unwrap_or_default();
    let (current, fresh) = (table(current), table(fresh));
    let mut names = Vec::new();
    let keys: BTreeSet<_> = current.keys().chain(fresh.keys()).collect();
    for key in keys {
        match (current.get(key), fresh.get(key)) {
            (Some(Value::Table(before)), Some(Value::Table(after))) => {
                let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
                let differing = keys.into_iter().filter(|name| before.get(*name) != after.get(*name));
                names.extend(differing.map(|name| format!("{key}.{name}")));
            }
            (before, after) if before != after => names.push(key.clone()),
            _ => {}
        }
    }
    names
}
