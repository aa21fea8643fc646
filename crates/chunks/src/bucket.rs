//! Time buckets by the clock on the wall.
//!
//! A bucket begins at each instant at which the local clock reads a multiple of the width, counted
//! from the origin. In a zone without summer time this is plain arithmetic; where clocks change:
//!
//! - Days, weeks and months are calendar ones: a day has 23, 24 or 25 hours.
//! - Buckets narrower than a day begin anew when the clock is put back past one of their
//!   boundaries, so the two hours from 02:00 to 03:00 of an autumn night are two buckets, not one.
//! - No bucket begins after an instant that it holds, and none is skipped or repeated.
//!
//! The zone comes as a function from an instant to the local clock's offset from UTC.

use crate::calendar::{month_number, month_start};
use crate::{DAY, END_INSTANT, MONDAY, Micros};

/// The width of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// Days and less, as microseconds of the local clock.
    Clock(Micros),
    /// Calendar months.
    Months(i64),
}

/// Widths are below this many months, 500 years.
const MOST_MONTHS: i32 = 6_000;

/// Why an interval can't be the width of a bucket, or an instant its origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WidthError {
    #[error("the width of a bucket must be positive")]
    NotPositive,
    #[error("the width of a bucket is in months, or in days and time, not in both")]
    Mixed,
    #[error("the width of a bucket is too large")]
    TooWide,
    #[error("the origin of buckets in months must be the first of a month, at midnight")]
    OriginInMonth,
}

impl Width {
    /// From the parts of a Postgres interval.
    pub fn new(months: i32, days: i32, micros: Micros) -> Result<Self, WidthError> {
        if months != 0 {
            return match (months, days, micros) {
                (MOST_MONTHS.., 0, 0) => Err(WidthError::TooWide),
                (1.., 0, 0) => Ok(Width::Months(i64::from(months))),
                (_, 0, 0) => Err(WidthError::NotPositive),
                _ => Err(WidthError::Mixed),
            };
        }
        let width = i64::from(days)
            .checked_mul(DAY)
            .and_then(|d| d.checked_add(micros))
            .ok_or(WidthError::TooWide)?;
        match width {
            ..=0 => Err(WidthError::NotPositive),
            w if w >= i64::from(MOST_MONTHS) * 31 * DAY => Err(WidthError::TooWide),
            w => Ok(Width::Clock(w)),
        }
    }

    /// Whether each bucket of this width is made of whole buckets of the other, without origins and in the
    /// same zone.
    pub fn is_made_of(self, narrow: Width) -> bool {
        match (self, narrow) {
            (Width::Clock(wide), Width::Clock(narrow))
            | (Width::Months(wide), Width::Months(narrow)) => wide % narrow == 0,
            // A month begins at any midnight.
            (Width::Months(_), Width::Clock(narrow)) => DAY % narrow == 0,
            (Width::Clock(_), Width::Months(_)) => false,
        }
    }
}

/// Buckets of a width, from an origin, in a zone.
#[derive(Debug, Clone, Copy)]
pub struct Buckets<F> {
    width: Width,
    /// What the local clock reads at the origin.
    origin: Micros,
    /// The local clock's offset from UTC at an instant: positive east of Greenwich.
    offset_at: F,
}

impl<F: Fn(Micros) -> Micros> Buckets<F> {
    /// Without an origin, days and less are counted from a Monday's midnight, months from a January.
    pub fn new(width: Width, origin: Option<Micros>, offset_at: F) -> Result<Self, WidthError> {
        let origin = match (origin, width) {
            (Some(instant), _) => instant + offset_at(instant),
            (None, Width::Clock(_)) => MONDAY,
            (None, Width::Months(_)) => 0,
        };
        if matches!(width, Width::Months(_)) && month_start(month_number(origin)) != origin {
            return Err(WidthError::OriginInMonth);
        }
        Ok(Self { width, origin, offset_at })
    }

    pub fn width(&self) -> Width {
        self.width
    }

    /// The first instant of the bucket that holds `instant`.
    pub fn start(&self, instant: Micros) -> Micros {
        let offset = (self.offset_at)(instant);
        let local = self.local_start(instant + offset);
        // Same offset there, as nearly always: nothing to resolve but a midnight that comes twice.
        let direct = local - offset;
        match self.width {
            Width::Clock(width) if width < DAY => {
                if (self.offset_at)(direct) == offset {
                    return direct;
                }
                self.start_across_change(local, direct, instant)
            }
            _ => {
                if (self.offset_at)(direct - DAY) == offset && (self.offset_at)(direct) == offset {
                    return direct;
                }
                self.instants_of(local, direct).0.min(instant)
            }
        }
    }

    /// The first instant of the bucket after the one that begins at `start`; at the end of what
    /// Postgres can hold, that end.
    pub fn next(&self, start: Micros) -> Micros {
        let step = match self.width {
            Width::Clock(width) => width,
            Width::Months(months) => months * 31 * DAY,
        };
        if start >= END_INSTANT - 2 * step {
            return END_INSTANT;
        }
        match self.width {
            Width::Months(months) => {
                let local = start + (self.offset_at)(start);
                // A start may lie a little after the first of the month, where midnight was skipped.
                let local_next = month_start(month_number(self.local_start(local)) + months);
                let direct = local_next - (self.offset_at)(start + step);
                self.instants_of(local_next, direct).0
            }
            Width::Clock(width) => {
                let mut next = self.start(start + width);
                if next <= start {
                    // A bucket may be longer than its width, by what the clock is put back …
                    next = self.start(start + 2 * width);
                }
                loop {
                    // … and the one after it so short that it was stepped over.
                    match self.start(next - 1) {
                        between if between > start => next = between,
                        _ => return next,
                    }
                }
            }
        }
    }

    /// What the local clock reads at the boundary at or before it reads `local`.
    fn local_start(&self, local: Micros) -> Micros {
        match self.width {
            Width::Clock(width) => {
                // An origin at one end of time and an instant at the other are further apart than an
                // i64 can say; the boundary itself is at most a width before the instant.
                let past =
                    (i128::from(local) - i128::from(self.origin)).rem_euclid(i128::from(width));
                local - past as Micros
            }
            Width::Months(months) => {
                let origin = month_number(self.origin);
                month_start(origin + (month_number(local) - origin).div_euclid(months) * months)
            }
        }
    }

    /// The latest boundary at or before `instant`, where the clock was changed after `earlier` and
    /// `local` is what it read at the boundary if it hadn't been.
    fn start_across_change(&self, local: Micros, earlier: Micros, instant: Micros) -> Micros {
        let before = (self.offset_at)(earlier);
        let after = (self.offset_at)(instant);
        let (mut low, mut change) = (earlier, instant);
        while change - low > 1 {
            let middle = low + (change - low) / 2;
            if (self.offset_at)(middle) == after {
                change = middle;
            } else {
                low = middle;
            }
        }
        if (change + before..change + after).contains(&local) {
            // The clock was put forward past it.
            return change;
        }
        // What the clock read last before it was put back, or the same as without a change.
        self.local_start(change + before - 1) - before
    }

    /// The first and the last instant at which the local clock reads `local`; where it skips it, the
    /// instant of the skip, twice. `near` is any instant within a day of them.
    fn instants_of(&self, local: Micros, near: Micros) -> (Micros, Micros) {
        let before = (self.offset_at)(near - DAY);
        let after = (self.offset_at)(near + DAY);
        let (a, b) = (local - before, local - after);
        let valid = |instant: Micros, offset| (self.offset_at)(instant) == offset;
        match (valid(a, before), valid(b, after)) {
            (true, true) => (a.min(b), a.max(b)),
            (true, false) => (a, a),
            (false, true) => (b, b),
            (false, false) => {
                // Skipped: the change lies between the two readings.
                let (mut low, mut high) = (a.min(b) - 1, a.max(b));
                while high - low > 1 {
                    let middle = low + (high - low) / 2;
                    if (self.offset_at)(middle) == before {
                        low = middle;
                    } else {
                        high = middle;
                    }
                }
                (high, high)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::days_from_date;
    use crate::{HOUR, MIN_INSTANT, MINUTE};
    use proptest::prelude::*;

    fn at(year: i64, month: u32, day: u32, hour: i64, minute: i64) -> Micros {
        days_from_date(year, month, day) * DAY + hour * HOUR + minute * MINUTE
    }

    /// Central European time of 2026: summer from 29 March 01:00 UTC to 25 October 01:00 UTC.
    fn berlin(instant: Micros) -> Micros {
        let summer = at(2026, 3, 29, 1, 0)..at(2026, 10, 25, 1, 0);
        if summer.contains(&instant) { 2 * HOUR } else { HOUR }
    }

    /// A zone that changes at midnight: on 10 March from 00:00 to 01:00, on 10 October back from
    /// 01:00 to 00:00.
    fn midnight(instant: Micros) -> Micros {
        let summer = at(2026, 3, 10, 5, 0)..at(2026, 10, 10, 5, 0);
        if summer.contains(&instant) { -4 * HOUR } else { -5 * HOUR }
    }

    fn clock(micros: Micros) -> Width {
        Width::new(0, 0, micros).unwrap()
    }

    #[test]
    fn days_have_23_to_25_hours() {
        let days = Buckets::new(clock(DAY), None, berlin).unwrap();
        let spring = days.start(at(2026, 3, 29, 12, 0));
        assert_eq!(spring, at(2026, 3, 28, 23, 0));
        assert_eq!(days.next(spring) - spring, 23 * HOUR);
        let autumn = days.start(at(2026, 10, 25, 12, 0));
        assert_eq!(autumn, at(2026, 10, 24, 22, 0));
        assert_eq!(days.next(autumn) - autumn, 25 * HOUR);
    }

    #[test]
    fn the_hour_that_comes_twice_is_two_buckets() {
        let hours = Buckets::new(clock(HOUR), None, berlin).unwrap();
        assert_eq!(hours.start(at(2026, 10, 25, 0, 30)), at(2026, 10, 25, 0, 0));
        assert_eq!(hours.start(at(2026, 10, 25, 1, 30)), at(2026, 10, 25, 1, 0));
        // Two hours from 02:00 local: the clock reads it twice.
        let two = Buckets::new(clock(2 * HOUR), None, berlin).unwrap();
        assert_eq!(two.start(at(2026, 10, 25, 0, 30)), at(2026, 10, 25, 0, 0));
        assert_eq!(two.start(at(2026, 10, 25, 2, 30)), at(2026, 10, 25, 1, 0));
        // Six hours from 00:00 local: seven hours of elapsed time.
        let six = Buckets::new(clock(6 * HOUR), None, berlin).unwrap();
        let start = six.start(at(2026, 10, 25, 1, 30));
        assert_eq!(start, at(2026, 10, 24, 22, 0));
        assert_eq!(six.next(start) - start, 7 * HOUR);
    }

    #[test]
    fn midnights_that_are_skipped_or_come_twice() {
        let days = Buckets::new(clock(DAY), None, midnight).unwrap();
        assert_eq!(days.start(at(2026, 3, 10, 12, 0)), at(2026, 3, 10, 5, 0));
        let twice = days.start(at(2026, 10, 10, 12, 0));
        assert_eq!(twice, at(2026, 10, 10, 4, 0));
        assert_eq!(days.start(at(2026, 10, 10, 4, 30)), twice);
        assert_eq!(days.start(at(2026, 10, 10, 5, 30)), twice);
        assert_eq!(days.next(twice), at(2026, 10, 11, 5, 0));
    }

    #[test]
    fn months() {
        let months = Buckets::new(Width::new(1, 0, 0).unwrap(), None, berlin).unwrap();
        let march = months.start(at(2026, 3, 31, 12, 0));
        assert_eq!(march, at(2026, 2, 28, 23, 0));
        assert_eq!(months.next(march), at(2026, 3, 31, 22, 0));
        assert_eq!(months.start(at(2026, 3, 31, 22, 0)), at(2026, 3, 31, 22, 0));
        let quarters = Buckets::new(Width::new(3, 0, 0).unwrap(), None, |_| 0).unwrap();
        assert_eq!(quarters.start(at(2026, 3, 31, 12, 0)), at(2026, 1, 1, 0, 0));
        assert_eq!(quarters.next(at(2026, 10, 1, 0, 0)), at(2027, 1, 1, 0, 0));
        let origin = Some(at(2000, 2, 1, 0, 0));
        let quarters = Buckets::new(Width::new(3, 0, 0).unwrap(), origin, |_| 0).unwrap();
        assert_eq!(quarters.start(at(2026, 3, 31, 12, 0)), at(2026, 2, 1, 0, 0));
        assert_eq!(
            Buckets::new(Width::Months(1), Some(at(2000, 1, 2, 0, 0)), |_| 0).err(),
            Some(WidthError::OriginInMonth)
        );
    }

    #[test]
    fn widths() {
        assert_eq!(Width::new(1, 1, 0), Err(WidthError::Mixed));
        assert_eq!(Width::new(0, 0, 0), Err(WidthError::NotPositive));
        assert_eq!(Width::new(-1, 0, 0), Err(WidthError::NotPositive));
        assert_eq!(Width::new(0, i32::MAX, 0), Err(WidthError::TooWide));
        assert_eq!(Width::new(i32::MAX, 0, 0), Err(WidthError::TooWide));
        assert_eq!(Width::new(0, 1, 12 * HOUR), Ok(Width::Clock(36 * HOUR)));
    }

    fn widths_of_all_kinds() -> impl Strategy<Value = Width> {
        prop_oneof![
            prop::sample::select(vec![1, 5, 7, 15, 20, 30, 45, 60, 90, 120, 180, 360, 420, 720])
                .prop_map(|m| Width::Clock(m * MINUTE)),
            (1i64..20).prop_map(|d| Width::Clock(d * DAY)),
            (1i64..15).prop_map(Width::Months),
        ]
    }

    proptest! {
        #[test]
        fn starts_are_at_or_before_and_fixed_points_and_in_order(
            width in widths_of_all_kinds(),
            instant in at(2026, 1, 1, 0, 0)..at(2027, 1, 1, 0, 0),
            further in 0..3 * HOUR,
            zone in prop::sample::select(vec![berlin as fn(Micros) -> Micros, midnight, |_| 0]),
        ) {
            let buckets = Buckets::new(width, None, zone).unwrap();
            let start = buckets.start(instant);
            prop_assert!(start <= instant);
            prop_assert_eq!(buckets.start(start), start);
            prop_assert!(buckets.start(instant + further) >= start);
            let next = buckets.next(start);
            prop_assert!(next > instant, "{} .. {} does not hold {}", start, next, instant);
            prop_assert_eq!(buckets.start(next), next);
            prop_assert_eq!(buckets.start(next - 1), start);
        }

        #[test]
        fn wide_buckets_are_made_of_whole_narrow_ones(
            (wide, narrow) in (widths_of_all_kinds(), widths_of_all_kinds(), 1i64..8).prop_map(|(wide, narrow, times)| {
                match narrow {
                    _ if wide.is_made_of(narrow) => (wide, narrow),
                    Width::Clock(width) => (Width::Clock(width * times), narrow),
                    Width::Months(months) => (Width::Months(months * times), narrow),
                }
            }),
            instant in at(2026, 1, 1, 0, 0)..at(2027, 1, 1, 0, 0),
            zone in prop::sample::select(vec![berlin as fn(Micros) -> Micros, midnight, |_| 0]),
        ) {
            prop_assert!(wide.is_made_of(narrow));
            let (wide, narrow) = (Buckets::new(wide, None, zone).unwrap(), Buckets::new(narrow, None, zone).unwrap());
            let (start, next) = (wide.start(instant), wide.next(wide.start(instant)));
            prop_assert_eq!(narrow.start(start), start);
            prop_assert_eq!(narrow.start(next), next);
            prop_assert_eq!(wide.start(narrow.start(instant)), start);
        }

        #[test]
        fn no_instant_and_no_origin_is_too_far(
            width in widths_of_all_kinds(),
            instant in MIN_INSTANT..END_INSTANT,
            origin in MIN_INSTANT..END_INSTANT,
        ) {
            let origin = if matches!(width, Width::Months(_)) { month_start(month_number(origin)) } else { origin };
            let buckets = Buckets::new(width, Some(origin), |_| 0).unwrap();
            let start = buckets.start(instant);
            prop_assert!(start <= instant);
            prop_assert!(buckets.next(start) > start);
        }
    }

    #[test]
    fn walking_meets_every_bucket_on_nights_of_change() {
        for (zone, nights) in
            [(berlin as fn(Micros) -> Micros, [(3, 29), (10, 25)]), (midnight, [(3, 10), (10, 10)])]
        {
            for minutes in [5, 7, 15, 20, 30, 45, 50, 60, 70, 90, 120, 180, 360, 1440] {
                for (month, day) in nights {
                    let buckets = Buckets::new(clock(minutes * MINUTE), None, zone).unwrap();
                    let night = at(2026, month, day, 0, 0);
                    let mut seen: Vec<Micros> = (night - DAY..night + 2 * DAY)
                        .step_by(MINUTE as usize)
                        .map(|instant| buckets.start(instant))
                        .collect();
                    seen.dedup();
                    assert!(seen.is_sorted(), "{minutes} minutes on {month}-{day}");
                    let mut walked = vec![seen[0]];
                    while walked.len() < seen.len() {
                        walked.push(buckets.next(walked[walked.len() - 1]));
                    }
                    assert_eq!(walked, seen, "{minutes} minutes on {month}-{day}");
                }
            }
        }
    }
}
