//! The average over time of a value that holds until the next sample.

use crate::{Sample, micros_to_seconds};

/// Each value weighted by the time until the next one (last observation carried forward); the last
/// sample only ends the range. Where no time passes, the value at that instant, of several the
/// largest. `None` for no sample.
pub fn time_weighted_avg(samples: &[Sample]) -> Option<f64> {
    let (first, last) = (samples.first()?, samples.last()?);
    let whole = micros_to_seconds(first.ts, last.ts);
    if whole <= 0.0 {
        return Some(last.value);
    }
    // A running mean instead of a sum over a sum: sums of large values could overflow.
    let mut mean = 0.0;
    for pair in samples.windows(2) {
        let share = micros_to_seconds(pair[0].ts, pair[1].ts) / whole;
        if share > 0.0 {
            mean += pair[0].value * share;
        }
    }
    Some(mean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(seconds: i64, value: f64) -> Sample {
        Sample { ts: seconds * 1_000_000, value }
    }

    #[test]
    fn values_hold_until_the_next() {
        // 10 for 1 s, 20 for 3 s.
        let samples = [sample(0, 10.0), sample(1, 20.0), sample(4, 99.0)];
        assert_eq!(time_weighted_avg(&samples), Some(17.5));
        assert_eq!(time_weighted_avg(&[sample(3, 7.0)]), Some(7.0));
        assert_eq!(time_weighted_avg(&[sample(3, 7.0), sample(3, 8.0)]), Some(8.0));
        assert_eq!(time_weighted_avg(&[]), None);
    }

    #[test]
    fn the_largest_values_do_not_overflow() {
        let samples = [sample(0, f64::MAX), sample(1, f64::MAX), sample(2, 0.0)];
        assert_eq!(time_weighted_avg(&samples), Some(f64::MAX));
    }

    proptest! {
        /// Against one value for each second.
        #[test]
        fn equals_the_plain_average_of_seconds(
            steps in prop::collection::vec((1i64..20, -100.0..100.0f64), 1..30)
        ) {
            let (mut at, mut samples, mut seconds) = (0, vec![], vec![]);
            for (width, value) in &steps {
                samples.push(sample(at, *value));
                seconds.extend(std::iter::repeat_n(*value, *width as usize));
                at += width;
            }
            samples.push(sample(at, 0.0));
            let plain = seconds.iter().sum::<f64>() / seconds.len() as f64;
            let ours = time_weighted_avg(&samples).unwrap();
            prop_assert!((ours - plain).abs() < 1e-9, "{ours} {plain}");
        }
    }
}
