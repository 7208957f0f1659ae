//! The routes: which part an input goes to, and which parts a fact concerns.
//!
//! A fact is handed on at once, and what follows from it before the next fact. So effects and events come in the order in
//! which things happened.

mod advance;
mod answers;
mod commands;
mod deliveries;
mod facts;
mod frames;
mod life;
mod rollback;
mod sending;

pub(crate) use advance::advance;
pub(crate) use answers::on_response;
pub(crate) use commands::on_command;
pub(crate) use frames::on_frame;
pub(crate) use rollback::vault_rolled_back;
