//! What a MongoDB must be for the promises to hold, examined before anything is stored there.

use mongodb::bson::Document;
use sealpost_crypto::UnixMillis;
use sealpost_sabotage::{Countermeasure, without};

use super::versions;
use crate::store::findings::{Finding, Severity};

/// With fewer members that hold data, an arbiter makes a majority of members that may lose what they confirmed.
const MEMBERS_BESIDE_ARBITER: usize = 3;

/// From this difference between the clocks on, in ms, there is a warning. Leases last minutes.
const SKEW_TOLD_MILLIS: u64 = 5_000;

/// From this difference on, in ms, the database is refused: messages would expire at the wrong time, and two nodes
/// would sweep at once.
const SKEW_REFUSED_MILLIS: u64 = 300_000;

/// How the connection is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connection {
    /// Whether every host is this machine.
    pub(super) is_local: bool,
    /// Whether the server logs in.
    pub(super) has_user: bool,
    /// How it is encrypted.
    pub(super) tls: TlsUse,
}

/// How a connection is encrypted.
#[derive(Clone, Copy, Debug)]
pub(super) enum TlsUse {
    /// It is not.
    Off,
    /// By TLS, to a database with a certificate that was checked.
    Checked,
    /// By TLS, to a database with any certificate.
    AnyCertificate,
}

/// Judges a server by its answers to `hello` (with an offer to compress by zlib) and `buildInfo`.
pub(super) fn judge(hello: &Document, build: &Document, connection: Connection, now: UnixMillis) -> Vec<Finding> {
    let mut findings = vec![topology(hello)];
    findings.extend(members(hello));
    findings.push(versions::version(hello, build));
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
            "anyone who reaches the database can read and change all of it; put a name and a password into the connection string",
        ),
    });
    findings.push(match connection {
        Connection { tls: TlsUse::AnyCertificate, .. } => Finding::new(
            Severity::Refused,
            "TLS",
            "with tlsAllowInvalidCertificates anyone in between is believed to be the database; name its authority with tlsCAFile",
        ),
        Connection { tls: TlsUse::Checked, .. } => Finding::new(Severity::Good, "TLS", "the connection is encrypted"),
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

/// Judges whether the server is part of a replica set or a sharded cluster.
fn topology(hello: &Document) -> Finding {
    if hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid") {
        Finding::new(Severity::Good, "topology", "a sharded cluster")
    } else if let Ok(name) = hello.get_str("setName") {
        Finding::new(Severity::Good, "topology", format!("the replica set {name}"))
    } else {
        planted_trust_in_one_server().unwrap_or_else(|| {
            let text =
                "a server on its own does not keep what it confirmed; start it with --replSet and run rs.initiate()";
            Finding::new(Severity::Refused, "topology", text)
        })
    }
}

/// A planted fault: accepts a server on its own.
fn planted_trust_in_one_server() -> Option<Finding> {
    without(Countermeasure::DurabilityCheck).then(|| Finding::new(Severity::Good, "topology", "a server on its own"))
}

/// Judges the members of a replica set.
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

/// Judges the difference between the server's clock and ours.
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
    const HERE: Connection = Connection { is_local: true, has_user: false, tls: TlsUse::Off };

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
        for (has_user, tls) in [(false, TlsUse::Checked), (true, TlsUse::Off)] {
            let connection = Connection { is_local: false, has_user, tls };
            assert_eq!(worst(&hello(), "8.0.17", connection).0, Severity::Warning);
        }
        let connection = Connection { is_local: false, has_user: true, tls: TlsUse::Checked };
        assert_eq!(worst(&hello(), "8.0.17", connection).0, Severity::Good);
    }

    #[test]
    fn a_connection_that_believes_anyone_is_refused() {
        let connection = Connection { tls: TlsUse::AnyCertificate, ..HERE };
        let (severity, text) = worst(&hello(), "8.0.17", connection);
        assert!(severity == Severity::Refused && text.contains("tlsCAFile"), "{text}");
    }
}
