//! Values and rules that need no store, no network and no clock of their own.

pub mod address;
pub mod clock;
pub mod common_passwords;
pub mod date;
pub mod window;
