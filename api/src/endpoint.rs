//! What an endpoint is: one typed thing that server, clients and documents share.
//!
//! A type that implements [`Endpoint`] holds the call's arguments, and names the method, the path, who may call, the request
//! and response bodies, and the problems it may answer. Each resource's module declares its endpoints with the crate's
//! `endpoints!` macro, beside their bodies; [`endpoints`](crate::endpoints) lists every one. A client makes a request from an
//! endpoint:
//!
//! ```
//! use sealpost_api::devices::ReadDeviceLists;
//! use sealpost_api::endpoint::{Endpoint as _, Method};
//! use sealpost_crypto::AccountId;
//!
//! let call = ReadDeviceLists { account_id: AccountId::from_bytes([0; 16]), after: Some(3) };
//! assert_eq!(ReadDeviceLists::METADATA.method, Method::Get);
//! assert_eq!(call.path(), "/v1/accounts/AAAAAAAAAAAAAAAAAAAAAA/devices?after=3");
//! ```

mod arguments;
mod body;
pub(crate) mod declare;
mod metadata;
#[cfg(test)]
mod tests;

pub use arguments::{Argument, ArgumentError, Arguments, PathBuilder, QueryArgument};
pub use body::{NoBody, RequestBody, ResponseBody};
pub(crate) use declare::endpoints;
pub use metadata::{Access, AccessKind, Anyone, Form, Metadata, Method, Parameter, Place, Session, Stream};

/// A call of the HTTP API. A value holds the arguments that stand in the path and the query.
pub trait Endpoint: Sized + 'static {
    /// Who may call, as a type, so that a server cannot hand out a caller where none was checked.
    type Access: AccessKind;
    /// The body of a request; [`NoBody`] where the call takes none.
    type Request: RequestBody;
    /// The body of the answer when the call succeeds.
    type Response: ResponseBody;

    /// Everything about the endpoint that needs no types.
    const METADATA: Metadata;

    /// Returns the path with its arguments, and the query if there is one.
    fn path(&self) -> String;

    /// Reads the arguments of a request.
    ///
    /// # Errors
    /// [`ArgumentError`] names the argument that is missing or malformed.
    fn parse(arguments: &Arguments<'_>) -> Result<Self, ArgumentError>;
}

/// Something that needs the types of every endpoint; see [`endpoints::visit`](crate::endpoints::visit).
pub trait Visitor {
    /// Takes one endpoint.
    fn visit<E: Endpoint>(&mut self);
}
