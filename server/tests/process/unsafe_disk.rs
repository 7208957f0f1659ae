//! Where a server could not keep what it accepts, it does not start.

use std::fs;

use super::image::{Disk, run, unmount};
use super::world::World;

/// The library that turns fsync into nothing is noticed by its name, whatever else it holds.
#[test]
fn threat_65_under_libeatmydata_it_does_not_start() {
    let world = World::new();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let harmless =
        maps.lines().filter_map(|line| line.split_whitespace().last()).find(|path| path.contains("/libgcc_s"));
    let library = world.file("libeatmydata.so");
    fs::copy(harmless.unwrap(), &library).unwrap();
    let mut command = world.serve(&["--listen", "127.0.0.1:0"]);
    command.env("LD_PRELOAD", &library);
    let said = world.refused_command(command);
    assert!(said.contains("libeatmydata is loaded, which turns fsync off"), "{said}");
}

/// An ext4 that a program serves through FUSE.
struct Served(Disk);

impl Served {
    fn new(world: &World) -> Self {
        let disk = Disk::new(&world.file("."), 16);
        unmount(&disk.mount);
        // Of the Debian package of the same name.
        run("fuse2fs", &[disk.image.to_str().unwrap(), disk.mount.to_str().unwrap(), "-o", "fakeroot"]);
        Self(disk)
    }
}

#[test]
fn threat_65_on_a_file_system_that_a_program_serves_it_does_not_start() {
    let place = World::new();
    let served = Served::new(&place);
    let world = World::with_data(served.0.data());
    let said = world.refused(&["--listen", "127.0.0.1:0"]);
    assert!(said.contains("is on FUSE, which may lose what was accepted") && said.contains("[store]"), "{said}");
}

#[test]
fn a_file_system_that_the_operator_allows_is_used_with_a_warning() {
    let place = World::new();
    let served = Served::new(&place);
    let mut world = World::with_data(served.0.data());
    fs::write(world.file("c.toml"), "[store]\nallow_unsafe_filesystem = true\nreserve_bytes = 1\n").unwrap();
    let config = world.file("c.toml").display().to_string();
    let server = world.start(&["--listen", "127.0.0.1:0", "--config", &config]);
    assert!(server.log().contains("is on FUSE, which may lose what was accepted"), "{}", server.log());
}

#[test]
fn memory_is_used_with_a_warning() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut world = World::with_data(folder.path().join("data"));
    let server = world.start_local();
    assert!(server.log().contains("everything is lost when the machine stops"), "{}", server.log());
}
