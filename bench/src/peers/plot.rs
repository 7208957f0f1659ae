//! The plot: a panel a measure, a bar a server, on logarithmic scales.

use std::fmt::Write as _;

use super::report::short;
use super::side::{Measure, Side};

/// Lengths in pixels.
const PANEL_WIDTH: f64 = 330.0;
const NAME_WIDTH: f64 = 112.0;
const BAR_WIDTH: f64 = 150.0;
const BAR_HEIGHT: f64 = 15.0;
const BAR_STEP: f64 = 21.0;
const HEAD_HEIGHT: f64 = 44.0;
const SCALE_HEIGHT: f64 = 34.0;
const MARGIN: f64 = 16.0;
const TITLE_HEIGHT: f64 = 40.0;
/// Panels side by side.
const COLUMNS: usize = 3;
const OURS: &str = "#0b6e4f";
const THEIRS: &str = "#8fa3b5";

/// Draws the medians of all sides.
pub(crate) fn svg(sides: &[Side]) -> String {
    let bars =
        |measure: Measure| -> Vec<(&str, f64)> { sides.iter().map(|side| (side.name, side.median(measure))).collect() };
    let panels: Vec<_> = Measure::ALL.iter().map(|measure| (*measure, bars(*measure))).collect();
    draw(&panels)
}

fn draw(panels: &[(Measure, Vec<(&str, f64)>)]) -> String {
    let most = panels.iter().map(|(_, bars)| bars.len()).max().unwrap_or_default();
    let panel_height = HEAD_HEIGHT + number(most) * BAR_STEP + SCALE_HEIGHT;
    let width = 2.0 * MARGIN + number(COLUMNS) * PANEL_WIDTH;
    let height = 2.0 * MARGIN + TITLE_HEIGHT + number(panels.len().div_ceil(COLUMNS)) * panel_height;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"#1c2733\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    text(&mut out, MARGIN, MARGIN + 16.0, "font-size=\"16\" font-weight=\"bold\"", "Sealpost beside other servers");
    let under = "the same work in one run, one core for the server, 1 KiB messages; every scale is logarithmic";
    text(&mut out, MARGIN, MARGIN + 34.0, "fill=\"#5a6875\"", under);
    for (at, (measure, bars)) in panels.iter().enumerate() {
        let x = MARGIN + number(at % COLUMNS) * PANEL_WIDTH;
        let y = MARGIN + TITLE_HEIGHT + number(at / COLUMNS) * panel_height;
        panel(&mut out, (x, y), *measure, bars);
    }
    out.push_str("</svg>\n");
    out
}

fn panel(out: &mut String, (x, y): (f64, f64), measure: Measure, bars: &[(&str, f64)]) {
    text(out, x, y + 22.0, "font-weight=\"bold\"", measure.says());
    let better = if measure.more_is_better() { "more is better" } else { "less is better" };
    text(out, x, y + 36.0, "font-size=\"10\" fill=\"#5a6875\"", better);
    let Some(scale) = Scale::over(bars.iter().map(|(_, value)| *value)) else { return };
    let (left, top) = (x + NAME_WIDTH, y + HEAD_HEIGHT);
    let bottom = top + number(bars.len()) * BAR_STEP;
    for power in scale.lowest..=scale.highest {
        let at = left + BAR_WIDTH * scale.part(10_f64.powi(power));
        // Writing to a string can't fail.
        let _ = writeln!(out, "<path d=\"M{at:.1} {top:.1}V{bottom:.1}\" stroke=\"#dfe5ea\"/>");
        text(out, at, bottom + 12.0, "font-size=\"9\" fill=\"#5a6875\" text-anchor=\"middle\"", &decade(power));
    }
    for (at, (name, value)) in bars.iter().enumerate() {
        let y = top + number(at) * BAR_STEP;
        let ours = *name == "Sealpost";
        let weight = if ours { "font-weight=\"bold\"" } else { "" };
        let end = format!("text-anchor=\"end\" {weight}");
        text(out, left - 6.0, y + 12.0, &end, name);
        let length = BAR_WIDTH * scale.part(*value);
        let fill = if ours { OURS } else { THEIRS };
        let _ = writeln!(
            out,
            "<rect x=\"{left:.1}\" y=\"{y:.1}\" width=\"{length:.1}\" height=\"{BAR_HEIGHT}\" fill=\"{fill}\"/>"
        );
        text(out, left + length + 5.0, y + 12.0, weight, &short(*value));
    }
}

/// A logarithmic scale over whole powers of ten.
struct Scale {
    lowest: i32,
    highest: i32,
}

impl Scale {
    /// From below the least to above the greatest value; `None` where there is nothing to show.
    fn over(values: impl Iterator<Item = f64>) -> Option<Self> {
        let (mut least, mut greatest) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|value| value.is_finite() && *value > 0.0) {
            (least, greatest) = (least.min(value), greatest.max(value));
        }
        if least > greatest {
            return None;
        }
        // The least bar keeps a tenth of a power of ten, so that it can be seen.
        let (lowest, highest) = (floor((least.log10()) - 0.1), floor(greatest.log10()) + 1);
        Some(Self { lowest, highest })
    }

    /// Where a value is between the ends, from 0 to 1. What can't be shown is at the beginning.
    fn part(&self, value: f64) -> f64 {
        let (lowest, highest) = (f64::from(self.lowest), f64::from(self.highest));
        let part = (value.log10() - lowest) / (highest - lowest);
        if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// The whole number below an exponent, which is a small one.
#[expect(clippy::cast_possible_truncation, reason = "exponents of ten that a measurement can have fit")]
fn floor(exponent: f64) -> i32 {
    exponent.floor() as i32
}

fn decade(power: i32) -> String {
    match power {
        0..3 => format!("{}", 10_f64.powi(power)),
        3..6 => format!("{}k", 10_f64.powi(power - 3)),
        6..9 => format!("{}M", 10_f64.powi(power - 6)),
        -2..0 => format!("{}", 10_f64.powi(power)),
        _ => format!("1e{power}"),
    }
}

/// A count of panels or bars.
fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Nothing of what is written here needs escaping.
fn text(out: &mut String, x: f64, y: f64, attributes: &str, text: &str) {
    let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" {attributes}>{text}</text>");
}

#[cfg(test)]
mod tests {
    use super::{Measure, Scale, draw};

    #[test]
    fn a_bar_is_as_long_as_the_logarithm_of_its_value() {
        let scale = Scale::over([20.0, 1_900.0].into_iter()).unwrap();
        assert_eq!((scale.lowest, scale.highest), (1, 4));
        assert!((scale.part(100.0) - 1.0 / 3.0).abs() < 1e-9);
        assert!(scale.part(f64::NAN).abs() < 1e-9);
        assert!(Scale::over([f64::NAN, 0.0].into_iter()).is_none());
        // A value on a power of ten has a bar too.
        assert!(Scale::over([10.0].into_iter()).unwrap().part(10.0) > 0.0);
    }

    #[test]
    fn every_panel_and_bar_is_drawn() {
        let bars = vec![("Sealpost", 60_000.0), ("ejabberd", 1_900.0)];
        let drawn = draw(&[(Measure::StoreRate, bars.clone()), (Measure::P99, bars)]);
        assert_eq!(drawn.matches("<rect").count(), 5, "the ground and the bars");
        assert_eq!(drawn.matches(">60,000<").count(), 2);
        assert!(drawn.contains(Measure::P99.says()));
    }
}
