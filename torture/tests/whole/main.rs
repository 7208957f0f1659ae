//! What goes wrong between people, played through the command line against a real server.
#![cfg(test)]

mod damage;
mod offline;
mod restore;
mod rollback;
mod scene;
