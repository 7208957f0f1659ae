use std::collections::BTreeSet;

use prometheus::proto::MetricType;
use sealpost_crypto::UnixMillis;

use super::*;

#[test]
fn what_is_counted_is_shown() {
    let metrics = Metrics::new().unwrap();
    metrics.accepted();
    metrics.refused(ProblemCode::QueueFull);
    metrics.login(false);
    metrics.request(Some("/v1/accounts/{account_id}/devices"), 404, Duration::from_millis(20));
    metrics.request(Some("/somebody's/name"), 404, Duration::ZERO);
    metrics.stream_opened();
    metrics.stream_closed(CloseReason::TooSlow);
    metrics.committed(3, Duration::from_millis(4));
    let text = metrics.render(3);
    for line in [
        "sealpost_messages_accepted_total 1",
        "sealpost_messages_refused_total{code=\"queue_full\"} 1",
        "sealpost_logins_total{outcome=\"failed\"} 1",
        "sealpost_http_requests_total{class=\"4xx\",route=\"/v1/accounts/{account_id}/devices\"} 1",
        "sealpost_http_requests_total{class=\"4xx\",route=\"unknown\"} 1",
        "sealpost_http_request_seconds_bucket{route=\"/v1/accounts/{account_id}/devices\",le=\"0.03\"} 1",
        "sealpost_streams_opened_total 1",
        "sealpost_streams_closed_total{reason=\"too_slow\"} 1",
        "sealpost_store_commit_seconds_bucket{le=\"0.005\"} 1",
        "sealpost_store_commit_operations_sum 3",
        "sealpost_streams 3",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line} is missing in\n{text}");
    }
    assert!(!text.contains("somebody's"));
}

#[test]
fn a_look_at_the_store_and_the_process_is_shown() {
    let metrics = Metrics::new().unwrap();
    let store = StoreFigures {
        accounts: 7,
        queued_bytes: 8,
        oldest_at: Some(UnixMillis(1_000_000)),
        ..StoreFigures::default()
    };
    metrics.looked(&store, &FileSizes { database: 9, log: 10, free: 11 }, 1_090_000);
    let text = metrics.render(0);
    for line in [
        "sealpost_accounts 7",
        "sealpost_queue_bytes 8",
        "sealpost_queue_oldest_seconds 90",
        "sealpost_store_log_bytes 10",
        "sealpost_store_free_bytes 11",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line} is missing in\n{text}");
    }
    for name in ["sealpost_process_memory_bytes", "sealpost_process_descriptors"] {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(line.rsplit(' ').next().unwrap().parse::<u64>().unwrap() > 0, "{line}");
    }
}

/// Name, type and labels as the page's table has them: `| name | counter | code | what it answers |`.
fn described() -> BTreeSet<(String, String, String)> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md");
    let text = std::fs::read_to_string(page).unwrap();
    let mut rows = BTreeSet::new();
    for line in text.lines().filter(|line| line.starts_with("| `sealpost_")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 4, "{line}");
        assert!(cells[3].ends_with('?') || cells[3].len() > 20, "a metric without a question: {line}");
        let bare = |cell: &str| cell.replace('`', "");
        assert!(rows.insert((bare(cells[0]), bare(cells[1]), bare(cells[2]))), "twice: {line}");
    }
    rows
}

#[test]
fn every_metric_is_described_for_operators_and_nothing_else_is() {
    let metrics = Metrics::new().unwrap();
    let shown: BTreeSet<_> = metrics
        .registry
        .gather()
        .iter()
        .map(|family| {
            let kind = match family.get_field_type() {
                MetricType::COUNTER => "counter",
                MetricType::GAUGE => "gauge",
                MetricType::HISTOGRAM => "histogram",
                other => panic!("{other:?}"),
            };
            // Every metric has all of its labels from the start, so the first one shows them.
            let labels: Vec<_> = family.get_metric()[0].get_label().iter().map(|label| label.name()).collect();
            (family.name().to_owned(), kind.to_owned(), labels.join(", "))
        })
        .collect();
    let described = described();
    assert_eq!(
        shown.difference(&described).collect::<Vec<_>>(),
        Vec::<&(String, String, String)>::new(),
        "not described"
    );
    assert_eq!(described.difference(&shown).collect::<Vec<_>>(), Vec::<&(String, String, String)>::new(), "not there");
}

/// Every selector of one of our metrics in a text: the name, and what stands in braces behind it.
fn selectors(text: &str) -> Vec<(String, String)> {
    let is_name = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    let found = text.match_indices("sealpost_").map(|(at, _)| {
        let rest = &text[at..];
        let (name, rest) = rest.split_at(rest.find(|letter| !is_name(letter)).unwrap_or(rest.len()));
        let labels = rest.strip_prefix('{').and_then(|labels| labels.split_once('}'));
        (name.to_owned(), labels.map_or(String::new(), |(labels, _)| labels.replace("\\\"", "\"")))
    });
    found.collect()
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_that_exist() {
    let shown = Metrics::new().unwrap().render(0);
    for file in ["prometheus/alerts.yml", "grafana/dashboards/sealpost.json"] {
        let text = std::fs::read_to_string(format!("{}/../docker/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let selectors = selectors(&text);
        assert!(selectors.len() > 10, "{file}");
        for (name, labels) in selectors {
            let series = |line: &&str| line.strip_prefix(&name).is_some_and(|rest| rest.starts_with([' ', '{']));
            let lines: Vec<&str> = shown.lines().filter(series).collect();
            assert!(!lines.is_empty(), "{file} asks for {name}, which is no metric");
            for label in labels.split(',').map(str::trim).filter(|label| !label.is_empty()) {
                assert!(lines.iter().any(|line| line.contains(label)), "{file} asks for {name} with {label}");
            }
        }
    }
}
