//! Kills real Sealpost processes and checks that no accepted message was lost, doubled or reordered.
//!
//! [`world`] runs the server, people at the command line come from the harness, [`history`] is the checker, and [`kill`] is the
//! scenario. They use only what the command line promises to scripts: its commands, JSON lines and exit codes, and the
//! server's ready file. [`hostile`] attacks the server itself.

pub mod history;
pub mod hostile;
pub mod kill;
pub mod world;
