//! Small file systems in files, mounted through the loop device. They need root.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted file system; unmounted when dropped.
pub(super) struct Disk {
    pub(super) image: PathBuf,
    pub(super) mount: PathBuf,
}

impl Disk {
    /// A new ext4 of this many MiB, whose journal no timer commits: only what is synced reaches the image, or what has
    /// been waiting for half a minute.
    pub(super) fn new(folder: &Path, mebibytes: u64) -> Self {
        let image = folder.join("disk.img");
        fs::File::create(&image).unwrap().set_len(mebibytes * 1024 * 1024).unwrap();
        run("mkfs.ext4", &["-q", "-m", "0", image.to_str().unwrap()]);
        Self::mount(image, folder.join("disk"))
    }

    /// One that exists.
    pub(super) fn mount(image: PathBuf, mount: PathBuf) -> Self {
        fs::create_dir_all(&mount).unwrap();
        run("mount", &["-t", "ext4", "-o", "loop,commit=600", image.to_str().unwrap(), mount.to_str().unwrap()]);
        fs::set_permissions(&mount, fs::Permissions::from_mode(0o700)).unwrap();
        Self { image, mount }
    }

    pub(super) fn data(&self) -> PathBuf {
        self.mount.join("data")
    }

    pub(super) fn free_bytes(&self) -> u64 {
        let space = rustix::fs::statvfs(&self.mount).unwrap();
        space.f_bavail * space.f_frsize
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        unmount(&self.mount);
    }
}

/// Runs it, or fails with what it said.
pub(super) fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "this test must be root and have loop devices; {program} {arguments:?}: {said}");
}

/// At once, and for good once nobody uses it any more.
pub(super) fn unmount(mount: &Path) {
    let _shown_by_what_comes_next = Command::new("umount").arg("--lazy").arg(mount).status();
}
