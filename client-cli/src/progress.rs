//! Says what takes long: on stderr, at a terminal, and only after a second.

use std::io::IsTerminal as _;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Nothing is said about what ends sooner.
const SILENCE: Duration = Duration::from_secs(1);

/// A line that appears if it lives for more than a second, and is gone when it is dropped.
///
/// It has a thread of its own, because what takes long may keep the program's only thread busy.
pub(crate) struct Progress {
    running: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// Shows this text after a second, or does nothing where nobody is to be told.
    pub(crate) fn start(text: &'static str, wanted: bool) -> Self {
        if !wanted || !std::io::stderr().is_terminal() {
            return Self { running: None };
        }
        let (sender, receiver) = channel::<()>();
        let thread = std::thread::spawn(move || {
            // Nothing is ever sent: the channel closes when the line is dropped.
            if !matches!(receiver.recv_timeout(SILENCE), Err(RecvTimeoutError::Timeout)) {
                return;
            }
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(ProgressStyle::default_spinner());
            bar.set_message(text);
            bar.enable_steady_tick(Duration::from_millis(120));
            let _ = receiver.recv();
            bar.finish_and_clear();
        });
        Self { running: Some((sender, thread)) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((sender, thread)) = self.running.take() {
            drop(sender);
            let _ = thread.join();
        }
    }
}
