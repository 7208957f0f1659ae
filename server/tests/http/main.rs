//! The HTTP interface as a client meets it: a real server on a real port, the embedded store, real keys and signatures.
//!
//! Every answer of every call is checked against the table of routes, from which the OpenAPI document is made.
#![cfg(test)]

mod abuse;
mod access;
mod account;
mod accounts;
mod bodies;
mod contract;
mod devices;
mod fields;
mod identity;
mod injections;
mod limits;
mod malformed;
mod panics;
mod passwords;
mod prekeys;
mod requests;
mod schema;
mod server;
mod sessions;
mod socket;
mod sockets;
mod threat_answers;
mod threat_names;
mod threat_passwords;
mod threat_sessions;
mod threat_times;
mod threat_tokens;
