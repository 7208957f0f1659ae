//! What a MongoDB must be for the promises to hold, looked at before anything is stored there.

use std::fmt;

use mongodb::bson::{Bson, Document};
use sealpost_crypto::UnixMillis;
use sealpost_sabotage::{Countermeasure, without};
use serde::Serialize;

/// The oldest version that is tested for.
const OLDEST: [u32; 2] = [7, 0];
/// In each line of versions the first in which memory of the server cannot be read without logging in (CVE-2025-14847).
const MENDED: [[u32; 3]; 3] = [[7, 0, 28], [8, 0, 17], [8, 2, 3]];
/// Members with data below which an arbiter makes a majority of members that may lose what they confirmed.
const MEMBERS_BESIDE_ARBITER: usize = 3;
/// A clock that differs by this much, in ms, is told; leases last minutes.
const SKEW_TOLD_MILLIS: u64 = 5_000;
/// And by this much is refused: messages would expire at the wrong time, and two nodes would sweep at once.
const SKEW_REFUSED_MILLIS: u64 = 300_000;

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// As it should be.
    Good,
    /// It works, and something may go wrong.
    Warning,
    /// The server does not start with it.
    Refused,
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Refused => "refused",
        })
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was looked at, in a word or two.
    pub about: &'static str,
    /// What is the case and, unless it is good, what to do.
    pub text: String,
}

impl Finding {
    fn new(severity: Severity, about: &'static str, text: impl Into<String>) -> Self {
        Self { severity, about, text: text.into() }
    }
}

/// How the connection is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connection {
    /// Every host is this machine.
    pub(super) is_local: bool,
    pub(super) has_user: bool,
    pub(super) has_tls: bool,
    /// Certificates are not checked.
    pub(super) believes_anyone: bool,
}

/// Judges a server by its answers to `hello` (with an offer to compress by zlib) and `buildInfo`.
pub(super) fn judge(hello: &Document, build: &Document, connection: Connection, now: UnixMillis) -> Vec<Finding> {
    let mut findings = vec![topology(hello)];
    findings.extend(members(hello));
    findings.push(version(hello, build));
    findings.push(clock(hello, now));
    findings.push(Finding::new(
        Severity::Good,
        "durability",
        "every write waits until a majority of the members has it in their journals; reads see nothing else",
    ));
    findings.push(match connection {
        Connection { has_user: true, .. } => Finding::new(Severity::Good, "log-in", "a name and a password are used"),
        Connection { is_local: true, .. } => {
            Finding::new(Severity::Good, "log-in", "none, and the database is on this machine")
        }
        _ => Finding::new(
            Severity::Warning,
            "log-in",
            "whoever reaches the database can read and change all of it; put a name and a password into the connection string",
        ),
    });
    findings.push(match connection {
        Connection { believes_anyone: true, .. } => Finding::new(
            Severity::Refused,
            "TLS",
            "with tlsAllowInvalidCertificates whoever is in between is believed to be the database; name its authority with tlsCAFile",
        ),
        Connection { has_tls: true, .. } => Finding::new(Severity::Good, "TLS", "the connection is encrypted"),
        Connection { is_local: true, .. } => {
            Finding::new(Severity::Good, "TLS", "none, and the database is on this machine")
        }
        _ => Finding::new(
            Severity::Warning,
            "TLS",
            "who is with whom can be read between here and the database; add tls=true to the connection string",
        ),
    });
    findings
}

fn topology(hello: &Document) -> Finding {
    if hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid") {
        Finding::new(Severity::Good, "topology", "a sharded cluster")
    } else if let Ok(name) = hello.get_str("setName") {
        Finding::new(Severity::Good, "topology", format!("the replica set {name}"))
    } else if without(Countermeasure::DurabilityCheck) {
        Finding::new(Severity::Good, "topology", "a server on its own")
    } else {
        Finding::new(
            Severity::Refused,
            "topology",
            "a server on its own does not keep what it confirmed; start it with --replSet and run rs.initiate()",
        )
    }
}

fn members(hello: &Document) -> Option<Finding> {
    hello.get_str("setName").ok()?;
    let count = |name: &str| hello.get_array(name).map_or(0, Vec::len);
    let (data, arbiters) = (count("hosts").saturating_add(count("passives")), count("arbiters"));
    Some(if arbiters > 0 && data < MEMBERS_BESIDE_ARBITER {
        Finding::new(
            Severity::Refused,
            "members",
            format!(
                "{data} members with data and {arbiters} arbiter: when one is away, nothing can be confirmed by a \
                 majority of copies; replace the arbiter by a member with data"
            ),
        )
    } else if arbiters > 0 {
        Finding::new(Severity::Warning, "members", format!("{data} with data; an arbiter keeps no copy"))
    } else if data == 1 {
        Finding::new(Severity::Warning, "members", "one: what its disk loses is lost; three is the usual number")
    } else {
        Finding::new(Severity::Good, "members", format!("{data}, each with a copy"))
    })
}

fn version(hello: &Document, build: &Document) -> Finding {
    let text = build.get_str("version").unwrap_or("unknown");
    let mut parts = text.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let (Some(major), Some(minor), patch) = (parts.next(), parts.next(), parts.next().unwrap_or(0)) else {
        return Finding::new(Severity::Warning, "version", format!("{text}, which is not known"));
    };
    if [major, minor] < OLDEST {
        return Finding::new(Severity::Refused, "version", format!("{text} is too old; use MongoDB 7.0 or newer"));
    }
    // A line that is between two of these was never mended; one that is newer than all begins mended.
    let newest_line = MENDED.iter().map(|[major, minor, _]| [*major, *minor]).max().unwrap_or(OLDEST);
    let mended = MENDED.contains(&[major, minor, patch])
        || MENDED.iter().any(|line| matches!(line, [a, b, c] if [*a, *b] == [major, minor] && patch >= *c))
        || [major, minor] > newest_line;
    let offers_zlib =
        hello.get_array("compression").is_ok_and(|offered| offered.contains(&Bson::String("zlib".into())));
    match (mended || without(Countermeasure::DatabaseVersions), offers_zlib) {
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

fn clock(hello: &Document, now: UnixMillis) -> Finding {
    let Ok(there) = hello.get_datetime("localTime") else {
        return Finding::new(Severity::Warning, "clock", "the database does not say what time it is");
    };
    let there = UnixMillis(u64::try_from(there.timestamp_millis()).unwrap_or(0));
    let skew = now.0.abs_diff(there.0);
    let severity = match skew {
        SKEW_REFUSED_MILLIS.. => Severity::Refused,
        SKEW_TOLD_MILLIS.. => Severity::Warning,
        _ => Severity::Good,
    };
    let text = match severity {
        Severity::Good => "the same as the database's".to_owned(),
        _ => format!("{} s apart from the database's; let both follow a time server", skew / 1_000),
    };
    Finding::new(severity, "clock", text)
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{DateTime, doc};

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
    const HERE: Connection = Connection { is_local: true, has_user: false, has_tls: false, believes_anyone: false };

    fn hello() -> Document {
        let now = DateTime::from_millis(1_800_000_000_000);
        doc! { "setName": "rs0", "hosts": ["a", "b", "c"], "localTime": now, "compression": ["zlib"] }
    }

    fn worst(hello: &Document, version: &str, connection: Connection) -> (Severity, String) {
        let findings = judge(hello, &doc! { "version": version }, connection, NOW);
        let worst = findings.into_iter().max_by_key(|finding| finding.severity).unwrap();
        (worst.severity, format!("{}: {}", worst.about, worst.text))
    }

    #[test]
    fn a_replica_set_of_three_and_a_sharded_cluster_are_good() {
        assert_eq!(worst(&hello(), "8.0.17", HERE).0, Severity::Good);
        let mut router = hello();
        router.remove("setName");
        router.insert("msg", "isdbgrid");
        assert_eq!(worst(&router, "8.2.3", HERE).0, Severity::Good);
    }

    #[test]
    fn a_server_on_its_own_and_an_arbiter_beside_two_are_refused() {
        let mut alone = hello();
        alone.remove("setName");
        assert!(worst(&alone, "8.0.17", HERE).1.contains("rs.initiate()"));
        let mut arbiter = hello();
        arbiter.insert("hosts", vec!["a", "b"]);
        arbiter.insert("arbiters", vec!["c"]);
        let (severity, text) = worst(&arbiter, "8.0.17", HERE);
        assert!(severity == Severity::Refused && text.contains("replace the arbiter"), "{text}");
        arbiter.insert("hosts", vec!["a", "b", "d"]);
        assert_eq!(worst(&arbiter, "8.0.17", HERE).0, Severity::Warning);
        let mut one = hello();
        one.insert("hosts", vec!["a"]);
        assert_eq!(worst(&one, "8.0.17", HERE).0, Severity::Warning);
    }

    #[test]
    fn versions_that_are_too_old_are_refused() {
        for version in ["6.0.27", "4.4.30"] {
            assert_eq!(worst(&hello(), version, HERE).0, Severity::Refused, "{version}");
        }
    }

    #[test]
    fn threat_64_versions_that_anyone_can_read_are_refused() {
        for version in ["7.0.27", "8.0.16", "8.2.2", "8.1.9", "7.3.4"] {
            assert_eq!(worst(&hello(), version, HERE).0, Severity::Refused, "{version}");
        }
        for version in ["7.0.28", "8.0.17", "8.0.99", "8.2.3", "8.2.11", "8.3.0", "9.0.0-rc1"] {
            assert_eq!(worst(&hello(), version, HERE).0, Severity::Good, "{version}");
        }
        let mut closed = hello();
        closed.insert("compression", vec!["snappy"]);
        assert_eq!(worst(&closed, "8.0.16", HERE).0, Severity::Warning);
        assert_eq!(worst(&hello(), "", HERE).0, Severity::Warning);
    }

    #[test]
    fn a_clock_that_is_far_off_is_refused() {
        for (millis, severity) in [
            (4_000, Severity::Good),
            (6_000, Severity::Warning),
            (-6_000, Severity::Warning),
            (400_000, Severity::Refused),
        ] {
            let mut hello = hello();
            hello.insert("localTime", DateTime::from_millis(1_800_000_000_000 + millis));
            assert_eq!(worst(&hello, "8.0.17", HERE).0, severity, "{millis}");
        }
    }

    #[test]
    fn an_open_or_readable_connection_beyond_this_machine_is_told() {
        for (has_user, has_tls) in [(false, true), (true, false)] {
            let connection = Connection { is_local: false, has_user, has_tls, believes_anyone: false };
            assert_eq!(worst(&hello(), "8.0.17", connection).0, Severity::Warning);
        }
        let connection = Connection { is_local: false, has_user: true, has_tls: true, believes_anyone: false };
        assert_eq!(worst(&hello(), "8.0.17", connection).0, Severity::Good);
    }

    #[test]
    fn a_connection_that_believes_anyone_is_refused() {
        let connection = Connection { has_tls: true, believes_anyone: true, ..HERE };
        let (severity, text) = worst(&hello(), "8.0.17", connection);
        assert!(severity == Severity::Refused && text.contains("tlsCAFile"), "{text}");
    }
}
