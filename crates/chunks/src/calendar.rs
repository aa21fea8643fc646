//! The proleptic Gregorian calendar.

use crate::{DAY, Micros};

/// A date and a time of day, in no particular time zone. Years before 1 AD count down from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    pub year: i64,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
    /// Microseconds since midnight.
    pub micros: Micros,
}

const DAYS_BEFORE_MONTH: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

fn is_leap(year: i64) -> bool {
    year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0)
}

/// How many days a month has; 0 for a month that isn't one.
pub fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 0,
    }
}

/// Days from 2000-01-01 to 1 January of `year`.
fn days_to_year(year: i64) -> i64 {
    // Leap days in the years [0, y) are those of y - 1 counted in fours, hundreds and four hundreds.
    let leaps = |y: i64| (y - 1).div_euclid(4) - (y - 1).div_euclid(100) + (y - 1).div_euclid(400);
    (year - 2000) * 365 + leaps(year) - leaps(2000)
}

/// Days from 2000-01-01 to a date that exists.
pub fn days_from_date(year: i64, month: u32, day: u32) -> i64 {
    let leap_day = i64::from(month > 2 && is_leap(year));
    days_to_year(year) + DAYS_BEFORE_MONTH[(month as usize - 1).min(11)] + leap_day + i64::from(day)
        - 1
}

/// Splits microseconds since 2000-01-01 00:00 into date and time.
pub fn civil(instant: Micros) -> Civil {
    let days = instant.div_euclid(DAY);
    // 146,097 days are 400 years; the estimate is off by one year at most.
    let mut year = 2000 + (days * 400).div_euclid(146_097);
    while days_to_year(year) > days {
        year -= 1;
    }
    while days_to_year(year + 1) <= days {
        year += 1;
    }
    let of_year = days - days_to_year(year);
    let mut month = 1;
    while month < 12 && days_from_date(year, month + 1, 1) - days_to_year(year) <= of_year {
        month += 1;
    }
    let day = of_year - (days_from_date(year, month, 1) - days_to_year(year)) + 1;
    Civil { year, month, day: day as u32, micros: instant.rem_euclid(DAY) }
}

/// Months from January 2000 to the month of an instant.
pub fn month_number(instant: Micros) -> i64 {
    let date = civil(instant);
    (date.year - 2000) * 12 + i64::from(date.month) - 1
}

/// The first instant of the month with this number (0 is January 2000).
pub fn month_start(number: i64) -> Micros {
    days_from_date(2000 + number.div_euclid(12), number.rem_euclid(12) as u32 + 1, 1) * DAY
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{END_INSTANT, HOUR, MIN_INSTANT};
    use proptest::prelude::*;

    #[test]
    fn known_dates() {
        assert_eq!(days_from_date(2000, 1, 1), 0);
        assert_eq!(days_from_date(2000, 3, 1), 60);
        assert_eq!(days_from_date(1970, 1, 1), -10_957);
        assert_eq!(days_from_date(2026, 11, 22), 9_822);
        assert_eq!(days_from_date(1900, 3, 1) - days_from_date(1900, 2, 28), 1);
        assert_eq!(
            civil(-DAY + 3 * HOUR),
            Civil { year: 1999, month: 12, day: 31, micros: 3 * HOUR }
        );
        assert_eq!(civil(MIN_INSTANT), Civil { year: -4713, month: 11, day: 24, micros: 0 });
        assert_eq!(civil(END_INSTANT), Civil { year: 294_277, month: 1, day: 1, micros: 0 });
    }

    proptest! {
        #[test]
        fn splitting_and_joining_agree(instant in MIN_INSTANT..END_INSTANT) {
            let c = civil(instant);
            prop_assert!((1..=12).contains(&c.month));
            prop_assert!(c.day >= 1 && c.day <= days_in_month(c.year, c.month));
            prop_assert_eq!(days_from_date(c.year, c.month, c.day) * DAY + c.micros, instant);
        }

        #[test]
        fn an_instant_lies_in_its_month(instant in MIN_INSTANT..END_INSTANT) {
            let n = month_number(instant);
            prop_assert!(month_start(n) <= instant && instant < month_start(n + 1));
        }
    }
}
