//! A pseudo-terminal, and a person who reads it and types.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test ends where something is not as it should be"
)]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use crate::support::{Ended, until};

/// Longer than anything takes on a loaded machine; a test that reaches it has failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// A command with a terminal of its own, for all three of its standard streams and as the one that controls it.
pub(crate) struct Terminal {
    keyboard: File,
    child: Child,
    output: Receiver<Vec<u8>>,
    shown: String,
    read: usize,
}

impl Terminal {
    /// Starts a command, with its arguments and environment, at a new terminal.
    pub(crate) fn start(command: &Command) -> Self {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let name = ptsname(&keyboard, Vec::new()).unwrap();
        let path = Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()));
        let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC;
        let screen = File::from(rustix::fs::open(path, flags, rustix::fs::Mode::empty()).unwrap());
        let keyboard = File::from(keyboard);
        // It makes a session whose terminal this is, and becomes the command.
        let mut session = Command::new("setsid");
        session.arg("--ctty").arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => session.env(name, value),
                None => session.env_remove(name),
            };
        }
        session
            .stdin(Stdio::from(screen.try_clone().unwrap()))
            .stdout(Stdio::from(screen.try_clone().unwrap()))
            .stderr(Stdio::from(screen));
        let child = session.spawn().unwrap();
        // The other end is the command's alone now: when it ends, reading does.
        drop(session);
        let (sender, output) = channel();
        let mut reader = keyboard.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length) = reader.read(&mut buffer) {
                if length == 0 || sender.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { keyboard, child, output, shown: String::new(), read: 0 }
    }

    /// Waits until this is shown, after what was waited for before.
    pub(crate) fn expect(&mut self, text: &str) {
        let begin = Instant::now();
        loop {
            if let Some(position) = self.shown[self.read..].find(text) {
                self.read += position + text.len();
                return;
            }
            let left = PATIENCE.saturating_sub(begin.elapsed());
            let Ok(bytes) = self.output.recv_timeout(left) else {
                panic!("{text:?} was not shown, but {:?}", &self.shown[self.read..])
            };
            self.shown.push_str(&String::from_utf8_lossy(&bytes));
        }
    }

    /// Types what is there to be seen, and whatever key ends it.
    pub(crate) fn type_keys(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for a prompt and answers it; the terminal must not show what is typed.
    pub(crate) fn answer_hidden(&mut self, prompt: &str, secret: &str) {
        self.expect(prompt);
        until("the terminal hides what is typed", || {
            (!tcgetattr(&self.keyboard).unwrap().local_modes.contains(LocalModes::ECHO)).then_some(())
        });
        self.type_keys(&format!("{secret}\n"));
    }

    /// Waits for the end; everything that was shown is in `stdout`.
    pub(crate) fn finish(mut self) -> Ended {
        let status = until("the command ends", || self.child.try_wait().unwrap());
        while let Ok(bytes) = self.output.recv_timeout(PATIENCE) {
            self.shown.push_str(&String::from_utf8_lossy(&bytes));
        }
        Ended { code: status.code(), stdout: self.shown.clone(), stderr: String::new() }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
