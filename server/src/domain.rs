//! Values and rules that need no store, no network and no clock of their own.

pub mod accepting;
pub mod address;
pub mod clock;
pub mod common_passwords;
pub mod constant_time;
pub mod date;
pub mod key_epochs;
pub mod quotas;
pub mod refresh;
pub mod succession;
pub mod uploads;
pub mod window;
