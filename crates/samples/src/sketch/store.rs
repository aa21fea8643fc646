//! Counts by bucket, for one sign.

use super::MAX_BUCKETS;
use std::collections::VecDeque;

/// Consecutive buckets, the first of number `first`; the outermost are never empty, so that equal
/// contents are equal. Empty: no buckets, `first` 0.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Store {
    first: i32,
    counts: VecDeque<u64>,
}

impl Store {
    pub(super) fn add(&mut self, bucket: i32, count: u64) {
        if count == 0 {
            return;
        }
        let last = self.first.saturating_add(len(&self.counts)) - 1;
        if self.counts.is_empty() {
            self.first = bucket;
            self.counts.push_back(0);
        } else if bucket < self.first {
            // No further down than the limit; what is below counts at its lower end.
            let lowest = bucket.max(last.saturating_sub(limit() - 1));
            while self.first > lowest {
                self.counts.push_front(0);
                self.first -= 1;
            }
        } else if bucket > last {
            let missing = usize::try_from(bucket - last).unwrap_or(0);
            if missing >= MAX_BUCKETS {
                // Everything so far is below the new range.
                let all = self.count();
                self.counts = VecDeque::from(vec![0; MAX_BUCKETS]);
                self.counts[0] = all;
                self.first = bucket - (limit() - 1);
            } else {
                self.counts.extend(std::iter::repeat_n(0, missing));
                while self.counts.len() > MAX_BUCKETS {
                    let lowest = self.counts.pop_front().unwrap_or(0);
                    self.first += 1;
                    self.counts[0] = self.counts[0].saturating_add(lowest);
                }
            }
        }
        let index = usize::try_from(bucket.max(self.first) - self.first).unwrap_or(0);
        self.counts[index] = self.counts[index].saturating_add(count);
        // Room made below that the limit then put aside.
        while self.counts.front() == Some(&0) {
            self.counts.pop_front();
            self.first += 1;
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        // From the top, so that the limit cuts each count once.
        for (bucket, count) in other.buckets().rev() {
            self.add(bucket, count);
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Buckets that hold something with their counts, ascending.
    pub(super) fn buckets(&self) -> impl DoubleEndedIterator<Item = (i32, u64)> {
        self.counts
            .iter()
            .enumerate()
            .map(|(index, count)| (self.first + i32::try_from(index).unwrap_or(0), *count))
            .filter(|(_, count)| *count > 0)
    }
}

fn limit() -> i32 {
    i32::try_from(MAX_BUCKETS).unwrap_or(i32::MAX)
}

fn len(counts: &VecDeque<u64>) -> i32 {
    i32::try_from(counts.len()).unwrap_or(i32::MAX)
}
