//! Which chunks are due to be dropped, and why.

use crate::Micros;
use crate::range::Range;

/// A chunk as the planner sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    pub range: Range,
    pub bytes: i64,
}

/// What is to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Rows at or after this instant are kept.
    pub keep_from: Option<Micros>,
    /// The most bytes that all chunks together may take; oldest go first.
    pub max_bytes: Option<i64>,
    /// Chunks that end after this instant are being written and never go.
    pub now: Micros,
}

/// Why a chunk is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// All that it can hold is older than what is kept.
    TooOld,
    /// The store is over its budget, and this is the oldest there is.
    OverBudget,
}

/// The chunks that are due, as positions in `chunks`, oldest first. A chunk goes as a whole or not
/// at all: one that may hold a row to be kept stays. Chunks with the same range (other dimensions)
/// go together.
pub fn plan(chunks: &[Chunk], policy: &Policy) -> Vec<(usize, Reason)> {
    let mut order: Vec<usize> = (0..chunks.len()).collect();
    order.sort_by_key(|&i| (chunks[i].range.end, chunks[i].range.start, i));
    let mut total: i128 = chunks.iter().map(|c| i128::from(c.bytes)).sum();
    let mut due: Vec<(usize, Reason)> = Vec::new();
    for i in order {
        let chunk = &chunks[i];
        let same_as_last = due.last().filter(|(last, _)| chunks[*last].range == chunk.range);
        let reason = if policy.keep_from.is_some_and(|keep| chunk.range.end <= keep) {
            Reason::TooOld
        } else if let Some((_, reason)) = same_as_last {
            *reason
        } else if chunk.range.end <= policy.now
            && policy.max_bytes.is_some_and(|max| total > i128::from(max))
        {
            Reason::OverBudget
        } else {
            break;
        };
        total -= i128::from(chunk.bytes);
        due.push((i, reason));
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chunk(start: i64, end: i64, bytes: i64) -> Chunk {
        Chunk { range: Range { start, end }, bytes }
    }

    #[test]
    fn by_age_only_whole_chunks() {
        let chunks = [chunk(20, 30, 1), chunk(0, 10, 1), chunk(10, 20, 1)];
        let policy = |keep| Policy { keep_from: Some(keep), max_bytes: None, now: 100 };
        assert_eq!(plan(&chunks, &policy(20)), [(1, Reason::TooOld), (2, Reason::TooOld)]);
        assert_eq!(plan(&chunks, &policy(19)), [(1, Reason::TooOld)]);
        assert_eq!(plan(&chunks, &policy(9)), []);
    }

    #[test]
    fn by_size_oldest_first_and_never_the_one_being_written() {
        let chunks = [chunk(0, 10, 5), chunk(10, 20, 5), chunk(20, 30, 5)];
        let policy = |max| Policy { keep_from: None, max_bytes: Some(max), now: 25 };
        assert_eq!(plan(&chunks, &policy(15)), []);
        assert_eq!(plan(&chunks, &policy(14)), [(0, Reason::OverBudget)]);
        assert_eq!(plan(&chunks, &policy(0)), [(0, Reason::OverBudget), (1, Reason::OverBudget)]);
    }

    #[test]
    fn siblings_of_one_range_go_together() {
        let chunks = [chunk(0, 10, 5), chunk(0, 10, 5), chunk(10, 20, 5)];
        let policy = Policy { keep_from: None, max_bytes: Some(12), now: 25 };
        assert_eq!(plan(&chunks, &policy), [(0, Reason::OverBudget), (1, Reason::OverBudget)]);
    }

    proptest! {
        #[test]
        fn nothing_that_is_kept_is_dropped(
            widths in prop::collection::vec((1i64..50, 0i64..1_000), 0..30),
            keep in 0i64..2_000,
            max in prop::option::of(0i64..20_000),
            now in 0i64..2_000,
        ) {
            let mut at = 0;
            let chunks: Vec<Chunk> = widths.into_iter().map(|(w, bytes)| {
                at += w;
                chunk(at - w, at, bytes)
            }).collect();
            let policy = Policy { keep_from: Some(keep), max_bytes: max, now };
            let due = plan(&chunks, &policy);
            for (i, reason) in &due {
                match reason {
                    Reason::TooOld => prop_assert!(chunks[*i].range.end <= keep),
                    Reason::OverBudget => prop_assert!(chunks[*i].range.end <= now),
                }
            }
            // All that is too old goes.
            for (i, c) in chunks.iter().enumerate() {
                if c.range.end <= keep {
                    prop_assert!(due.contains(&(i, Reason::TooOld)));
                }
            }
            // The budget is met, or only what may not go is left.
            if let Some(max) = max {
                let left: Vec<usize> =
                    (0..chunks.len()).filter(|i| due.iter().all(|(d, _)| d != i)).collect();
                let bytes: i64 = left.iter().map(|i| chunks[*i].bytes).sum();
                prop_assert!(bytes <= max || left.iter().all(|i| chunks[*i].range.end > now));
            }
        }
    }
}
