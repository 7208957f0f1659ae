//! Countermeasures that one special build can leave out, so that the test of each attack can be seen to fail without them.
//!
//! Compiled with `--cfg sealpost_sabotage`, [`left_out`] reads the row's number from the environment variable
//! `SEALPOST_SABOTAGE`. Every other build has a constant `false` here, which the compiler removes together with what stands
//! behind it: there is nothing to switch.

/// Whether the countermeasure of this row of the threat table is left out: never, in this build.
#[cfg(not(sealpost_sabotage))]
#[must_use]
#[inline(always)]
pub const fn left_out(_row: u8) -> bool {
    false
}

/// Whether the countermeasure of this row of the threat table is left out, as `SEALPOST_SABOTAGE` says. Not for use.
#[cfg(sealpost_sabotage)]
#[must_use]
pub fn left_out(row: u8) -> bool {
    static ROW: std::sync::OnceLock<Option<u8>> = std::sync::OnceLock::new();
    *ROW.get_or_init(|| std::env::var("SEALPOST_SABOTAGE").ok()?.parse().ok()) == Some(row)
}
