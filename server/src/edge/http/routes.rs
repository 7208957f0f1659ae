//! The one table of routes: method, path, handler, who may call, which limits count, and which problems it may answer.

use actix_web::http::Method;
use actix_web::web;
use sealpost_api::problem::ProblemCode::{self, *};
use sealpost_sabotage::{Countermeasure, without};

use super::{accounts, devices, health, prekeys, problem, sessions, stream};
use crate::service::limiter::LimitName;

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Anyone; what the call itself demands (a password, a device's signature) is in its body.
    Anyone,
    /// A device with a live session, by its access token.
    Session,
    /// The stream: an access token in the header, or in the first frame.
    Stream,
}

/// A line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The HTTP method.
    pub method: Verb,
    /// The path, with `{parameters}`.
    pub path: &'static str,
    /// Who may call.
    pub auth: Auth,
    /// Whether it takes a JSON body.
    pub body: bool,
    /// The limits it counts against, besides [`LimitName::RequestsAddress`], which every call does.
    pub limits: &'static [LimitName],
    /// The problems it may answer, besides those of [`Route::problems`] that follow from the above.
    pub own_problems: &'static [ProblemCode],
    handler: fn(actix_web::Route) -> actix_web::Route,
}

/// The methods that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// GET
    Get,
    /// POST
    Post,
    /// PUT
    Put,
    /// DELETE
    Delete,
}

impl Verb {
    /// The method's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }

    fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Post => Method::POST,
            Self::Put => Method::PUT,
            Self::Delete => Method::DELETE,
        }
    }
}

impl Route {
    /// Every problem it may answer.
    #[must_use]
    pub fn problems(&self) -> Vec<ProblemCode> {
        let mut problems = self.own_problems.to_vec();
        problems.extend([MalformedRequest, RateLimited, Internal, Busy, Unavailable, DiskFull]);
        if self.auth != Auth::Anyone {
            problems.push(Unauthenticated);
        }
        if self.body {
            problems.extend([MalformedBody, BodyTooLarge, UnsupportedMediaType, RequestTimeout]);
        }
        problems
    }
}

macro_rules! route {
    ($method:ident $path:literal, $auth:ident, $body:literal, [$($limit:ident),*], [$($problem:ident),*], $handler:path) => {
        Route {
            method: Verb::$method,
            path: $path,
            auth: Auth::$auth,
            body: $body,
            limits: &[$(LimitName::$limit),*],
            own_problems: &[$($problem),*],
            handler: |route| route.to($handler),
        }
    };
}

/// Every route. A path with parameters stands after those that it would swallow.
pub const ROUTES: &[Route] = &[
    route!(Get "/healthz", Anyone, false, [], [], health::healthz),
    route!(Get "/readyz", Anyone, false, [], [], health::readyz),
    route!(Get "/v1/openapi.json", Anyone, false, [], [], health::openapi_json),
    route!(Get "/v1/server", Anyone, false, [], [], health::server),
    route!(Post "/v1/accounts", Anyone, true, [RegisterAddress],
        [RegistrationClosed, InviteInvalid, UsernameInvalid, UsernameReserved, UsernameTaken, PasswordTooShort,
         PasswordTooLong, PasswordCommon, DeviceListInvalid, SignedPrekeyInvalid, SignedPrekeyExpired,
         OneTimePrekeysInvalid, SignatureInvalid, AccountTaken, SessionConflict], accounts::register),
    route!(Get "/v1/accounts/by-name/{username}", Session, false, [LookupAddress, LookupAccount], [NotFound],
        accounts::by_name),
    route!(Get "/v1/accounts/{account_id}/devices", Session, false, [], [NotFound], devices::lists),
    route!(Post "/v1/accounts/{account_id}/bundles", Session, true, [BundleRefuse, BundlePair, BundleTarget], [NotFound],
        prekeys::bundles),
    route!(Post "/v1/identity/current", Anyone, true, [LoginAddress, LoginAccount, LoginServer], [LoginFailed],
        accounts::current_identity),
    route!(Post "/v1/identity", Anyone, true, [LoginAddress, LoginAccount, LoginServer, PublishAccount],
        [LoginFailed, DeviceListInvalid, DeviceListConflict, SignedPrekeyInvalid, SignedPrekeyExpired,
         OneTimePrekeysInvalid, SignatureInvalid, SessionConflict, SessionEnded], accounts::new_identity),
    route!(Put "/v1/account/password", Session, true, [PasswordAccount],
        [PasswordWrong, PasswordTooShort, PasswordTooLong, PasswordCommon], accounts::change_password),
    route!(Post "/v1/account/delete", Session, true, [PasswordAccount], [PasswordWrong], accounts::delete),
    route!(Get "/v1/account/export", Session, false, [], [], accounts::export),
    route!(Put "/v1/account/devices", Session, true, [PublishAccount],
        [DeviceListInvalid, DeviceListConflict, SignedPrekeyInvalid, SignedPrekeyExpired, OneTimePrekeysInvalid],
        devices::publish),
    route!(Post "/v1/sessions", Anyone, true, [LoginAddress, LoginDevice, LoginAccount, LoginServer],
        [LoginFailed, SessionConflict], sessions::log_in),
    route!(Post "/v1/sessions/refresh", Anyone, true, [], [RefreshInvalid, SessionEnded], sessions::refresh),
    route!(Get "/v1/sessions", Session, false, [], [], sessions::list),
    route!(Delete "/v1/sessions", Session, false, [], [], sessions::end_all),
    route!(Delete "/v1/sessions/current", Session, false, [], [], sessions::log_out),
    route!(Delete "/v1/sessions/{session_id}", Session, false, [], [], sessions::end_one),
    route!(Get "/v1/prekeys", Session, false, [], [], prekeys::status),
    route!(Get "/v1/prekeys/ids", Session, false, [], [], prekeys::ids),
    route!(Post "/v1/prekeys", Session, true, [UploadDevice],
        [KeyEpochConflict, PrekeyConflict, PrekeysFull, OneTimePrekeysInvalid, SignedPrekeyInvalid, SignedPrekeyExpired],
        prekeys::upload),
    route!(Delete "/v1/prekeys", Session, false, [], [], prekeys::discard),
    route!(Get "/v1/stream", Stream, false, [ConnectDevice], [Forbidden, TooManyConnections],
        stream::stream),
];

/// Registers every route: one resource a path, which answers other methods with the list of those it has.
pub(super) fn configure(config: &mut web::ServiceConfig) {
    let mut paths: Vec<&str> = Vec::new();
    for route in ROUTES {
        if !paths.contains(&route.path) {
            paths.push(route.path);
        }
    }
    for path in paths {
        let of_path = || ROUTES.iter().filter(move |route| route.path == path);
        let allow = of_path().map(|route| route.method.as_str()).collect::<Vec<_>>().join(", ");
        let mut resource = web::resource(path);
        for route in of_path() {
            resource = resource.route((route.handler)(web::method(route.method.method())));
        }
        let refused = web::to(move || {
            let response = problem::method_not_allowed(&allow);
            async move { response }
        });
        config.service(resource.default_service(refused));
    }
    // Metrics, and health with its reasons, are on the private listener and not here.
    if without(Countermeasure::ClosedRoutes) {
        config.route("/metrics", web::to(health::healthz));
    }
}

/// The table as text, one route a line: for documents and for people.
#[must_use]
pub fn listing() -> String {
    let mut text = String::new();
    for route in ROUTES {
        let auth = match route.auth {
            Auth::Anyone => "anyone",
            Auth::Session => "access token",
            Auth::Stream => "access token or first frame",
        };
        let limits: Vec<&str> = route.limits.iter().map(|limit| limit.rule().name).collect();
        let line = format!("{:<6} {:<38} {:<27} {}\n", route.method.as_str(), route.path, auth, limits.join(" "));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
