//! The store: what every back end does alike, and what only one of them has.
#![cfg(test)]

mod conformance;
mod embedded;
mod mongodb;
mod rooms;
mod world;
