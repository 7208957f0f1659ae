//! People at the command line, who use `sealpost` as scripts do.

mod person;
mod programs;

pub use person::{Ended, KillAt, Person, Running};
pub use programs::Programs;
