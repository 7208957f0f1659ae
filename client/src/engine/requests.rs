//! The scheduler of HTTP requests: one under way for each purpose, repeated after growing waits.
//!
//! A part asks through its step. What needs a log-in is kept as an [`Ask`] until the engine has an access token for it.

use std::collections::BTreeMap;

use sealpost_api::endpoint::{Endpoint, Method};
use sealpost_api::problem::{Problem, ProblemClass, ProblemCode};
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, UnixMillis};
use zeroize::Zeroizing;

use super::backoff::Backoff;
use super::command::{CommandError, CommandId};
use super::effect::{HttpResponse, RequestFailure, RequestId};

/// Failures in a row after which commands are told that the server can't be reached: about a second, so that a restart of
/// the server is waited for and an absent one is reported soon.
const UNREACHABLE_AFTER: u32 = 3;

/// What a request is for. There is at most one under way for each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
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

/// A request that is to be made.
pub(crate) struct Ask {
    pub(crate) purpose: Purpose,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Option<Zeroizing<Vec<u8>>>,
}

/// Whether a request would be made now.
pub(crate) enum May {
    Now,
    /// One for this purpose is under way, or waits for an access token.
    UnderWay,
    /// Not before this time.
    From(UnixMillis),
}

/// The requests under way, and when others may be repeated.
#[derive(Default)]
pub(crate) struct Requests {
    under_way: BTreeMap<RequestId, Purpose>,
    backoffs: BTreeMap<Purpose, Backoff>,
    next: u64,
    /// How often in a row the server could not be reached.
    failures: u32,
    asks: Vec<Ask>,
}

impl Requests {
    /// Returns whether a request for this purpose would be made now.
    pub(crate) fn may(&self, purpose: &Purpose, now: UnixMillis) -> May {
        let asked = self.asks.iter().map(|ask| &ask.purpose);
        if self.under_way.values().chain(asked).any(|under_way| under_way == purpose) {
            return May::UnderWay;
        }
        match self.backoffs.get(purpose).map(Backoff::retry_at) {
            Some(retry_at) if retry_at > now => May::From(retry_at),
            _ => May::Now,
        }
    }

    /// Keeps a request until there is an access token for it.
    pub(crate) fn keep(&mut self, ask: Ask) {
        self.asks.push(ask);
    }

    /// Returns the requests that wait for an access token.
    pub(crate) fn take_asks(&mut self) -> Vec<Ask> {
        std::mem::take(&mut self.asks)
    }

    /// Notes that a request for this purpose is under way.
    pub(crate) fn begin(&mut self, purpose: Purpose) -> RequestId {
        let id = RequestId(self.next);
        self.next = self.next.wrapping_add(1);
        self.under_way.insert(id, purpose);
        id
    }

    /// Notes that a request has ended; `None` if nobody waits for it.
    pub(crate) fn end(&mut self, id: RequestId) -> Option<Purpose> {
        self.under_way.remove(&id)
    }

    /// Ignores the answers to requests for this purpose that are under way.
    pub(crate) fn ignore(&mut self, purpose: &Purpose) {
        self.under_way.retain(|_, under_way| under_way != purpose);
    }

    /// Waits before another request for this purpose.
    pub(crate) fn back_off(&mut self, purpose: Purpose, now: UnixMillis, jitter: u64, at_least_ms: Option<u64>) {
        self.backoffs.entry(purpose).or_default().fail(now, jitter, at_least_ms);
    }

    /// Ends the wait for this purpose, but keeps its failures until [`settle`](Self::settle).
    pub(crate) fn try_now(&mut self, purpose: &Purpose) {
        self.backoffs.entry(purpose.clone()).or_default().try_now();
    }

    /// Forgets the failures of a purpose whose answer was of use.
    pub(crate) fn settle(&mut self, purpose: &Purpose) {
        if self.backoffs.get(purpose).is_some_and(|backoff| !backoff.is_waiting()) {
            self.backoffs.remove(purpose);
        }
    }

    /// Forgets the failures of a purpose.
    pub(crate) fn forgive(&mut self, purpose: &Purpose) {
        self.backoffs.remove(purpose);
    }

    /// Forgets every failure: somebody asks, and may try at once.
    pub(crate) fn forgive_all(&mut self) {
        self.backoffs.clear();
    }

    /// Returns whether requests for this purpose fail.
    pub(crate) fn is_failing(&self, purpose: &Purpose) -> bool {
        self.backoffs.contains_key(purpose)
    }

    /// Notes that the server answers.
    pub(crate) const fn reached(&mut self) {
        self.failures = 0;
    }

    /// Counts a failure to reach the server. Returns whether those who wait are to be told.
    pub(crate) const fn unreached(&mut self) -> bool {
        self.failures = self.failures.saturating_add(1);
        if self.failures < UNREACHABLE_AFTER {
            return false;
        }
        self.failures = 0;
        true
    }
}

/// An answer, sorted.
pub(crate) enum Answer {
    /// 2xx.
    Done(Zeroizing<Vec<u8>>),
    /// A problem of the table.
    Refused(Refusal),
    /// No answer, or nothing that the API says.
    Failed,
}

/// A problem of the table, as the server named it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    pub(crate) code: ProblemCode,
    pub(crate) retry_after: Option<u64>,
}

impl Refusal {
    /// Returns whether the server did not act, and would not act on the same request again.
    pub(crate) fn is_final(self) -> bool {
        matches!(self.code.class(), ProblemClass::Request | ProblemClass::Authentication | ProblemClass::Conflict)
    }

    /// Returns whether the server did not act because of its limits.
    pub(crate) fn is_limit(self) -> bool {
        self.code.class() == ProblemClass::Limit
    }

    /// Returns whether only the access token was not taken. Another one is asked for, and the request repeated.
    pub(crate) fn is_unauthenticated(self) -> bool {
        self.code == ProblemCode::Unauthenticated
    }
}

impl From<Refusal> for CommandError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused { code: refusal.code, retry_after: refusal.retry_after }
    }
}

impl Answer {
    /// Sorts what the transport brought.
    pub(crate) fn sort(result: Result<HttpResponse, RequestFailure>) -> Self {
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

/// Reads the answer to a call that succeeded; `None` if it has another shape.
pub(crate) fn read<E: Endpoint>(bytes: &[u8]) -> Option<E::Response> {
    serde_json::from_slice(bytes).ok()
}
