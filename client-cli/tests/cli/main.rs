//! Drives the real `sealpost` as scripts do: arguments, files, exit codes and JSON lines; the server is the real one too.

mod account;
#[cfg(test)]
mod canaries;
mod conversation;
mod identity;
mod mallory;
mod offline;
mod owner;
mod pty;
mod support;
mod terminal;
mod trust;
