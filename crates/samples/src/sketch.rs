//! A sketch of a distribution from which quantiles are read with a bounded relative error, and which
//! merges with others without a loss.
//!
//! DDSketch: Masson, Rim, Lee, "DDSketch: a fast and fully-mergeable quantile sketch with
//! relative-error guarantees", PVLDB 12 (2019), sections 2 and 3. A finite value other than zero
//! counts in the bucket `ceil(log(|x|) / log(γ))` of its sign, with `γ = (1 + α) / (1 - α)`; what is
//! read from a bucket is within α of every value in it. Zeros, infinities and NaN are counted apart.
//!
//! **Bound.** [`Sketch::quantile`] is within α = 1 % of the exact value at that rank, as long as the
//! magnitudes of one sign span less than [`MAX_BUCKETS`] buckets (a ratio of 10¹⁷ between the largest
//! and the smallest); beyond that, the smallest magnitudes are counted as one, and only they lose
//! their accuracy. Smallest, largest value and count are exact.

mod bytes;
mod store;

pub use bytes::DamagedSketch;
use store::Store;

/// The relative error α.
pub const ALPHA: f64 = 0.01;

/// Most buckets of one sign.
pub const MAX_BUCKETS: usize = 2048;

/// The distribution of the values added so far.
#[derive(Debug, Clone, PartialEq)]
pub struct Sketch {
    positive: Store,
    negative: Store,
    zeros: u64,
    /// -∞, +∞, NaN; the last sorts above everything, as in Postgres.
    below: u64,
    above: u64,
    nans: u64,
    /// Of the finite values; `INFINITY` and `NEG_INFINITY` where there are none.
    min: f64,
    max: f64,
}

impl Default for Sketch {
    fn default() -> Self {
        Self {
            positive: Store::default(),
            negative: Store::default(),
            zeros: 0,
            below: 0,
            above: 0,
            nans: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        }
    }
}

impl Sketch {
    pub fn add(&mut self, value: f64) {
        if value.is_nan() {
            self.nans += 1;
        } else if value == f64::INFINITY {
            self.above += 1;
        } else if value == f64::NEG_INFINITY {
            self.below += 1;
        } else {
            self.min = self.min.min(value);
            self.max = self.max.max(value);
            if value > 0.0 {
                self.positive.add(bucket(value), 1);
            } else if value < 0.0 {
                self.negative.add(bucket(-value), 1);
            } else {
                self.zeros += 1;
            }
        }
    }

    /// Adds what another has seen: the same as if its values had been added here.
    pub fn merge(&mut self, other: &Self) {
        self.positive.merge(&other.positive);
        self.negative.merge(&other.negative);
        self.zeros = self.zeros.saturating_add(other.zeros);
        self.below = self.below.saturating_add(other.below);
        self.above = self.above.saturating_add(other.above);
        self.nans = self.nans.saturating_add(other.nans);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// How many values there were.
    pub fn count(&self) -> u64 {
        [
            self.negative.count(),
            self.zeros,
            self.positive.count(),
            self.below,
            self.above,
            self.nans,
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }

    /// The value at rank `⌊q · (count - 1)⌋` from 0, in ascending order: q = 0 is the smallest, 1 the
    /// largest, both exact. `None` for an empty sketch; `q` is between 0 and 1.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "ranks of more than 2^53 values are approximate"
    )]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = (q.clamp(0.0, 1.0) * (count - 1) as f64) as u64;
        let Some(mut rank) = rank.checked_sub(self.below) else {
            return Some(f64::NEG_INFINITY);
        };
        let finite = self
            .count()
            .saturating_sub(self.below)
            .saturating_sub(self.above)
            .saturating_sub(self.nans);
        if rank == 0 && finite > 0 {
            return Some(self.min);
        }
        if rank + 1 == finite {
            return Some(self.max);
        }
        // Takes a group of values off the rank, and says whether the rank was within it.
        let mut within = |size: u64| {
            let found = rank < size;
            rank = rank.saturating_sub(size);
            found
        };
        let clamp = |value: f64| value.clamp(self.min, self.max);
        for (bucket, size) in self.negative.buckets().rev() {
            if within(size) {
                return Some(clamp(-middle(bucket)));
            }
        }
        if within(self.zeros) {
            return Some(0.0);
        }
        for (bucket, size) in self.positive.buckets() {
            if within(size) {
                return Some(clamp(middle(bucket)));
            }
        }
        Some(if within(self.above) { f64::INFINITY } else { f64::NAN })
    }
}

fn log_gamma() -> f64 {
    ((1.0 + ALPHA) / (1.0 - ALPHA)).ln()
}

/// The bucket of a positive finite number: from about -37,000 to 36,000.
#[expect(clippy::cast_possible_truncation, reason = "well within 32 bits")]
fn bucket(value: f64) -> i32 {
    (value.ln() / log_gamma()).ceil() as i32
}

/// The number whose relative distance to both ends of a bucket is the same: `2γⁱ / (γ + 1)`.
fn middle(bucket: i32) -> f64 {
    let gamma = (1.0 + ALPHA) / (1.0 - ALPHA);
    // In two factors: γⁱ alone can be beyond what a double holds where the middle isn't.
    (f64::from(bucket) * log_gamma() - ((gamma + 1.0) / 2.0).ln()).exp()
}

#[cfg(test)]
mod tests;
