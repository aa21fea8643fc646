//! Chunk ranges: half-open intervals of time, aligned to a width.

use crate::calendar::civil;
use crate::{DAY, END_INSTANT, HOUR, MIN_INSTANT, MINUTE, MONDAY, Micros};

/// From `start` up to, not including, `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range {
    pub start: Micros,
    pub end: Micros,
}

impl Range {
    pub fn contains(&self, instant: Micros) -> bool {
        self.start <= instant && instant < self.end
    }

    pub fn overlaps(&self, other: &Range) -> bool {
        self.start < other.end && other.start < self.end
    }
}

/// The width of a chunk: fixed, so that chunk boundaries follow from it alone. Months have no fixed
/// width and are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Width(Micros);

/// Why an interval can't be the width of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WidthError {
    #[error("chunks have a fixed width, and months and years have none")]
    Months,
    #[error("chunks are at least one minute wide")]
    TooNarrow,
    #[error("chunks are at most ten years (3660 days) wide")]
    TooWide,
    #[error("chunks are whole minutes wide")]
    NotWholeMinutes,
}

impl Width {
    /// From the parts of a Postgres interval.
    pub fn new(months: i32, days: i32, micros: Micros) -> Result<Self, WidthError> {
        if months != 0 {
            return Err(WidthError::Months);
        }
        let width = i64::from(days)
            .checked_mul(DAY)
            .and_then(|d| d.checked_add(micros))
            .ok_or(WidthError::TooWide)?;
        match width {
            w if w < MINUTE => Err(WidthError::TooNarrow),
            w if w > 3_660 * DAY => Err(WidthError::TooWide),
            w if w % MINUTE != 0 => Err(WidthError::NotWholeMinutes),
            w => Ok(Self(w)),
        }
    }

    pub fn micros(self) -> Micros {
        self.0
    }

    /// The aligned range that holds an instant. Counted from a Monday, 00:00 UTC; at the two ends of
    /// what Postgres can hold it is cut off there.
    pub fn range_of(self, instant: Micros) -> Range {
        let width = i128::from(self.0);
        let start = i128::from(MONDAY)
            + (i128::from(instant) - i128::from(MONDAY)).div_euclid(width) * width;
        let clamp = |x: i128| x.clamp(i128::from(MIN_INSTANT), i128::from(END_INSTANT)) as Micros;
        Range { start: clamp(start), end: clamp(start + width) }
    }

    /// The range that holds `now` and the `ahead` ranges after it.
    pub fn ranges_ahead(self, now: Micros, ahead: u32) -> Vec<Range> {
        let mut ranges = vec![self.range_of(now)];
        for _ in 0..ahead {
            match ranges.last() {
                Some(last) if last.end < END_INSTANT => ranges.push(self.range_of(last.end)),
                _ => break,
            }
        }
        ranges
    }
}

/// The ranges to make so that each of `instants` has a chunk, given those there are. Ranges are
/// aligned to `width`, and cut where a chunk of another width is in the way. Both slices must be
/// sorted; what comes back is sorted, without duplicates and without overlaps.
pub fn missing(width: Width, instants: &[Micros], existing: &[Range]) -> Vec<Range> {
    let mut made: Vec<Range> = Vec::new();
    for &instant in instants {
        if made.last().is_some_and(|r| r.contains(instant)) {
            continue;
        }
        // The first chunk that ends after the instant is the only one that can hold it.
        let next = existing.partition_point(|r| r.end <= instant);
        if existing.get(next).is_some_and(|r| r.contains(instant)) {
            continue;
        }
        let mut range = width.range_of(instant);
        if let Some(before) = next.checked_sub(1).and_then(|i| existing.get(i)) {
            range.start = range.start.max(before.end);
        }
        if let Some(after) = existing.get(next) {
            range.end = range.end.min(after.start);
        }
        made.push(range);
    }
    made
}

/// The ranges to make so that every instant from `now` to the end of the `ahead`th range after it has a
/// chunk, given those there are, of whatever width; sorted.
pub fn missing_ahead(width: Width, now: Micros, ahead: u32, existing: &[Range]) -> Vec<Range> {
    let horizon = width.ranges_ahead(now, ahead).last().map_or(now, |last| last.end);
    let mut made = Vec::new();
    let mut at = now;
    while at < horizon {
        let next = existing.partition_point(|range| range.end <= at);
        at = match existing.get(next).filter(|range| range.contains(at)) {
            Some(there) => there.end,
            None => {
                let Some(range) = missing(width, &[at], existing).pop() else { break };
                made.push(range);
                range.end
            }
        };
    }
    made
}

/// A short, sortable label of a range's start, for names: `p20260131`, or `p20260131_0600` where the
/// range doesn't begin at midnight UTC.
pub fn label(range: Range) -> String {
    let start = civil(range.start);
    let (era, year) = if start.year > 0 { ("", start.year) } else { ("bc", 1 - start.year) };
    let date = format!("p{era}{year:04}{:02}{:02}", start.month, start.day);
    if start.micros == 0 {
        return date;
    }
    let minutes = start.micros / MINUTE;
    let time = format!("{date}_{:02}{:02}", minutes / 60, minutes % 60);
    // Chunks of other tools may begin anywhere; ours never need this.
    if start.micros % MINUTE == 0 { time } else { format!("{time}_{}", start.micros % HOUR) }
}

/// `base_label` in at most `max` bytes: the base gives way, at a character boundary.
pub fn chunk_name(base: &str, label: &str, max: usize) -> String {
    format!("{}_{label}", cut(base, max.saturating_sub(label.len() + 1)))
}

/// The longest prefix of at most `max` bytes that ends at a character boundary.
pub fn cut(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(n: i64) -> Range {
        Range { start: n * DAY, end: (n + 1) * DAY }
    }

    #[test]
    fn widths() {
        assert_eq!(Width::new(1, 0, 0), Err(WidthError::Months));
        assert_eq!(Width::new(0, 0, 0), Err(WidthError::TooNarrow));
        assert_eq!(Width::new(0, -1, 0), Err(WidthError::TooNarrow));
        assert_eq!(Width::new(0, i32::MAX, i64::MAX), Err(WidthError::TooWide));
        assert_eq!(Width::new(0, 0, MINUTE + 1), Err(WidthError::NotWholeMinutes));
        assert_eq!(Width::new(0, 1, HOUR).unwrap().micros(), 25 * HOUR);
    }

    #[test]
    fn weeks_begin_on_monday_and_days_at_midnight() {
        let week = Width::new(0, 7, 0).unwrap();
        // 2026-11-22 is a Sunday.
        let sunday = crate::calendar::days_from_date(2026, 11, 22) * DAY + 5 * HOUR;
        let monday = crate::calendar::days_from_date(2026, 11, 16) * DAY;
        assert_eq!(week.range_of(sunday), Range { start: monday, end: monday + 7 * DAY });
        assert_eq!(Width::new(0, 1, 0).unwrap().range_of(-1), day(-1));
    }

    #[test]
    fn missing_fits_between_what_is_there() {
        let width = Width::new(0, 7, 0).unwrap();
        let existing = [day(3), day(5)];
        let made = missing(width, &[2 * DAY, 3 * DAY, 4 * DAY + 1, 5 * DAY, 8 * DAY], &existing);
        assert_eq!(
            made,
            [
                Range { start: 2 * DAY, end: 3 * DAY },
                Range { start: 4 * DAY, end: 5 * DAY },
                Range { start: 6 * DAY, end: 9 * DAY },
            ]
        );
    }

    #[test]
    fn names_stay_within_the_limit() {
        let name = chunk_name(&"ä".repeat(31), "p20260131_0600", 63);
        assert!(name.len() <= 63 && name.ends_with("ä_p20260131_0600"), "{name}");
        assert_eq!(chunk_name("cpu", "p20260131", 63), "cpu_p20260131");
        assert_eq!(label(Range { start: MIN_INSTANT, end: 0 }), "pbc47141124");
        assert_eq!(label(Range { start: 6 * HOUR, end: DAY }), "p20000101_0600");
    }

    prop_compose! {
        /// Chunks as they may lie: sorted, without overlaps, of any width, with holes.
        fn chunks()(steps in prop::collection::vec((0..5 * DAY, 1..9 * DAY), 0..20)) -> Vec<Range> {
            let mut at = -30 * DAY;
            steps.into_iter().map(|(hole, width)| {
                let start = at + hole;
                at = start + width;
                Range { start, end: at }
            }).collect()
        }
    }

    proptest! {
        #[test]
        fn an_instant_lies_in_its_range(minutes in 1i64..5_000_000, instant in MIN_INSTANT..END_INSTANT) {
            let width = Width::new(0, 0, minutes * MINUTE).unwrap();
            let range = width.range_of(instant);
            prop_assert!(range.contains(instant));
            if range.end < END_INSTANT && range.start > MIN_INSTANT {
                prop_assert_eq!(range.end - range.start, width.micros());
                prop_assert_eq!(width.range_of(range.end).start, range.end);
            }
        }

        #[test]
        fn everything_has_exactly_one_chunk_afterwards(
            existing in chunks(),
            mut instants in prop::collection::vec(-40 * DAY..200 * DAY, 0..50),
            minutes in 60i64..20_000,
        ) {
            instants.sort_unstable();
            let width = Width::new(0, 0, minutes * MINUTE).unwrap();
            let made = missing(width, &instants, &existing);
            let mut all = [existing.clone(), made.clone()].concat();
            all.sort_unstable();
            prop_assert!(all.windows(2).all(|w| w[0].end <= w[1].start));
            for instant in &instants {
                prop_assert_eq!(all.iter().filter(|r| r.contains(*instant)).count(), 1);
            }
            // Nothing is made that nobody needs.
            for range in &made {
                prop_assert!(range.start < range.end);
                prop_assert!(instants.iter().any(|i| range.contains(*i)));
            }
        }

        #[test]
        fn ahead_is_gapless(minutes in 1i64..100_000, now in -1_000 * DAY..20_000 * DAY, n in 0u32..20) {
            let width = Width::new(0, 0, minutes * MINUTE).unwrap();
            let ranges = width.ranges_ahead(now, n);
            prop_assert_eq!(ranges.len(), n as usize + 1);
            prop_assert!(ranges[0].contains(now));
            prop_assert!(ranges.windows(2).all(|w| w[0].end == w[1].start));
        }
    }
}
