//! What the operating system says of a process: its processor time and its memory.

use std::time::Duration;

use anyhow::{Context as _, Result};

/// The unit of processor times in `/proc`: Linux shows hundredths of a second to programs, whatever it counts in.
const TICK_MILLIS: u64 = 10;

/// Processor time of a process, of all its threads, those that have ended too; to 10 ms.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = std::fs::read_to_string(&path).with_context(|| format!("{path} cannot be read"))?;
    // The name may hold blanks. After it, the 12th and 13th fields are the times in user and kernel mode, in ticks.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks.saturating_mul(TICK_MILLIS)))
}

/// Bytes of memory of a process that are resident, what it shares with others counted in part.
pub(crate) fn memory(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = std::fs::read_to_string(&path).with_context(|| format!("{path} cannot be read"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).context("smaps_rollup has no Pss")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib.saturating_mul(1_024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_its_time_grows_with_its_work() {
        let pid = std::process::id();
        assert!(memory(pid).unwrap() > 100_000);
        let before = cpu_time(pid).unwrap();
        let mut sum = 0_u64;
        while cpu_time(pid).unwrap() < before + Duration::from_millis(20) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
    }
}
