//! Counters: values that only grow, and start again from zero when what counts is restarted.

use crate::{Sample, seconds};

/// How much a counter grew from the first to the last sample. A value below the one before it is taken
/// for a restart from zero, so that it counts as a whole. `None` for fewer than two samples.
///
/// Nothing is extrapolated to the ends of a range: two calls on neighbouring ranges that share a sample
/// add up to one on both.
pub fn increase(samples: &[Sample]) -> Option<f64> {
    if samples.len() < 2 {
        return None;
    }
    let steps = samples.windows(2).map(|pair| step(pair[0].value, pair[1].value));
    Some(steps.sum())
}

/// The increase a second; `None` where no time passes between the first and the last sample.
pub fn rate(samples: &[Sample]) -> Option<f64> {
    let seconds = seconds(samples).filter(|seconds| *seconds > 0.0)?;
    Some(increase(samples)? / seconds)
}

/// From one value to the next. NaN stays NaN.
fn step(before: f64, after: f64) -> f64 {
    if after < before { after } else { after - before }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sort;
    use proptest::prelude::*;

    fn samples(values: &[f64]) -> Vec<Sample> {
        let at = |(i, value): (usize, &f64)| Sample { ts: i as i64 * 1_000_000, value: *value };
        values.iter().enumerate().map(at).collect()
    }

    #[test]
    fn restarts_count_from_zero() {
        assert_eq!(increase(&samples(&[10.0, 15.0, 3.0, 4.0])), Some(9.0));
        assert_eq!(rate(&samples(&[10.0, 15.0, 3.0, 4.0])), Some(3.0));
    }

    #[test]
    fn too_few_samples_or_no_time() {
        assert_eq!(increase(&[]), None);
        assert_eq!(increase(&samples(&[1.0])), None);
        let instant = [Sample { ts: 5, value: 1.0 }, Sample { ts: 5, value: 4.0 }];
        assert_eq!(increase(&instant), Some(3.0));
        assert_eq!(rate(&instant), None);
    }

    #[test]
    fn nan_stays() {
        assert!(increase(&samples(&[1.0, f64::NAN, 2.0])).is_some_and(f64::is_nan));
    }

    proptest! {
        /// Against the obvious way: undo the restarts, then subtract the ends.
        #[test]
        fn equals_the_counter_without_restarts(
            steps in prop::collection::vec((0u32..1000, prop::bool::weighted(0.1)), 2..100)
        ) {
            let (mut shown, mut total) = (0.0, 0.0);
            let mut values = vec![];
            for (index, (step, restarts)) in steps.iter().enumerate() {
                let step = f64::from(*step);
                // A restart shows only if it ends below where it was.
                if *restarts && step < shown { shown = 0.0; }
                shown += step;
                if index > 0 { total += step; }
                values.push(shown);
            }
            prop_assert_eq!(increase(&samples(&values)), Some(total));
        }

        #[test]
        fn order_of_arrival_does_not_matter(values in prop::collection::vec((0i64..50, -5.0..5.0f64), 2..40), seed in 0usize..40) {
            let mut one: Vec<Sample> = values.iter().map(|(ts, value)| Sample { ts: *ts, value: *value }).collect();
            let mut other = one.clone();
            other.rotate_left(seed % values.len());
            other.reverse();
            sort(&mut one);
            sort(&mut other);
            prop_assert_eq!(increase(&one), increase(&other));
        }
    }
}
