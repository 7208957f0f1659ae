//! The one table of problem codes: code, class, status and text. Bodies take their text from here and nowhere else.

use serde::{Deserialize, Serialize};

/// Whose fault a problem is, and so what a client does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemClass {
    /// The request is wrong; the same one will be refused again.
    Request,
    /// The caller is not who it must be.
    Authentication,
    /// The state does not allow it now; look again before another try.
    Conflict,
    /// Too much, too fast: try again later.
    Limit,
    /// The server's fault: try again later.
    Server,
}

macro_rules! problem_codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $class:ident, $status:literal, $title:literal;)*) => {
        /// A stable problem code. HTTP bodies and frames carry [`ProblemCode::as_str`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ProblemCode {
            $(#[doc = $title] $(#[$doc])* $variant,)*
        }

        impl ProblemCode {
            /// Every code, in the table's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns the code as it crosses the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// Returns whose fault it is.
            #[must_use]
            pub const fn class(self) -> ProblemClass {
                match self { $(Self::$variant => ProblemClass::$class,)* }
            }

            /// Returns the HTTP status.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// Returns a sentence for a person.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// Returns the code with this wire form.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($code => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

problem_codes! {
    MalformedBody = "malformed_body", Request, 400, "The body is not the JSON this call takes.";
    MalformedRequest = "malformed_request", Request, 400, "The path, query or headers are not what this call takes.";
    MalformedFrame = "malformed_frame", Request, 400, "The frame could not be read.";
    UnexpectedFrame = "unexpected_frame", Request, 400, "This frame is not allowed now.";
    Unauthenticated = "unauthenticated", Authentication, 401, "A valid access token is needed.";
    LoginFailed = "login_failed", Authentication, 401, "The name, the password or the device is wrong.";
    RefreshInvalid = "refresh_invalid", Authentication, 401, "The refresh token is not valid. Log in again.";
    SessionEnded = "session_ended", Authentication, 401, "The session has ended. Log in again.";
    PasswordWrong = "password_wrong", Authentication, 403, "The password is wrong.";
    Forbidden = "forbidden", Authentication, 403, "This is not allowed.";
    RegistrationClosed = "registration_closed", Authentication, 403, "Nobody can register on this server.";
    InviteInvalid = "invite_invalid", Authentication, 403, "A valid invite is needed to register on this server.";
    NotFound = "not_found", Request, 404, "Not found.";
    RecipientUnknown = "recipient_unknown", Request, 404, "The recipient is unknown.";
    MethodNotAllowed = "method_not_allowed", Request, 405, "This method is not allowed here.";
    RequestTimeout = "request_timeout", Request, 408, "The request was sent too slowly.";
    UsernameTaken = "username_taken", Conflict, 409, "This username is taken.";
    AccountTaken = "account_taken", Conflict, 409, "This account id is taken.";
    DeviceListConflict = "device_list_conflict", Conflict, 409, "The device list has changed since. Fetch it and try again.";
    PrekeyConflict = "prekey_conflict", Conflict, 409, "A prekey with this id and another key is already stored.";
    KeyEpochConflict = "key_epoch_conflict", Conflict, 409, "The keys were made for another key epoch.";
    SessionConflict = "session_conflict", Conflict, 409, "This session id is in use.";
    NumberConflict = "number_conflict", Conflict, 409, "This number was used for other bytes.";
    NumberTooOld = "number_too_old", Conflict, 409, "This number lies below the window of recognised numbers.";
    DevicesMismatch = "devices_mismatch", Conflict, 409, "The copies do not match the recipient's device list.";
    Superseded = "superseded", Conflict, 409, "A newer connection of this device took over.";
    AckUnknown = "ack_unknown", Conflict, 409, "An id was acknowledged which was not delivered on this connection.";
    BodyTooLarge = "body_too_large", Request, 413, "The body is too large.";
    CiphertextTooLarge = "ciphertext_too_large", Request, 413, "A ciphertext is empty or too large.";
    UnsupportedMediaType = "unsupported_media_type", Request, 415, "The body must be plain application/json.";
    UsernameInvalid = "username_invalid", Request, 422, "A username has 3 to 32 of a-z, 0-9, '_' and '.', and starts with a letter.";
    UsernameReserved = "username_reserved", Request, 422, "This username is reserved.";
    PasswordTooShort = "password_too_short", Request, 422, "A password has at least 8 bytes.";
    PasswordTooLong = "password_too_long", Request, 422, "A password has at most 1,024 bytes.";
    PasswordCommon = "password_common", Request, 422, "This password is among the most common ones.";
    DeviceListInvalid = "device_list_invalid", Request, 422, "The device list is not a valid signed device list for this call.";
    SignedPrekeyInvalid = "signed_prekey_invalid", Request, 422, "The signed prekey's signature is not valid.";
    SignedPrekeyExpired = "signed_prekey_expired", Request, 422, "The signed prekey is expired, or expires too late.";
    OneTimePrekeysInvalid = "one_time_prekeys_invalid", Request, 422, "There are too many one-time prekeys, or an id twice.";
    SignatureInvalid = "signature_invalid", Request, 422, "The device's signature is not valid.";
    NumberInvalid = "number_invalid", Request, 422, "Numbers start from 1.";
    CopiesInvalid = "copies_invalid", Request, 422, "A message has 1 to 8 copies, one for each device.";
    PrekeysFull = "prekeys_full", Limit, 409, "As many one-time prekeys are stored as there may be.";
    RateLimited = "rate_limited", Limit, 429, "Too many requests. Try again later.";
    QueueFull = "queue_full", Limit, 429, "The recipient's queues are full.";
    QueueShare = "queue_share", Limit, 429, "This sender already has its share of the recipient's queue.";
    Dormant = "dormant", Limit, 429, "The recipient has not been here for 30 days.";
    TooManyConnections = "too_many_connections", Limit, 429, "Too many connections.";
    Internal = "internal", Server, 500, "Something went wrong on the server.";
    Busy = "busy", Server, 503, "The server is busy. Try again soon.";
    Unavailable = "unavailable", Server, 503, "The server cannot store anything now. Try again later.";
    DiskFull = "disk_full", Server, 507, "The server's disk is full. Nothing was accepted.";
}

/// The body of an error, as RFC 9457 describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// The problem's URI, which is `urn:sealpost:problem:` and the code.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schema(pattern = "^urn:sealpost:problem:[a-z_]+$"))]
    pub kind: String,
    /// A sentence for a person, always the same for a code.
    pub title: String,
    /// The HTTP status.
    #[cfg_attr(feature = "openapi", schema(minimum = 400, maximum = 599))]
    pub status: u16,
    /// The stable code, on which a client can decide.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[a-z_]+$"))]
    pub code: String,
    /// What to look at. It never holds anything that was sent, and is absent on 5xx.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The part of the request that a 400 is about: the JSON pointer (RFC 6901) of a body's field, such as
    /// `/device/signed_prekey/id`, or the name of an argument in the path or query, such as `account_id`. Absent when no single
    /// part is wrong. It is made of the API's own names and of positions in arrays, never of anything that was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The id under which the server's log knows the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// After how many ms a retry can succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// The id of the conflicting prekey, with `prekey_conflict`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prekey_id: Option<u32>,
}

impl Problem {
    /// Makes the body for a code, with the table's text.
    #[must_use]
    pub fn new(code: ProblemCode) -> Self {
        Self {
            kind: format!("urn:sealpost:problem:{}", code.as_str()),
            title: code.title().to_owned(),
            status: code.status(),
            code: code.as_str().to_owned(),
            detail: None,
            field: None,
            request_id: None,
            retry_after: None,
            prekey_id: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_parse_back() {
        for (index, code) in ProblemCode::ALL.iter().enumerate() {
            assert_eq!(ProblemCode::parse(code.as_str()), Some(*code));
            assert_eq!(ProblemCode::ALL.iter().position(|other| other.as_str() == code.as_str()), Some(index));
        }
        assert_eq!(ProblemCode::parse("no_such_code"), None);
    }
}
