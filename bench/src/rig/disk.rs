//! The cost of one synced write on this disk.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// The number of timed writes.
const WRITES: usize = 100;
/// The bytes of each write: a page.
const PAGE: usize = 4_096;

/// Measures the median and the 99th percentile of appending and syncing one page.
pub(crate) fn one_fsync(folder: &Path) -> Result<(Duration, Duration)> {
    let mut file = tempfile::tempfile_in(folder)?;
    let mut times = Vec::with_capacity(WRITES);
    for _ in 0..WRITES {
        let began = Instant::now();
        file.write_all(&[0x5a; PAGE])?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    let at = |place: usize| times.get(place).copied().context("nothing was timed");
    Ok((at(WRITES / 2)?, at(WRITES.saturating_mul(99) / 100)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_synced_write_takes_time() {
        let folder = tempfile::tempdir().unwrap();
        let (median, slow) = one_fsync(folder.path()).unwrap();
        assert!(Duration::ZERO < median && median <= slow);
    }
}
