//! The engine against a model of the server, with a clock, a network and randomness that tests control.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking, and so does the model of the server when it is misused"
)]

#[path = "engine/support.rs"]
mod support;

#[path = "engine/accounts.rs"]
mod accounts;
#[path = "engine/crashes.rs"]
mod crashes;
#[path = "engine/devices.rs"]
mod devices;
#[path = "engine/floods.rs"]
mod floods;
#[path = "engine/impostors.rs"]
mod impostors;
#[path = "engine/mallory.rs"]
mod mallory;
#[path = "engine/messages.rs"]
mod messages;
#[path = "engine/recovery.rs"]
mod recovery;
