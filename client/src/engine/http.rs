//! Requests under way: who waits for what, what is tried again and when.

use sealpost_api::password::AccessToken;
use sealpost_api::problem::{Problem, ProblemClass, ProblemCode};
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, UnixMillis};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::command::{CommandError, CommandId};
use super::effect::{Effect, HttpResponse, Method, Request, RequestFailure, RequestId};
use super::{Context, Engine, EngineError};

/// First wait after a failure, in ms; doubled with each further one.
const BACKOFF_FIRST_MS: u64 = 250;
/// Longest wait, in ms: a server that comes back is found within half a minute.
const BACKOFF_MAX_MS: u64 = 30_000;
/// Longest wait that a server may ask for, in ms: no limit of the specification takes longer, and a server that says
/// "never" must not be believed.
const RETRY_AFTER_MAX_MS: u64 = 3_600_000;
/// Failures in a row after which commands are told that the server can't be reached: about a second, so that a restart of
/// the server is waited for and an absent one is reported soon.
const UNREACHABLE_AFTER: u32 = 3;

/// What a request is for. There is at most one under way for each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose {
    ServerInfo,
    CurrentIdentity,
    Account,
    Refresh,
    LookUp(Username),
    Lists(AccountId),
    Bundles(AccountId),
    PrekeyDiscard,
    PrekeyStatus,
    PrekeyIds,
    PrekeyUpload,
    PublishLists,
    ChangePassword,
    Call(CommandId),
}

/// When to try again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    failures: u32,
    pub(super) retry_at: UnixMillis,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { failures: 0, retry_at: UnixMillis(0) }
    }
}

impl Backoff {
    /// Ends the wait, without forgetting the failures: somebody asks.
    pub(super) fn try_now(&mut self) {
        self.retry_at = UnixMillis(0);
    }

    /// Counts a failure. Half of each wait is random, so that many clients do not come back at once.
    pub(super) fn fail(&mut self, context: &mut Context<'_>, at_least_ms: Option<u64>) {
        let wait = BACKOFF_FIRST_MS.checked_shl(self.failures.min(16)).unwrap_or(BACKOFF_MAX_MS).min(BACKOFF_MAX_MS);
        let jitter = u64::from_le_bytes(context.draw()) % (wait / 2).max(1);
        self.failures = self.failures.saturating_add(1);
        self.retry_at = context
            .now
            .saturating_add((wait / 2).saturating_add(jitter).max(at_least_ms.unwrap_or(0).min(RETRY_AFTER_MAX_MS)));
    }
}

/// An answer, sorted.
pub(super) enum Answer {
    /// 2xx.
    Done(Zeroizing<Vec<u8>>),
    /// A problem of the table.
    Refused(Refusal),
    /// None, or nothing that the API says.
    Failed,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    pub(super) code: ProblemCode,
    pub(super) retry_after: Option<u64>,
}

impl Refusal {
    /// The server did not act, and would not act on the same request again.
    pub(super) fn is_final(self) -> bool {
        matches!(self.code.class(), ProblemClass::Request | ProblemClass::Authentication | ProblemClass::Conflict)
    }

    /// The server did not act, because of its limits.
    pub(super) fn is_limit(self) -> bool {
        self.code.class() == ProblemClass::Limit
    }
}

impl From<Refusal> for CommandError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused { code: refusal.code, retry_after: refusal.retry_after }
    }
}

impl Answer {
    fn sort(result: Result<HttpResponse, RequestFailure>) -> Self {
        let Ok(response) = result else { return Self::Failed };
        let body = Zeroizing::new(response.body);
        if (200..300).contains(&response.status) {
            return Self::Done(body);
        }
        let problem: Option<Problem> = serde_json::from_slice(&body).ok();
        match problem.and_then(|problem| Some((ProblemCode::parse(&problem.code)?, problem.retry_after))) {
            Some((code, retry_after)) => Self::Refused(Refusal { code, retry_after }),
            None => Self::Failed,
        }
    }
}

/// A 2xx body of this shape.
pub(super) fn body<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}

impl Engine {
    /// Makes a request, unless one for this purpose is under way or it is too early to repeat one.
    pub(super) fn ask<B: Serialize>(
        &mut self,
        context: &mut Context<'_>,
        purpose: Purpose,
        (method, path): (Method, String),
        body: Option<&B>,
        bearer: Option<AccessToken>,
    ) -> Result<(), EngineError> {
        let body = body.map(super::codec::write).transpose()?;
        self.ask_raw(context, purpose, (method, path), body, bearer);
        Ok(())
    }

    /// [`ask`](Self::ask) with a body as it is.
    pub(super) fn ask_raw(
        &mut self,
        context: &Context<'_>,
        purpose: Purpose,
        (method, path): (Method, String),
        body: Option<Zeroizing<Vec<u8>>>,
        bearer: Option<AccessToken>,
    ) {
        if !self.may_ask(context, &purpose) {
            return;
        }
        let id = RequestId(self.next_request);
        self.next_request = self.next_request.wrapping_add(1);
        self.requests.insert(id, purpose);
        self.effects.push(Effect::Request(Request { id, method, path, body, bearer }));
    }

    /// Whether a request for this purpose would be made now.
    pub(super) fn may_ask(&mut self, context: &Context<'_>, purpose: &Purpose) -> bool {
        if self.requests.values().any(|under_way| under_way == purpose) {
            return false;
        }
        match self.backoffs.get(purpose).map(|backoff| backoff.retry_at) {
            Some(retry_at) if retry_at > context.now => {
                self.wake_at(retry_at);
                false
            }
            _ => true,
        }
    }

    /// Waits before another request for this purpose.
    pub(super) fn back_off(&mut self, context: &mut Context<'_>, purpose: Purpose, at_least_ms: Option<u64>) {
        self.backoffs.entry(purpose).or_default().fail(context, at_least_ms);
    }

    pub(super) fn on_response(
        &mut self,
        context: &mut Context<'_>,
        request: RequestId,
        result: Result<HttpResponse, RequestFailure>,
    ) -> Result<(), EngineError> {
        let Some(purpose) = self.requests.remove(&request) else { return Ok(()) };
        let answer = Answer::sort(result);
        match &answer {
            Answer::Done(_) => {
                // Forgotten below, unless what was answered turns out to be no answer.
                self.backoffs.entry(purpose.clone()).or_default().try_now();
                self.failures = 0;
            }
            Answer::Refused(refusal) => {
                self.failures = 0;
                self.back_off(context, purpose.clone(), refusal.retry_after);
                if refusal.code == ProblemCode::Unauthenticated {
                    self.forget_access_token(context)?;
                }
            }
            Answer::Failed => {
                self.back_off(context, purpose.clone(), None);
                self.note_failure(context)?;
            }
        }
        self.dispatch(context, purpose.clone(), answer)?;
        if self.backoffs.get(&purpose).is_some_and(|backoff| backoff.retry_at == UnixMillis(0)) {
            self.backoffs.remove(&purpose);
        }
        Ok(())
    }

    /// Counts a failure to reach the server; after a few in a row, everyone who waits is told.
    pub(super) fn note_failure(&mut self, context: &mut Context<'_>) -> Result<(), EngineError> {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= UNREACHABLE_AFTER {
            self.failures = 0;
            self.fail_commands(context, &CommandError::Unreachable)?;
        }
        Ok(())
    }

    fn dispatch(&mut self, context: &mut Context<'_>, purpose: Purpose, answer: Answer) -> Result<(), EngineError> {
        match purpose {
            Purpose::ServerInfo => self.on_server_info(&answer),
            Purpose::CurrentIdentity => self.on_current_identity(context, &answer),
            Purpose::Account => self.on_account_answer(context, &answer),
            Purpose::Refresh => self.on_refresh_answer(context, &answer),
            Purpose::LookUp(name) => self.on_look_up_answer(context, &name, &answer),
            Purpose::Lists(account) => self.on_lists_answer(context, account, &answer),
            Purpose::Bundles(account) => self.on_bundles_answer(context, account, &answer),
            Purpose::PrekeyDiscard => self.on_prekey_discard_answer(context, &answer),
            Purpose::PrekeyStatus => self.on_prekey_status_answer(context, &answer),
            Purpose::PrekeyIds => self.on_prekey_ids_answer(context, &answer),
            Purpose::PrekeyUpload => self.on_prekey_upload_answer(context, &answer),
            Purpose::PublishLists => self.on_publish_answer(context, &answer),
            Purpose::ChangePassword => self.on_password_answer(context, &answer),
            Purpose::Call(id) => self.on_call_answer(context, id, &answer),
        }
    }
}
