//! The session's tokens: an access token that lives for minutes, and the refresh token that gets the next one.
//!
//! The client draws the successor of the refresh token and stores it before it sends its hash, and a signature is the same
//! for the same words. So a repeated request is the same request, and a lost answer locks nobody out.

use sealpost_api::encoding::{B64, RefreshToken};
use sealpost_api::frames::ClientFrame;
use sealpost_api::password::AccessToken;
use sealpost_api::problem::{ProblemClass, ProblemCode};
use sealpost_api::sessions::{RefreshRequest, SessionGrant};
use sealpost_crypto::{RefreshStatement, UnixMillis};

use super::codec::Bin;
use super::effect::{Effect, Method};
use super::http::{Answer, Purpose, body};
use super::state;
use super::{Context, Engine, EngineError, Link};
use crate::vault::Table;

/// An access token with less than this left is replaced, in ms.
const RENEW_BEFORE_MS: u64 = 60_000;
/// An access token with less than this left is not used, in ms: it could expire on its way.
const UNUSABLE_BEFORE_MS: u64 = 5_000;

impl Engine {
    /// An access token that is good for now. Without one, what is needed to get it has been begun.
    pub(super) fn bearer(&mut self, context: &mut Context<'_>) -> Result<Option<AccessToken>, EngineError> {
        let Some(login) = &self.login else {
            if !self.log_in_again(context)? {
                self.tell_needs_login(context)?;
            } else if self.account_request.is_some() {
                self.advance_account(context)?;
            }
            return Ok(None);
        };
        let expires_at = UnixMillis(login.access_expires_at);
        let token = login.access.clone();
        let left = if token.is_some() { expires_at.since(context.now) } else { 0 };
        if left < RENEW_BEFORE_MS {
            self.refresh(context)?;
        }
        Ok(token.filter(|_| left >= UNUSABLE_BEFORE_MS))
    }

    /// Renews the token of an open stream in time.
    pub(super) fn advance_tokens(&mut self, context: &mut Context<'_>) -> Result<(), EngineError> {
        if self.link == Link::Closed {
            return Ok(());
        }
        if let Some(login) = &self.login {
            let renew_at = UnixMillis(login.access_expires_at).saturating_sub(RENEW_BEFORE_MS);
            if renew_at > context.now {
                self.wake_at(renew_at);
            } else {
                self.refresh(context)?;
            }
        }
        Ok(())
    }

    fn refresh(&mut self, context: &mut Context<'_>) -> Result<(), EngineError> {
        if !self.may_ask(context, &Purpose::Refresh) {
            return Ok(());
        }
        let (Some(login), Some(me)) = (&mut self.login, &self.me) else { return Ok(()) };
        if login.next.is_none() {
            login.next = Some(Bin(RefreshToken::from_bytes(context.draw())));
            context.save(Table::Meta, state::LOGIN, login)?;
        }
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
        self.ask(context, Purpose::Refresh, (Method::Post, "/v1/sessions/refresh".to_owned()), Some(&request), None)
    }

    pub(super) fn on_refresh_answer(&mut self, context: &mut Context<'_>, answer: &Answer) -> Result<(), EngineError> {
        let Some(login) = &mut self.login else { return Ok(()) };
        match answer {
            Answer::Done(bytes) => {
                let Some(grant) = body::<SessionGrant>(bytes).filter(|grant| grant.session_id.0 == login.session)
                else {
                    self.back_off(context, Purpose::Refresh, None);
                    return Ok(());
                };
                if let Some(Bin(next)) = login.next.take() {
                    login.refresh = next;
                }
                login.access_expires_at = context.now.saturating_add(grant.expires_in.saturating_mul(1000)).0;
                login.access = Some(grant.access_token.clone());
                context.save(Table::Meta, state::LOGIN, login)?;
                if matches!(self.link, Link::Open | Link::Ready) {
                    self.effects.push(Effect::SendFrame(ClientFrame::Auth { token: grant.access_token }.encode()));
                }
                Ok(())
            }
            Answer::Refused(refusal)
                if matches!(refusal.code.class(), ProblemClass::Authentication)
                    || refusal.code == ProblemCode::NotFound =>
            {
                context.erase(Table::Meta, state::LOGIN)?;
                self.login = None;
                self.backoffs.remove(&Purpose::Refresh);
                self.close_link();
                if !self.log_in_again(context)? {
                    self.tell_needs_login(context)?;
                }
                Ok(())
            }
            Answer::Refused(_) | Answer::Failed => Ok(()),
        }
    }

    /// The server does not take the access token any more, for example after a password change.
    pub(super) fn forget_access_token(&mut self, context: &mut Context<'_>) -> Result<(), EngineError> {
        if let Some(login) = &mut self.login
            && login.access.take().is_some()
        {
            context.save(Table::Meta, state::LOGIN, login)?;
        }
        Ok(())
    }
}
