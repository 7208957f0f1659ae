//! The figures as tables, objects and plots.

use std::fmt::Write as _;

use serde_json::json;

use super::growth::Series;
use crate::load::plan::count;
use crate::load::report::number;
use crate::plot::{Line, Panel};

/// In Markdown: a table for each thing that grows, and how each cost grows with it.
pub(super) fn tables(series: &[Series]) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    for group in series.chunk_by(|one, other| one.work == other.work) {
        let Some(first) = group.first() else { continue };
        let names: Vec<_> = group.iter().map(|series| format!("{}: µs, CPU µs", series.operation)).collect();
        let _ = writeln!(out, "| {} | {} |\n|---|{}", first.work, names.join(" | "), "---|".repeat(names.len()));
        for (place, point) in first.points.iter().enumerate() {
            let cells = group.iter().map(|series| {
                let point = series.points.get(place);
                point.map(|point| format!("{}, {}", number(point.wall), number(point.cpu))).unwrap_or_default()
            });
            let _ = writeln!(out, "| {} | {} |", number(count(point.size)), cells.collect::<Vec<_>>().join(" | "));
        }
        out.push('\n');
    }
    out.push_str(
        "| as this grows | this costs | CPU µs more per decade | CPU ∝ nᵏ, k | growth over the logarithm's: CPU, wall | |\n\
         |---|---|---|---|---|---|\n",
    );
    for series in series {
        let (cpu, wall) = series.excess();
        let verdict = if series.is_logarithmic() { "no worse" } else { "**worse**" };
        let _ = writeln!(
            out,
            "| {} | {} | {:+.2} | {:+.3} | {cpu:.2}, {wall:.2} | {verdict} |",
            series.work,
            series.operation,
            series.per_decade(),
            series.exponent()
        );
    }
    out
}

/// One object a figure, and one a series.
pub(super) fn print_json(series: &[Series]) {
    for series in series {
        let (work, operation) = (series.work, series.operation);
        for point in &series.points {
            let (size, wall, cpu) = (point.size, point.wall, point.cpu);
            println!(
                "{}",
                json!({"work": work, "size": size, "operation": operation, "wall_us": wall, "server_cpu_us": cpu})
            );
        }
        println!(
            "{}",
            json!({
                "work": work,
                "operation": operation,
                "cpu_us_per_decade": series.per_decade(),
                "cpu_exponent": series.exponent(),
                "no_worse_than_logarithmic": series.is_logarithmic(),
            })
        );
    }
}

/// A panel for each thing that grows.
pub(super) fn panels(series: &[Series]) -> Vec<Panel> {
    let line = |series: &Series| Line {
        name: series.operation.to_owned(),
        points: series.points.iter().map(|point| (count(point.size), point.cpu)).collect(),
    };
    let panel = |group: &[Series]| {
        let work = group.first()?.work;
        Some(Panel {
            title: format!("Cost as there are more {work}"),
            across: work.to_owned(),
            up: "CPU of the server, µs an operation".to_owned(),
            lines: group.iter().map(line).collect(),
        })
    };
    series.chunk_by(|one, other| one.work == other.work).filter_map(panel).collect()
}
