//! What only the embedded store has: its folder, its lock, its disk, and the moment at which it is killed.

mod backup;
mod company;
mod disk;
mod folder;
mod killed;
mod retention;
