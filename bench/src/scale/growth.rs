//! The growth of a cost with the work.

use crate::load::plan::count;

/// The share that noise can add to a ratio of two measurements.
const NOISE: f64 = 1.25;

/// The cost of one operation at one size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) size: u64,
    /// Wall time, in µs an operation.
    pub(crate) wall: f64,
    /// The server's processor time, in µs an operation.
    pub(crate) cpu: f64,
}

/// The cost of one operation as something grows.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    /// What grows.
    pub(crate) work: &'static str,
    pub(crate) operation: &'static str,
    /// By size, ascending.
    pub(crate) points: Vec<Point>,
}

impl Series {
    /// Returns the exponent of the power of the size that fits the processor time best: 0 for a constant, 1 for a
    /// proportional cost.
    pub(crate) fn exponent(&self) -> f64 {
        slope(self.points.iter().map(|point| (count(point.size).ln(), point.cpu.ln())))
    }

    /// Returns the µs of processor time that ten times the work adds, by the logarithm that fits best.
    pub(crate) fn per_decade(&self) -> f64 {
        slope(self.points.iter().map(|point| (count(point.size).log10(), point.cpu)))
    }

    /// Returns how much faster than the logarithm of the size the costs grow, for processor and wall time: the largest
    /// ratio of two costs over the ratio of their logarithms. It is at most 1 for a cost that grows no faster.
    pub(crate) fn excess(&self) -> (f64, f64) {
        let most = |cost: fn(&Point) -> f64| {
            let pairs = self.points.iter().flat_map(|less| {
                let larger = self.points.iter().filter(|more| more.size > less.size);
                larger.map(move |more| cost(more) / cost(less) * logarithm(less.size) / logarithm(more.size))
            });
            pairs.fold(0.0, f64::max)
        };
        (most(|point| point.cpu), most(|point| point.wall))
    }

    /// Returns whether neither cost grows faster than the logarithm, allowing for noise.
    pub(crate) fn is_logarithmic(&self) -> bool {
        let (cpu, wall) = self.excess();
        cpu <= NOISE && wall <= NOISE
    }
}

fn logarithm(size: u64) -> f64 {
    count(size.max(2)).ln()
}

/// Returns the slope of the line that fits these points best.
fn slope(points: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let length = points.clone().map(|_| 1.0).sum::<f64>();
    let (sum_x, sum_y) = points.clone().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
    let (mean_x, mean_y) = (sum_x / length, sum_y / length);
    let (mut covariance, mut variance) = (0.0, 0.0);
    for (x, y) in points {
        covariance += (x - mean_x) * (y - mean_y);
        variance += (x - mean_x).powi(2);
    }
    if variance > 0.0 { covariance / variance } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(cost: fn(f64) -> f64) -> Series {
        let points = [1_000, 10_000, 100_000, 1_000_000].map(|size| Point {
            size,
            wall: cost(count(size)),
            cpu: cost(count(size)),
        });
        Series { work: "work", operation: "operation", points: points.to_vec() }
    }

    #[test]
    fn constants_and_logarithms_pass_and_powers_do_not() {
        assert!(series(|_| 20.0).is_logarithmic());
        assert!(series(|size| 5.0 * size.ln()).is_logarithmic());
        assert!(series(|size| 100.0 - size.ln()).is_logarithmic());
        assert!(!series(|size| 1e5 / size + size.sqrt()).is_logarithmic(), "growth after a fall is growth");
        assert!(!series(|size| size.sqrt()).is_logarithmic());
        assert!(!series(|size| 3.0 + size / 1_000.0).is_logarithmic());
    }

    #[test]
    fn the_fits_find_the_exponent_and_the_step() {
        assert!((series(|size| 2.0 * size.powf(0.25)).exponent() - 0.25).abs() < 1e-9);
        assert!((series(|size| 7.0 + 3.0 * size.log10()).per_decade() - 3.0).abs() < 1e-9);
        assert!(series(|_| 20.0).exponent().abs() < 1e-9);
    }
}
