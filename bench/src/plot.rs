//! Plots as SVG: panels of lines, both axes logarithmic, so that a power of the work shows as a slope and a constant as a level.

use std::fmt::Write as _;

/// Colours that everyone can tell apart (Okabe and Ito's).
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
/// A panel's size, in pixels.
const PANEL_WIDTH: f64 = 400.0;
const PANEL_HEIGHT: f64 = 280.0;
/// What its axes and headings take.
const LEFT: f64 = 56.0;
const RIGHT: f64 = 96.0;
const TOP: f64 = 34.0;
const BELOW: f64 = 44.0;
/// Panels beside each other.
const COLUMNS: usize = 2;

/// Lines in one pair of axes.
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) across: String,
    pub(crate) up: String,
    pub(crate) lines: Vec<Line>,
}

/// A named line; all values are above 0.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// The whole picture.
pub(crate) fn svg(panels: &[Panel]) -> String {
    let rows = panels.len().div_ceil(COLUMNS);
    let (width, height) = (PANEL_WIDTH * number(COLUMNS.min(panels.len())), PANEL_HEIGHT * number(rows));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    for (place, panel) in panels.iter().enumerate() {
        let (x, y) = (PANEL_WIDTH * number(place % COLUMNS), PANEL_HEIGHT * number(place / COLUMNS));
        // Writing to a string cannot fail.
        let _ = writeln!(out, "<g transform=\"translate({x},{y})\">");
        panel.draw(&mut out);
        out.push_str("</g>\n");
    }
    out.push_str("</svg>\n");
    out
}

impl Panel {
    fn draw(&self, out: &mut String) {
        let all = || self.lines.iter().flat_map(|line| &line.points);
        let across = Axis::around(all().map(|point| point.0), LEFT, PANEL_WIDTH - RIGHT);
        let up = Axis::around(all().map(|point| point.1), PANEL_HEIGHT - BELOW, TOP);
        let _ = writeln!(out, "<text x=\"{LEFT}\" y=\"18\" font-weight=\"bold\">{}</text>", escaped(&self.title));
        for decade in across.decades() {
            let x = across.at(decade);
            let _ = writeln!(
                out,
                "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{:.1}\" stroke=\"#ddd\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                PANEL_HEIGHT - BELOW,
                PANEL_HEIGHT - BELOW + 15.0,
                tick(decade)
            );
        }
        for decade in up.decades() {
            let y = up.at(decade);
            let _ = writeln!(
                out,
                "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                PANEL_WIDTH - RIGHT,
                LEFT - 5.0,
                y + 4.0,
                tick(decade)
            );
        }
        let _ = writeln!(
            out,
            "<text x=\"{LEFT}\" y=\"{:.1}\">{}</text><text x=\"{LEFT}\" y=\"30\" fill=\"#555\">{}</text>",
            PANEL_HEIGHT - 10.0,
            escaped(&self.across),
            escaped(&self.up)
        );
        for (place, (line, colour)) in self.lines.iter().zip(COLOURS.iter().cycle()).enumerate() {
            let points: Vec<_> =
                line.points.iter().map(|(x, y)| format!("{:.1},{:.1}", across.at(*x), up.at(*y))).collect();
            let name_y = TOP + 12.0 + 16.0 * number(place);
            let _ = writeln!(
                out,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\
                 <text x=\"{:.1}\" y=\"{name_y:.1}\" fill=\"{colour}\">{}</text>",
                points.join(" "),
                PANEL_WIDTH - RIGHT + 8.0,
                escaped(&line.name)
            );
            for (x, y) in &line.points {
                let (x, y) = (across.at(*x), up.at(*y));
                let _ = writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
            }
        }
    }
}

/// A logarithmic axis: whole decades around the values, from one pixel to another.
struct Axis {
    first: i32,
    last: i32,
    from: f64,
    to: f64,
}

impl Axis {
    fn around(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let logs: Vec<f64> = values.filter(|value| *value > 0.0).map(f64::log10).collect();
        let least = logs.iter().copied().fold(f64::INFINITY, f64::min);
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (first, last) = if logs.is_empty() { (0, 1) } else { (whole(least.floor()), whole(most.ceil())) };
        Self { first, last: last.max(first.saturating_add(1)), from, to }
    }

    fn decades(&self) -> impl Iterator<Item = f64> + use<> {
        (self.first..=self.last).map(|exponent| 10_f64.powi(exponent))
    }

    fn at(&self, value: f64) -> f64 {
        let share = (value.log10() - f64::from(self.first)) / f64::from(self.last.saturating_sub(self.first));
        self.from + share * (self.to - self.from)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a whole number between −324 and 309")]
fn whole(value: f64) -> i32 {
    value as i32
}

fn number(value: usize) -> f64 {
    f64::from(u32::try_from(value).unwrap_or(u32::MAX))
}

fn tick(value: f64) -> String {
    match value {
        1e6.. => format!("{}M", value / 1e6),
        1e3.. => format!("{}k", value / 1e3),
        _ => format!("{value}"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decade_more_is_as_far_everywhere() {
        let axis = Axis::around([150.0, 90_000.0].into_iter(), 0.0, 300.0);
        assert_eq!(axis.decades().collect::<Vec<_>>(), [100.0, 1e3, 1e4, 1e5]);
        assert_eq!([100.0, 1e4, 1e5].map(|value| axis.at(value).round()), [0.0, 200.0, 300.0]);
    }

    #[test]
    fn every_line_and_point_is_drawn_and_names_cannot_break_the_file() {
        let line = |name: &str| Line { name: name.to_owned(), points: vec![(10.0, 3.0), (100.0, 4.0)] };
        let panel = |lines| Panel { title: "a < b".into(), across: "work".into(), up: "µs".into(), lines };
        let text = svg(&[panel(vec![line("store"), line("drain")]), panel(vec![line("look-up")]), panel(Vec::new())]);
        assert_eq!((text.matches("<polyline").count(), text.matches("<circle").count()), (3, 6));
        assert!(text.contains("a &lt; b") && !text.contains("NaN"), "{text}");
    }
}
