//! Which versions of MongoDB are accepted.

use mongodb::bson::{Bson, Document};
use sealpost_sabotage::{Countermeasure, holds};

use crate::store::findings::{Finding, Severity};

/// The oldest version that is tested.
const OLDEST: [u32; 2] = [7, 0];

/// For each line of versions, the first in which the server's memory cannot be read without logging in
/// (CVE-2025-14847).
const MENDED: [[u32; 3]; 3] = [[7, 0, 28], [8, 0, 17], [8, 2, 3]];

/// Judges the server's version.
pub(super) fn version(hello: &Document, build: &Document) -> Finding {
    let text = build.get_str("version").unwrap_or("unknown");
    let mut parts = text.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let (Some(major), Some(minor), patch) = (parts.next(), parts.next(), parts.next().unwrap_or(0)) else {
        return Finding::new(Severity::Warning, "version", format!("{text}, which is not known"));
    };
    if [major, minor] < OLDEST {
        return Finding::new(Severity::Refused, "version", format!("{text} is too old; use MongoDB 7.0 or newer"));
    }
    // A line between two of these was never mended; a line newer than all of them begins mended.
    let newest_line = MENDED.iter().map(|[major, minor, _]| [*major, *minor]).max().unwrap_or(OLDEST);
    let mended = MENDED.contains(&[major, minor, patch])
        || MENDED.iter().any(|line| matches!(line, [a, b, c] if [*a, *b] == [major, minor] && patch >= *c))
        || [major, minor] > newest_line;
    let offers_zlib =
        hello.get_array("compression").is_ok_and(|offered| offered.contains(&Bson::String("zlib".into())));
    match (holds(Countermeasure::DatabaseVersions, mended), offers_zlib) {
        (true, _) => Finding::new(Severity::Good, "version", text),
        (false, true) => Finding::new(
            Severity::Refused,
            "version",
            format!(
                "{text} lets anyone who reaches it read its memory (CVE-2025-14847); use 7.0.28, 8.0.17, 8.2.3 or newer, \
                 or start it with --networkMessageCompressors=snappy,zstd"
            ),
        ),
        (false, false) => Finding::new(
            Severity::Warning,
            "version",
            format!("{text} has a known flaw (CVE-2025-14847) that its compressors keep closed; update it"),
        ),
    }
}
