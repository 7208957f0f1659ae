//! The native transport: what the engine asks of the network, over [`sealpost_transport`].
//!
//! ```text
//! BaseUrl ─▶ Connector (ServerTrust) ─▶ HttpClient::request
//!                                    └▶ stream::connect ─▶ StreamSender, StreamReceiver
//! ```
//!
//! Nothing here knows the engine or the vault.

mod http;
pub mod stream;

pub use http::{HttpClient, HttpResponse};
pub use sealpost_transport::{
    BaseUrl, Connector, ServerCertificates, ServerTrust, TlsFailure, TransportError, TrustError, UrlError, probe,
};
