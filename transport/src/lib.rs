//! TLS, HTTP and WebSockets for programs that are no browser.
//!
//! ```text
//! BaseUrl ─▶ Connector (ServerTrust or Roots) ─▶ HttpClient::request(Call)
//!                                             └▶ socket::open(Call) ─▶ SocketSender, SocketReceiver
//! ```
//!
//! Nothing here knows Sealpost's API. The TLS provider (ring) is named in every builder, never taken from the process.
//! Everything that arrives is bounded in size, everything that waits is bounded in time.

mod call;
mod connect;
mod error;
mod http;
mod probe;
mod roots;
pub mod socket;
mod trust;
mod url;

pub use call::Call;
pub use connect::{Connector, Io};
pub use error::{TlsFailure, TransportError};
pub use http::{Answer, HttpClient};
pub use probe::{ServerCertificates, probe};
pub use roots::{Roots, TrustError};
pub use trust::ServerTrust;
pub use url::{BaseUrl, UrlError};
