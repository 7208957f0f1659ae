//! What only the embedded store has: its folder, its lock, its disk, and the moment at which it is killed.

#[cfg(test)]
#[path = "store_embedded/backup.rs"]
mod backup;
#[cfg(test)]
#[path = "store_embedded/company.rs"]
mod company;
#[cfg(test)]
#[path = "store_embedded/disk.rs"]
mod disk;
#[cfg(test)]
#[path = "store_embedded/folder.rs"]
mod folder;
#[cfg(test)]
#[path = "store_embedded/killed.rs"]
mod killed;
#[cfg(test)]
#[path = "store_embedded/retention.rs"]
mod retention;
#[cfg(test)]
#[path = "support/scan.rs"]
mod scan;
#[cfg(test)]
#[path = "store_conformance/world.rs"]
mod world;
