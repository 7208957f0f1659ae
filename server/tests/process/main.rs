//! The program as an operator meets it: started, looked at, stopped, killed and started again.
#![cfg(test)]

mod admin;
mod bad_stores;
mod canaries;
mod capacity;
mod cluster;
mod containers;
mod crawl;
mod durability;
mod e2e;
mod failing_sync;
mod floods;
mod full_disk;
mod generated_client;
mod half_open;
mod image;
mod kept;
mod login_flood;
mod metrics;
mod mongodb;
mod moving;
mod nginx;
mod power;
mod proxy;
mod restoring;
mod secrecy;
mod slow;
mod slow_readers;
mod starting;
mod stopping;
mod tls;
mod unsafe_disk;
mod world;
