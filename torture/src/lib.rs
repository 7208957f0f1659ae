//! Kills real Sealpost processes for real and checks that no accepted message was lost, doubled or reordered.
//!
//! [`world`] runs the server, [`person`] drives the command line, [`history`] is the checker, and [`kill`] is the
//! scenario. Only what the command line promises to scripts is used: its commands, JSON lines and exit codes, and the
//! server's ready file. [`hostile`] speaks to the server itself, as badly as it can.

pub mod history;
pub mod hostile;
pub mod kill;
pub mod person;
pub mod world;
