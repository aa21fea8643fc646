//! What is computed from samples of a series, without Postgres: counters, averages over time,
//! quantile sketches, downsampling.
//!
//! A [`Sample`] is an instant (microseconds since any fixed one) and a value. Functions on slices want
//! them in the order of [`sort`].

pub mod counter;
pub mod lttb;
pub mod sketch;
pub mod weighted;

/// A value at an instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Microseconds since any fixed instant.
    pub ts: i64,
    pub value: f64,
}

/// By time, and within an instant by value: results don't depend on the order in which samples came.
pub fn sort(samples: &mut [Sample]) {
    samples.sort_unstable_by(|a, b| a.ts.cmp(&b.ts).then(a.value.total_cmp(&b.value)));
}

/// Seconds from the first to the last sample; `None` for fewer than two.
pub fn seconds(samples: &[Sample]) -> Option<f64> {
    let (first, last) = (samples.first()?, samples.last()?);
    if samples.len() < 2 { None } else { Some(micros_to_seconds(first.ts, last.ts)) }
}

#[expect(clippy::cast_precision_loss, reason = "a difference of 285 years is exact")]
fn micros_to_seconds(from: i64, to: i64) -> f64 {
    to.saturating_sub(from) as f64 / 1e6
}
