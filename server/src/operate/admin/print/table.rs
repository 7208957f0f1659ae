//! Cells and columns.

use std::io::{self, Write};

use sealpost_crypto::UnixMillis;

use crate::domain::clock::{Clock as _, SystemClock};
use crate::domain::date::{duration, rfc3339};

/// Formats a time, or `?` for one that was not noted.
pub(super) fn time(millis: u64) -> String {
    if millis == 0 { "?".to_owned() } else { rfc3339(UnixMillis(millis)) }
}

/// Formats how long ago a time was.
pub(super) fn ago(millis: u64) -> String {
    duration(SystemClock.now().since(UnixMillis(millis)))
}

/// Formats columns as wide as their widest cell; the last one is not padded.
pub(super) fn table<const N: usize>(
    out: &mut impl Write,
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> io::Result<()> {
    let rows: Vec<[String; N]> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in &rows {
        let mut text = String::new();
        for (cell, &width) in row.iter().zip(&widths) {
            text.push_str(&format!("{cell:<width$}  "));
        }
        writeln!(out, "{}", text.trim_end())?;
    }
    Ok(())
}
