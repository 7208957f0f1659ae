//! The facts about an endpoint that need no types.

use crate::problem::ProblemCode::{self, *};

/// The facts about an endpoint, for routes, documents and tests that go through all of them.
#[derive(Clone, Copy, Debug)]
pub struct Metadata {
    /// The endpoint's name, which is that of its type.
    pub name: &'static str,
    /// The HTTP method.
    pub method: Method,
    /// The path, with `{parameters}`.
    pub path: &'static str,
    /// Who may call.
    pub access: Access,
    /// Whether the request has a JSON body.
    pub body: bool,
    /// What stands in the path and the query.
    pub parameters: &'static [Parameter],
    /// The resource that it belongs to.
    pub tag: &'static str,
    /// What the call does, for its users.
    pub description: &'static str,
    /// What the answer holds when the call succeeds.
    pub answer: &'static str,
    /// The status of that answer.
    pub status: u16,
    /// The problems it may answer besides those that [`Metadata::problems`] adds.
    pub own_problems: &'static [ProblemCode],
}

impl Metadata {
    /// Returns every problem that the endpoint may answer: its own, and those that follow from its access and body.
    #[must_use]
    pub fn problems(&self) -> Vec<ProblemCode> {
        let mut problems = self.own_problems.to_vec();
        problems.extend([MalformedRequest, RateLimited, Internal, Busy, Unavailable, DiskFull]);
        if self.access != Access::Anyone {
            problems.push(Unauthenticated);
        }
        if self.body {
            problems.extend([MalformedBody, BodyTooLarge, UnsupportedMediaType, RequestTimeout]);
        }
        problems
    }
}

/// An HTTP method of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// Reads and changes nothing.
    Get,
    /// Makes something, or does something that is not simply a read or a replacement.
    Post,
    /// Replaces something.
    Put,
    /// Ends or erases something.
    Delete,
}

impl Method {
    /// Returns the method's name in a request.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// Who may call an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anyone. A call that needs a password or a device's signature has it in its body.
    Anyone,
    /// A device with a live session, by its access token in `Authorization: Bearer`.
    Session,
    /// A device with a live session, by its access token in the header or in the stream's first frame.
    Stream,
}

/// An [`Access`] as a type.
pub trait AccessKind: 'static {
    /// The same as a value.
    const ACCESS: Access;
}

/// [`Access::Anyone`] as a type.
#[derive(Clone, Copy, Debug)]
pub enum Anyone {}
/// [`Access::Session`] as a type.
#[derive(Clone, Copy, Debug)]
pub enum Session {}
/// [`Access::Stream`] as a type.
#[derive(Clone, Copy, Debug)]
pub enum Stream {}

impl AccessKind for Anyone {
    const ACCESS: Access = Access::Anyone;
}
impl AccessKind for Session {
    const ACCESS: Access = Access::Session;
}
impl AccessKind for Stream {
    const ACCESS: Access = Access::Stream;
}

/// An argument of an endpoint, as documents describe it.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name in the path or the query.
    pub name: &'static str,
    /// Where it stands.
    pub place: Place,
    /// What it means.
    pub description: &'static str,
    /// Its form.
    pub form: Form,
}

/// Where an argument stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the path, where its name stands in braces.
    Path,
    /// In the query; it may be absent.
    Query,
}

/// The form of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Any text, percent-encoded.
    Text,
    /// Unpadded base64url of this many bytes.
    Base64Url(usize),
    /// An unsigned number of 64 bits, in digits.
    Number,
}
