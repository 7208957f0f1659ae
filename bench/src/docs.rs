//! The blocks of docs/performance.md that benches write.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Returns the documentation's folder in the tree that this program was built from.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

/// Replaces the block between the marks of this bench.
pub(crate) fn rewrite(bench: &str, block: &str) -> Result<()> {
    let path = folder().join("performance.md");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let (begin, end) = (format!("<!-- bench {bench}: begin -->"), format!("<!-- bench {bench}: end -->"));
    let (before, rest) = text.split_once(&begin).with_context(|| format!("docs/performance.md has no {begin}"))?;
    let (_, after) = rest.split_once(&end).with_context(|| format!("docs/performance.md has no {end}"))?;
    let text = format!("{before}{begin}\n{block}{end}{after}");
    std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
}
