//! How wide chunks should be for what is written: about so many bytes each.

use crate::range::{Range, Width};
use crate::retention::Chunk;
use crate::{DAY, HOUR, MINUTE, Micros};

/// Widths that people name, ten years at most. Each is a divisor of the next or close to one.
const WIDTHS: [(Micros, &str); 17] = [
    (5 * MINUTE, "5 minutes"),
    (15 * MINUTE, "15 minutes"),
    (30 * MINUTE, "30 minutes"),
    (HOUR, "1 hour"),
    (2 * HOUR, "2 hours"),
    (4 * HOUR, "4 hours"),
    (6 * HOUR, "6 hours"),
    (12 * HOUR, "12 hours"),
    (DAY, "1 day"),
    (2 * DAY, "2 days"),
    (4 * DAY, "4 days"),
    (7 * DAY, "7 days"),
    (14 * DAY, "14 days"),
    (28 * DAY, "28 days"),
    (91 * DAY, "91 days"),
    (182 * DAY, "182 days"),
    (364 * DAY, "364 days"),
];

/// So many of the newest closed chunks are measured.
pub const MEASURED: usize = 8;
/// Fewer say nothing yet.
const LEAST: usize = 3;
/// A width within this factor of the ideal one stays: each change makes chunks that are cut short.
const TOLERANCE: f64 = 2.0;

/// What was measured, and what follows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Advice {
    /// As Postgres reads it; `None`: the present width is good.
    pub width: Option<&'static str>,
    pub bytes_per_day: f64,
    pub chunks: usize,
}

/// What the newest closed chunks say; `None` where there are too few with anything in them.
pub fn advise(chunks: &[Chunk], present: Width, target_bytes: i64, now: Micros) -> Option<Advice> {
    let mut closed: Vec<&Chunk> = chunks
        .iter()
        .filter(|c| c.range.end <= now && c.bytes > 0 && length(c.range) > 0)
        .collect();
    closed.sort_by_key(|c| std::cmp::Reverse(c.range.end));
    closed.truncate(MEASURED);
    if closed.len() < LEAST {
        return None;
    }
    let bytes: i128 = closed.iter().map(|c| i128::from(c.bytes)).sum();
    let time: i128 = closed.iter().map(|c| length(c.range)).sum();
    let per_micro = bytes as f64 / time as f64;
    let ideal = target_bytes as f64 / per_micro;
    let distance = |width: Micros| (width as f64 / ideal).ln().abs();
    let stays = distance(present.micros()) <= TOLERANCE.ln();
    let best = WIDTHS
        .iter()
        .min_by(|a, b| distance(a.0).total_cmp(&distance(b.0)))
        .filter(|best| !stays && distance(best.0) < distance(present.micros()));
    Some(Advice {
        width: best.map(|best| best.1),
        bytes_per_day: per_micro * DAY as f64,
        chunks: closed.len(),
    })
}

fn length(range: Range) -> i128 {
    i128::from(range.end) - i128::from(range.start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::range;
    use proptest::prelude::*;

    fn width(micros: Micros) -> Width {
        Width::new(0, 0, micros).unwrap()
    }

    fn chunks(micros: Micros, bytes: i64, n: i64) -> Vec<Chunk> {
        (0..n)
            .map(|i| Chunk { range: Range { start: i * micros, end: (i + 1) * micros }, bytes })
            .collect()
    }

    #[test]
    fn wider_where_little_is_written_and_narrower_where_much_is() {
        let at = |bytes| advise(&chunks(DAY, bytes, 5), width(DAY), 1_000, 10 * DAY).unwrap();
        assert_eq!(at(1_000).width, None);
        assert_eq!(at(600).width, None);
        assert_eq!(at(250).width, Some("4 days"));
        assert_eq!(at(4_000).width, Some("6 hours"));
        assert_eq!(at(i64::MAX / 8).width, Some("5 minutes"));
        assert_eq!(at(1).width, Some("364 days"));
        assert_eq!(at(2_000).bytes_per_day.round(), 2_000.0);
    }

    #[test]
    fn too_little_says_nothing() {
        assert_eq!(advise(&chunks(DAY, 10, 2), width(DAY), 1_000, 10 * DAY), None);
        assert_eq!(advise(&chunks(DAY, 10, 5), width(DAY), 1_000, 2 * DAY), None);
        assert_eq!(advise(&chunks(DAY, 0, 5), width(DAY), 1_000, 10 * DAY), None);
    }

    #[test]
    fn every_width_is_one_that_chunks_can_have() {
        for (micros, _) in WIDTHS {
            width(micros);
        }
        assert!(WIDTHS.windows(2).all(|w| w[0].0 < w[1].0));
    }

    proptest! {
        /// What is advised is nearer to the target than what is there, and then stays.
        #[test]
        fn advice_is_better_and_settles(
            present in 5i64..500_000, bytes in 1i64..1_000_000_000, target in 1_000i64..10_000_000_000,
        ) {
            let micros = present * MINUTE;
            let Some(advice) = advise(&chunks(micros, bytes, 5), width(micros), target, 9 * micros) else {
                return Err(TestCaseError::fail("no advice"));
            };
            let Some(text) = advice.width else { return Ok(()) };
            let (next, _) = *WIDTHS.iter().find(|w| w.1 == text).unwrap();
            let size = |micros: Micros| advice.bytes_per_day * micros as f64 / DAY as f64;
            let off = |micros| (size(micros) / target as f64).ln().abs();
            prop_assert!(off(next) < off(micros));
            let then = (size(next) as i64).max(1);
            let again = advise(&chunks(next, then, 5), width(next), target, 9 * next).unwrap();
            // Rounding to whole bytes may move it by one place, where there are hardly any.
            prop_assert!(then < 1_000 || again.width.is_none() || off(next) > TOLERANCE.ln());
        }

        /// Whatever the width was changed to on the way: no overlap, and no gap ahead of now.
        #[test]
        fn widths_change_without_overlap_or_gap(
            changes in prop::collection::vec((0usize..17, 0i64..40, 0u32..4), 1..30),
        ) {
            let mut now = 0;
            let mut existing: Vec<Range> = Vec::new();
            for (which, hours, n) in changes {
                now += hours * HOUR;
                let width = width(WIDTHS[which].0);
                let made = range::missing_ahead(width, now, n, &existing);
                existing.extend(made);
                existing.sort_unstable();
                prop_assert!(existing.windows(2).all(|w| w[0].end <= w[1].start));
                let mut at = now;
                let horizon = width.ranges_ahead(now, n).last().unwrap().end;
                while at < horizon {
                    let Some(range) = existing.iter().find(|r| r.contains(at)) else {
                        return Err(TestCaseError::fail(format!("nothing holds {at}")));
                    };
                    at = range.end;
                }
            }
        }
    }
}
