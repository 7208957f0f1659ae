//! The log-in's tokens: an access token that lives for minutes, and the refresh token that gets the next one.
//!
//! The client draws the successor of the refresh token and stores it before it sends its hash, and a signature is the same
//! for the same words. So a repeated request is the same request, and a lost answer locks nobody out.

use sealpost_api::encoding::{B64, RefreshToken};
use sealpost_api::ids::{ServerId, SessionId};
use sealpost_api::password::AccessToken;
use sealpost_api::problem::{ProblemClass, ProblemCode};
use sealpost_api::sessions::{RefreshRequest, RefreshSession, SessionGrant};
use sealpost_crypto::{RefreshStatement, UnixMillis};
use serde::{Deserialize, Serialize};

use crate::engine::codec::{Bin, bin};
use crate::engine::error::EngineError;
use crate::engine::fact::Fact;
use crate::engine::records::Me;
use crate::engine::requests::{Answer, Purpose, read};
use crate::engine::step::Step;
use crate::engine::store::{Record, Single};
use crate::vault::{Table, VaultTransaction};

/// An access token with less than this left is replaced, in ms.
const RENEW_BEFORE_MS: u64 = 60_000;
/// An access token with less than this left is not used, in ms: it could expire on its way.
const UNUSABLE_BEFORE_MS: u64 = 5_000;

/// The log-in at the server.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    #[serde(with = "bin")]
    server: ServerId,
    #[serde(with = "bin")]
    pub(super) session: SessionId,
    #[serde(with = "bin")]
    refresh: RefreshToken,
    /// The successor, stored before its hash is sent.
    next: Option<Bin<RefreshToken>>,
    access: Option<AccessToken>,
    /// When the access token expires, by this device's clock.
    access_expires_at: u64,
}

impl Login {
    /// Returns a log-in that the server has not granted yet.
    pub(super) const fn new(server: ServerId, session: SessionId, refresh: RefreshToken) -> Self {
        Self { server, session, refresh, next: None, access: None, access_expires_at: 0 }
    }

    /// Takes what the server has granted.
    pub(super) fn granted(&mut self, now: UnixMillis, grant: &SessionGrant) {
        self.access = Some(grant.access_token.clone());
        self.access_expires_at = now.saturating_add(grant.expires_in.saturating_mul(1000)).0;
    }
}

impl Record for Login {
    const TABLE: Table = Table::Meta;
    const KEY: &'static [u8] = b"login";
    const WHAT: &'static str = "the session";
}

/// The tokens of the log-in, if there is one.
pub(super) struct Tokens {
    login: Single<Login>,
}

impl Tokens {
    pub(super) fn open(vault: &mut dyn VaultTransaction) -> Result<Self, EngineError> {
        Ok(Self { login: Single::open(vault)? })
    }

    pub(super) fn flush(&mut self, vault: &mut dyn VaultTransaction) -> Result<(), EngineError> {
        self.login.flush(vault)
    }

    pub(super) const fn is_logged_in(&self) -> bool {
        self.login.get().is_some()
    }

    /// Returns which log-in this is.
    pub(super) fn session(&self) -> Option<SessionId> {
        self.login.get().map(|login| login.session)
    }

    /// Goes on with another log-in.
    pub(super) fn set(&mut self, login: Login) {
        self.login.set(login);
    }

    /// Forgets the log-in.
    pub(super) fn end(&mut self) {
        self.login.take();
    }

    /// Returns an access token that is good for now. One that expires soon is being replaced.
    pub(super) fn usable(&mut self, step: &mut Step<'_>, me: Option<&Me>) -> Result<Option<AccessToken>, EngineError> {
        let Some(login) = self.login.get() else { return Ok(None) };
        let token = login.access.clone();
        let left = if token.is_some() { UnixMillis(login.access_expires_at).since(step.now) } else { 0 };
        if left < RENEW_BEFORE_MS {
            self.refresh(step, me)?;
        }
        Ok(token.filter(|_| left >= UNUSABLE_BEFORE_MS))
    }

    /// Renews the token of an open stream in time.
    pub(super) fn keep_fresh(&mut self, step: &mut Step<'_>, me: Option<&Me>) -> Result<(), EngineError> {
        let Some(login) = self.login.get() else { return Ok(()) };
        let renew_at = UnixMillis(login.access_expires_at).saturating_sub(RENEW_BEFORE_MS);
        if renew_at > step.now {
            step.wake_at(renew_at);
            return Ok(());
        }
        self.refresh(step, me)
    }

    fn refresh(&mut self, step: &mut Step<'_>, me: Option<&Me>) -> Result<(), EngineError> {
        let Some(me) = me else { return Ok(()) };
        if !step.may_ask(&Purpose::Refresh) {
            return Ok(());
        }
        if self.login.get().is_some_and(|login| login.next.is_none())
            && let Some(login) = self.login.edit()
        {
            login.next = Some(Bin(RefreshToken::from_bytes(step.draw())));
        }
        let Some(login) = self.login.get() else { return Ok(()) };
        let Some(Bin(next)) = &login.next else { return Err(EngineError::Internal) };
        let statement = RefreshStatement {
            server: *login.server.as_bytes(),
            session: *login.session.as_bytes(),
            old_hash: *login.refresh.hash().as_bytes(),
            next_hash: *next.hash().as_bytes(),
        };
        let request = RefreshRequest {
            session_id: B64(login.session),
            refresh_token: B64(login.refresh.clone()),
            next_hash: B64(next.hash()),
            signature: B64(statement.sign(&me.identity)),
        };
        step.ask_openly(Purpose::Refresh, &RefreshSession {}, &request)
    }

    /// Takes the answer to a refresh. Returns whether the log-in has ended.
    pub(super) fn on_answer(&mut self, step: &mut Step<'_>, answer: &Answer) -> bool {
        let Some(login) = self.login.get() else { return false };
        match answer {
            Answer::Done(bytes) => {
                let grant = read::<RefreshSession>(bytes).filter(|grant| grant.session_id.0 == login.session);
                match (grant, self.login.edit()) {
                    (Some(grant), Some(login)) => {
                        if let Some(Bin(next)) = login.next.take() {
                            login.refresh = next;
                        }
                        login.granted(step.now, &grant);
                        step.tell(Fact::TokenRenewed(grant.access_token));
                    }
                    _ => step.back_off(Purpose::Refresh, None),
                }
                false
            }
            Answer::Refused(refusal)
                if matches!(refusal.code.class(), ProblemClass::Authentication)
                    || refusal.code == ProblemCode::NotFound =>
            {
                self.end();
                step.lent.requests.forgive(&Purpose::Refresh);
                true
            }
            Answer::Refused(_) | Answer::Failed => false,
        }
    }

    /// Forgets the access token, which the server no longer accepts, for example after a password change.
    pub(super) fn forget_access_token(&mut self) {
        if self.login.get().is_some_and(|login| login.access.is_some())
            && let Some(login) = self.login.edit()
        {
            login.access = None;
        }
    }
}
