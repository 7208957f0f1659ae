//! The engine against a model of the server, with a clock, a network and randomness that tests control.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking, and so does the model of the server when it is misused"
)]

mod support;

mod accounts;
mod crashes;
mod devices;
mod floods;
mod impostors;
mod mallory;
mod messages;
mod recovery;
