//! The adapters to the network: they decode, call one method of the services and encode.

pub mod http;
pub mod tls;
pub mod ws;
