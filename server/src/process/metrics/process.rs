//! The resources of the process, read from `/proc`. Where that is missing, the gauges stay at zero.

use std::fs;
use std::time::Instant;

use prometheus::IntGauge;

use super::make::{Make, set};

#[derive(Debug)]
pub(super) struct Process {
    begun: Instant,
    memory_bytes: IntGauge,
    descriptors: IntGauge,
    uptime_seconds: IntGauge,
}

impl Process {
    pub(super) fn new(make: &Make) -> Result<Self, prometheus::Error> {
        make.info("sealpost_build_info", "Always 1; the label is the version.", "version", env!("CARGO_PKG_VERSION"))?;
        Ok(Self {
            begun: Instant::now(),
            memory_bytes: make.gauge("sealpost_process_memory_bytes", "Resident memory.")?,
            descriptors: make.gauge("sealpost_process_descriptors", "Open files and sockets.")?,
            uptime_seconds: make.gauge("sealpost_process_uptime_seconds", "Time since the start.")?,
        })
    }

    pub(super) fn look(&self) {
        set(&self.uptime_seconds, self.begun.elapsed().as_secs());
        if let Some(bytes) = resident_bytes() {
            set(&self.memory_bytes, bytes);
        }
        if let Ok(entries) = fs::read_dir("/proc/self/fd") {
            set(&self.descriptors, u64::try_from(entries.count()).unwrap_or(u64::MAX));
        }
    }
}

/// Reads the line `VmRSS: 1234 kB` of `status`.
fn resident_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let kibibytes: u64 =
        text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes.saturating_mul(1_024))
}
