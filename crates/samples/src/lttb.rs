//! Downsampling for plots: fewer samples that look like all of them.
//!
//! Largest Triangle Three Buckets: Sveinn Steinarsson, "Downsampling Time Series for Visual
//! Representation", University of Iceland 2013, section 4.2.

use crate::Sample;

/// At most `n` of the samples, in their order: the first, the last, and of each of `n - 2` equal
/// stretches the one that spans the largest triangle with the one chosen before it and the mean of the
/// stretch after it. All of them where there are no more than `n`; none for `n` of 0, the first for 1.
///
/// `alive` is called for each stretch and ends the work with its error.
pub fn lttb<E>(
    samples: &[Sample],
    n: usize,
    mut alive: impl FnMut() -> Result<(), E>,
) -> Result<Vec<Sample>, E> {
    if samples.len() <= n {
        return Ok(samples.to_vec());
    }
    if n < 3 {
        let mut ends = vec![];
        ends.extend(samples.first().filter(|_| n > 0));
        ends.extend(samples.last().filter(|_| n > 1));
        return Ok(ends);
    }
    let inner = samples.len() - 2;
    // Where stretch `i` of n - 2 begins; the products fit 64 bits for any slice there can be.
    let begin = |stretch: usize| 1 + stretch * inner / (n - 2);
    let mut chosen = Vec::with_capacity(n);
    let mut before = samples[0];
    chosen.push(before);
    for stretch in 0..n - 2 {
        alive()?;
        let (from, to) = (begin(stretch), begin(stretch + 1));
        let next = if stretch + 1 < n - 2 {
            &samples[to..begin(stretch + 2)]
        } else {
            &samples[samples.len() - 1..]
        };
        let ahead = mean(next, before.ts);
        let of_stretch = &samples[from..to];
        let mut best = of_stretch[0];
        let mut largest = -1.0;
        for sample in of_stretch {
            let area = triangle(before, *sample, ahead);
            // False for NaN: such a sample is chosen only where there is no other.
            if area > largest {
                largest = area;
                best = *sample;
            }
        }
        chosen.push(best);
        before = best;
    }
    chosen.push(samples[samples.len() - 1]);
    Ok(chosen)
}

/// Mean time after `origin`, and mean value.
#[expect(clippy::cast_precision_loss, reason = "areas are compared, not shown")]
fn mean(samples: &[Sample], origin: i64) -> (f64, f64) {
    let count = samples.len() as f64;
    let (mut ts, mut value) = (0.0, 0.0);
    for sample in samples {
        ts += sample.ts.saturating_sub(origin) as f64 / count;
        value += sample.value / count;
    }
    (ts, value)
}

/// Twice the area of a triangle, times counted from its first corner.
#[expect(clippy::cast_precision_loss, reason = "areas are compared, not shown")]
fn triangle(first: Sample, second: Sample, third: (f64, f64)) -> f64 {
    let width = second.ts.saturating_sub(first.ts) as f64;
    (width * (third.1 - first.value) - third.0 * (second.value - first.value)).abs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::convert::Infallible;

    fn thin(samples: &[Sample], n: usize) -> Vec<Sample> {
        lttb(samples, n, || Ok::<(), Infallible>(())).unwrap_or_else(|never| match never {})
    }

    fn line(values: impl IntoIterator<Item = f64>) -> Vec<Sample> {
        values.into_iter().enumerate().map(|(i, value)| Sample { ts: i as i64, value }).collect()
    }

    #[test]
    fn a_spike_survives() {
        let mut samples = line((0..1000).map(|i| f64::from(i % 3)));
        samples[517].value = 500.0;
        let thinned = thin(&samples, 50);
        assert_eq!(thinned.len(), 50);
        assert!(thinned.contains(&samples[517]));
    }

    #[test]
    fn few_samples_and_small_n() {
        let samples = line([1.0, 2.0, 3.0]);
        assert_eq!(thin(&samples, 3), samples);
        assert_eq!(thin(&samples, 2), [samples[0], samples[2]]);
        assert_eq!(thin(&samples, 1), [samples[0]]);
        assert_eq!(thin(&samples, 0), []);
        assert_eq!(thin(&[], 5), []);
    }

    #[test]
    fn it_ends_when_told() {
        let samples = line((0..100).map(f64::from));
        assert_eq!(lttb(&samples, 10, || Err("cancelled")), Err("cancelled"));
    }

    proptest! {
        #[test]
        fn ends_stay_and_order_stays(values in prop::collection::vec(-1e9..1e9f64, 3..300), n in 3usize..60) {
            let samples = line(values);
            let thinned = thin(&samples, n);
            prop_assert_eq!(thinned.len(), n.min(samples.len()));
            prop_assert_eq!(thinned[0], samples[0]);
            prop_assert_eq!(thinned.last(), samples.last());
            prop_assert!(thinned.windows(2).all(|pair| pair[0].ts < pair[1].ts));
            prop_assert!(thinned.iter().all(|sample| samples.contains(sample)));
        }
    }
}
