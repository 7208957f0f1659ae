//! The stream as a client meets it: a real server on a real port, real sockets, frames made by hand.
//!
//! Ciphertexts are opaque to the server, so plain texts stand in for them.
#![cfg(test)]

mod accepting;
mod access;
mod acks;
mod closing;
mod delivering;
mod expiring;
mod flooding;
mod panics;
mod protocol;
mod slow;
mod upgrading;
mod world;
