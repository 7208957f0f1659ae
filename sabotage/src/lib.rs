//! The countermeasures that one special build can leave out, so that the test of each attack is seen to fail without them.
//!
//! Compiled with `--cfg sealpost_sabotage`, [`without`] reads a countermeasure's name from the environment variable
//! `SEALPOST_SABOTAGE`. Every other build has a constant `false` there, which the compiler removes together with the
//! planted fault behind it: nothing can be switched.
//!
//! A planted fault stands in a function of its own, named `planted_…`, and never inside another expression.

mod countermeasure;

pub use countermeasure::{Countermeasure, Row};

/// Returns whether this countermeasure is left out: never, in this build.
#[cfg(not(sealpost_sabotage))]
#[must_use]
#[inline(always)]
pub const fn without(_countermeasure: Countermeasure) -> bool {
    false
}

/// Returns whether this countermeasure is left out, as `SEALPOST_SABOTAGE` says. Not for use.
#[cfg(sealpost_sabotage)]
#[must_use]
pub fn without(countermeasure: Countermeasure) -> bool {
    static LEFT_OUT: std::sync::OnceLock<Option<Countermeasure>> = std::sync::OnceLock::new();
    *LEFT_OUT.get_or_init(|| Countermeasure::parse(&std::env::var(VARIABLE).ok()?)) == Some(countermeasure)
}

/// Names the countermeasure that a special build leaves out.
pub const VARIABLE: &str = "SEALPOST_SABOTAGE";

/// Returns whether a check passed, or its countermeasure is left out.
#[must_use]
#[inline(always)]
pub fn holds(countermeasure: Countermeasure, passed: bool) -> bool {
    passed || without(countermeasure)
}

/// Returns whether a refusal is due: the condition holds, and its countermeasure is not left out.
#[must_use]
#[inline(always)]
pub fn refuses(countermeasure: Countermeasure, condition: bool) -> bool {
    condition && !without(countermeasure)
}

/// Returns the guarded value, or the planted one where the countermeasure is left out.
#[must_use]
#[inline(always)]
pub fn or_planted<T>(countermeasure: Countermeasure, guarded: T, planted: T) -> T {
    if without(countermeasure) { planted } else { guarded }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_countermeasure_is_left_out_of_a_normal_build() {
        if cfg!(sealpost_sabotage) {
            return;
        }
        for (row, _) in Row::ALL {
            for countermeasure in Countermeasure::of(*row) {
                assert!(!without(countermeasure));
                assert!(refuses(countermeasure, true) && !holds(countermeasure, false));
            }
        }
    }

    #[test]
    fn a_name_leads_back_to_its_countermeasure() {
        for countermeasure in Countermeasure::ALL {
            assert_eq!(Countermeasure::parse(countermeasure.name()), Some(*countermeasure));
        }
        assert_eq!(Countermeasure::parse("nothing"), None);
    }

    #[test]
    fn every_row_has_a_countermeasure_and_rows_ascend() {
        assert!(Row::ALL.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for (row, attack) in Row::ALL {
            assert!(Countermeasure::of(*row).next().is_some(), "{attack}");
        }
    }
}
