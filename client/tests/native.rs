//! The native transport against real TLS servers on this machine.
#![cfg(feature = "native")]

#[cfg(test)]
mod native {
    mod http;
    mod server;
    mod stream;
    mod trust;
}
