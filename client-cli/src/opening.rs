//! Opens a profile: its vault, its server, and the driver over both.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use sealpost_client::driver::{Driver, SystemClock};
use sealpost_client::front::Client;
use sealpost_client::front::pin::KnownServer;
use sealpost_client::vault::{Vault, VaultKeySource};
use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::args::{Global, is_standard_input};
use crate::errors;
use crate::failure::Failure;
use crate::owner::Owner;
use crate::profile::{Profile, ProfileLock};
use crate::progress::Progress;
use crate::secrets::{self, Purpose};
use crate::task::Needs;
use crate::trust;

/// A profile in use by this process.
pub(crate) struct Opened {
    /// Carries out tasks on it.
    pub(crate) owner: Rc<Owner>,
    _lock: ProfileLock,
}

impl Opened {
    /// Lets what is on its way leave, then gives the profile back.
    pub(crate) async fn close(self) {
        let Self { owner, _lock } = self;
        // Askers that are still being served hold the owner; the process ends all the same.
        if let Some(owner) = Rc::into_inner(owner) {
            owner.client.stop().await;
        }
    }
}

/// Opens profiles as the command line says.
pub(crate) struct Opener {
    /// What the command line says.
    global: Global,
    profile: Profile,
    /// Asked for once, however often the profile is opened.
    passphrase: RefCell<Option<Zeroizing<String>>>,
}

impl Opener {
    /// Opens this profile with these flags.
    pub(crate) const fn new(global: Global, profile: Profile) -> Self {
        Self { global, profile, passphrase: RefCell::new(None) }
    }

    /// Opens the vault and starts the driver. `patience` bounds the first meeting with a server.
    pub(crate) async fn open(
        &self,
        lock: ProfileLock,
        needs: Needs,
        patience: Duration,
        stop: watch::Receiver<bool>,
    ) -> Result<Opened, Failure> {
        let mut vault = self.open_vault()?;
        let known = vault.transaction(|vault| KnownServer::read(vault)).map_err(|error| errors::vault(&error))?;
        let (known, server, password) = if needs == Needs::Vault {
            (known, None, None)
        } else {
            let may_change = needs == Needs::AnyServer;
            let said = trust::said(self.global.server.as_deref(), self.global.ca.as_deref(), may_change)?;
            let decided = trust::decide(known.as_ref(), said, patience).await?;
            if known.as_ref() != Some(&decided) {
                vault.transaction(|vault| decided.write(vault)).map_err(|error| errors::vault(&error))?;
            }
            let server = decided.server().map_err(|error| errors::server(&error))?;
            (Some(decided), Some(server), self.password_at_hand())
        };
        let driver = Driver::start(vault, server, Box::new(SystemClock)).map_err(|error| errors::engine(&error))?;
        let owner = Owner::new(Client::new(driver, password), known.map(|known| known.url), stop);
        Ok(Opened { owner: Rc::new(owner), _lock: lock })
    }

    /// Returns the account's password if it can be read again when a session has ended: from a file, but not from standard
    /// input or a person.
    fn password_at_hand(&self) -> Option<sealpost_api::password::Password> {
        let file = self.global.password_file.as_deref().filter(|file| !is_standard_input(Some(file)))?;
        secrets::password(Some(file), Purpose::Existing, "").ok()
    }

    /// Opens the vault, or makes it where a registration or a login begins.
    fn open_vault(&self) -> Result<Vault, Failure> {
        let path = self.profile.vault();
        let exists = self.profile.exists();
        let source = if self.global.keyring {
            VaultKeySource::Keyring { label: self.profile.label() }
        } else {
            let purpose = if exists { Purpose::Existing } else { Purpose::New };
            let mut kept = self.passphrase.borrow_mut();
            let passphrase = match kept.as_ref() {
                Some(passphrase) => passphrase.clone(),
                None => secrets::passphrase(self.global.passphrase_file.as_ref(), purpose)?,
            };
            *kept = Some(passphrase.clone());
            VaultKeySource::Passphrase(passphrase)
        };
        let _progress = Progress::start("unlocking the vault", self.global.shows_progress());
        let opened = if exists { Vault::open(&path, &source) } else { Vault::create(&path, &source) };
        opened.map_err(|error| errors::vault(&error))
    }
}
