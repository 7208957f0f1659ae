//! The native transport against real TLS servers on this machine.
#![cfg(test)]
#![cfg(feature = "native")]

mod http;
mod server;
mod stream;
mod trust;
