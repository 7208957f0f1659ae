//! The native transport: HTTP and the WebSocket over rustls, and the trust in a server's certificate.
//!
//! ```text
//! BaseUrl ─▶ Connector (ServerTrust) ─▶ HttpClient::request
//!                                    └▶ stream::connect ─▶ StreamSender, StreamReceiver
//! ```
//!
//! Nothing here knows the engine or the vault. The TLS provider (ring) is named in every builder, never taken from the
//! process. Everything that arrives is bounded in size, everything that waits is bounded in time.

mod connect;
mod error;
mod http;
pub mod stream;
mod trust;
mod url;

pub use connect::Connector;
pub use error::{TlsFailure, TransportError};
pub use http::{HttpClient, HttpResponse};
pub use trust::{ServerCertificates, ServerTrust, TrustError, probe};
pub use url::{BaseUrl, UrlError};
