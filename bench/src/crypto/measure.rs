//! Samples and their median.

use std::time::Instant;

use anyhow::Result;

/// How much is measured.
pub(crate) struct Rounds {
    /// Samples of each side.
    pub(crate) count: usize,
    /// Messages in a sample of a steady chain: enough that the clock's own cost vanishes.
    pub(crate) messages: usize,
    /// Turns of two messages in a sample of ping-pong.
    pub(crate) steps: usize,
}

impl Rounds {
    pub(crate) fn new(quick: bool) -> Self {
        Self { count: if quick { 100 } else { 1_000 }, messages: 50, steps: 5 }
    }
}

/// Samples of one operation.
#[derive(Default)]
pub(crate) struct Measurement(Vec<f64>);

impl Measurement {
    /// Times `work`, which does the operation `operations` times.
    pub(crate) fn sample(&mut self, operations: usize, work: impl FnOnce() -> Result<()>) -> Result<()> {
        let start = Instant::now();
        work()?;
        let micros = start.elapsed().as_secs_f64() * 1e6;
        self.0.push(micros / f64::from(u32::try_from(operations)?));
        Ok(())
    }

    /// The median, in µs an operation.
    pub(crate) fn median(&self) -> f64 {
        let mut samples = self.0.clone();
        samples.sort_by(f64::total_cmp);
        samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
    }
}
