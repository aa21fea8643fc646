//! The axis of time: ticks at round times by the clock of a time zone, and what stands at them.

use lake_chunks::bucket::{Buckets, Width};
use lake_chunks::calendar::{Civil, civil};
use lake_chunks::{DAY, END_INSTANT, HOUR, MINUTE, Micros, SECOND};
use std::ops::Range;

/// Widths from one tick to the next.
const WIDTHS: [Width; 32] = [
    Width::Clock(1),
    Width::Clock(10),
    Width::Clock(100),
    Width::Clock(1_000),
    Width::Clock(10_000),
    Width::Clock(100_000),
    Width::Clock(SECOND),
    Width::Clock(5 * SECOND),
    Width::Clock(15 * SECOND),
    Width::Clock(30 * SECOND),
    Width::Clock(MINUTE),
    Width::Clock(5 * MINUTE),
    Width::Clock(15 * MINUTE),
    Width::Clock(30 * MINUTE),
    Width::Clock(HOUR),
    Width::Clock(3 * HOUR),
    Width::Clock(6 * HOUR),
    Width::Clock(12 * HOUR),
    Width::Clock(DAY),
    Width::Clock(2 * DAY),
    Width::Clock(7 * DAY),
    Width::Clock(14 * DAY),
    Width::Months(1),
    Width::Months(3),
    Width::Months(6),
    Width::Months(12),
    Width::Months(24),
    Width::Months(60),
    Width::Months(120),
    Width::Months(300),
    Width::Months(1_200),
    Width::Months(5_988),
];

/// A tick and what stands at it.
pub type Tick = (Micros, String);

/// At most `most` ticks within the span, as far apart as one of the widths.
pub fn ticks(
    span: &Range<Micros>,
    most: usize,
    offset_at: impl Fn(Micros) -> Micros + Copy,
) -> Vec<Tick> {
    WIDTHS
        .into_iter()
        .filter(|width| i128::from(least(*width)) * most as i128 >= length(span))
        .find_map(|width| {
            let found = within(span, width, most, offset_at)?;
            Some(found.into_iter().map(|tick| (tick, label(tick, width, offset_at))).collect())
        })
        .unwrap_or_default()
}

fn length(span: &Range<Micros>) -> i128 {
    i128::from(span.end) - i128::from(span.start)
}

fn least(width: Width) -> Micros {
    match width {
        Width::Clock(width) => width,
        Width::Months(months) => months * 28 * DAY,
    }
}

/// `None` where there are more than `most`.
fn within(
    span: &Range<Micros>,
    width: Width,
    most: usize,
    offset_at: impl Fn(Micros) -> Micros,
) -> Option<Vec<Micros>> {
    let buckets = Buckets::new(width, None, offset_at).ok()?;
    let mut at = buckets.start(span.start);
    let mut found = vec![];
    while at <= span.end && at < END_INSTANT {
        if at >= span.start {
            found.push(at);
        }
        if found.len() > most {
            return None;
        }
        at = buckets.next(at);
    }
    Some(found)
}

/// As exact as the width: `2026`, `2026-03`, `Mar 28`, `12:30`, `12:30:15`; at midnight the day.
fn label(tick: Micros, width: Width, offset_at: impl Fn(Micros) -> Micros) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let Civil { year, month, day, micros } = civil(tick + offset_at(tick));
    let month_name = MONTHS[(month as usize - 1).min(11)];
    match width {
        Width::Months(months) if months % 12 == 0 => year.to_string(),
        Width::Months(_) => format!("{year}-{month:02}"),
        Width::Clock(width) if width >= DAY || micros == 0 => format!("{month_name} {day}"),
        Width::Clock(width) => {
            let (hour, minute) = (micros / HOUR, micros / MINUTE % 60);
            let second = micros / SECOND % 60;
            if width >= MINUTE {
                format!("{hour:02}:{minute:02}")
            } else if width >= SECOND {
                format!("{hour:02}:{minute:02}:{second:02}")
            } else {
                let digits = width.ilog10().min(5) as usize;
                let fraction = format!("{:06}", micros % SECOND);
                format!("{minute:02}:{second:02}.{}", &fraction[..6 - digits])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lake_chunks::MIN_INSTANT;
    use proptest::prelude::*;

    fn labels(span: Range<Micros>, most: usize, offset: Micros) -> Vec<String> {
        ticks(&span, most, |_| offset).into_iter().map(|tick| tick.1).collect()
    }

    #[test]
    fn round_times_of_the_zone() {
        let day = 9_583 * DAY;
        assert_eq!(
            labels(day..day + 12 * HOUR, 5, 0),
            ["Mar 28", "03:00", "06:00", "09:00", "12:00"]
        );
        assert_eq!(labels(day..day + 12 * HOUR, 5, 2 * HOUR), ["03:00", "06:00", "09:00", "12:00"]);
        assert_eq!(labels(day..day + 3 * DAY, 5, 0), ["Mar 28", "Mar 29", "Mar 30", "Mar 31"]);
        assert_eq!(labels(0..365 * 40 * DAY, 5, 0), ["2000", "2010", "2020", "2030"]);
        assert_eq!(labels(day..day + 20_000, 3, 0), ["Mar 28", "00:00.01", "00:00.02"]);
    }

    proptest! {
        #[test]
        fn few_rising_and_within(
            start in MIN_INSTANT..END_INSTANT,
            length in 1i64..=i64::MAX / 4,
            exponent in 0u32..60,
            most in 1usize..15,
            offset in -14i64..=14,
        ) {
            let span = start..start.saturating_add(length >> exponent).min(END_INSTANT - 1).max(start);
            let ticks = ticks(&span, most, |_| offset * HOUR);
            prop_assert!(ticks.len() <= most);
            prop_assert!(ticks.iter().all(|tick| span.start <= tick.0 && tick.0 <= span.end));
            prop_assert!(ticks.windows(2).all(|w| w[0].0 < w[1].0));
        }
    }
}
