//! Filling buckets that have no value.

use crate::Micros;

/// What stands where there is no value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fill {
    /// Nothing: the row is there, its value is null.
    Null,
    /// The last value before; nothing before the first.
    Previous,
    /// On the straight line between the neighbours, by time; nothing before the first and after the
    /// last.
    Linear,
    /// This number.
    Constant(f64),
}

impl Fill {
    /// `null`, `previous`, `linear`, or a finite number.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "null" => Some(Fill::Null),
            "previous" => Some(Fill::Previous),
            "linear" => Some(Fill::Linear),
            number => number.parse().ok().filter(|n: &f64| n.is_finite()).map(Fill::Constant),
        }
    }
}

/// The rows of one series with every bucket of `buckets` in them. `rows` and `buckets` are sorted by
/// time; a row whose time is no bucket of the list is left out. A row that is there but null (a rate
/// of one sample, say) is filled like one that is missing.
pub fn fill(
    rows: &[(Micros, Option<f64>)],
    buckets: &[Micros],
    how: Fill,
) -> Vec<(Micros, Option<f64>)> {
    let mut out: Vec<(Micros, Option<f64>)> = Vec::with_capacity(buckets.len());
    let mut rows = rows.iter().peekable();
    for &bucket in buckets {
        while rows.next_if(|row| row.0 < bucket).is_some() {}
        out.push((bucket, rows.next_if(|row| row.0 == bucket).and_then(|row| row.1)));
    }
    match how {
        Fill::Null => {}
        Fill::Constant(number) => {
            for row in &mut out {
                row.1.get_or_insert(number);
            }
        }
        Fill::Previous => {
            let mut last = None;
            for row in &mut out {
                row.1 = row.1.or(last);
                last = row.1;
            }
        }
        Fill::Linear => interpolate(&mut out),
    }
    out
}

/// What the straight line between two points has at a time; the first where both are of the same time.
/// `None` for a time that isn't between them.
pub fn between(before: (Micros, f64), after: (Micros, f64), at: Micros) -> Option<f64> {
    let ((t0, v0), (t1, v1)) = (before, after);
    if !(t0.min(t1)..=t0.max(t1)).contains(&at) {
        return None;
    }
    if t0 == t1 {
        return Some(v0);
    }
    // Instants at both ends of time are further apart than an i64 can say.
    let share = (i128::from(at) - i128::from(t0)) as f64 / (i128::from(t1) - i128::from(t0)) as f64;
    // Weighted, not v0 + share * (v1 - v0): the difference of two huge values overflows.
    Some(v0 * (1.0 - share) + v1 * share)
}

fn interpolate(rows: &mut [(Micros, Option<f64>)]) {
    let mut left: Option<usize> = None;
    for right in 0..rows.len() {
        let (t1, Some(v1)) = rows[right] else { continue };
        if let Some(left) = left
            && let (t0, Some(v0)) = rows[left]
        {
            for row in &mut rows[left + 1..right] {
                row.1 = between((t0, v0), (t1, v1), row.0);
            }
        }
        left = Some(right);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROWS: [(Micros, Option<f64>); 3] = [(20, Some(2.0)), (30, None), (50, Some(5.0))];
    const BUCKETS: [Micros; 6] = [10, 20, 30, 40, 50, 60];

    fn values(how: Fill) -> Vec<Option<f64>> {
        fill(&ROWS, &BUCKETS, how).into_iter().map(|r| r.1).collect()
    }

    #[test]
    fn each_way() {
        let (two, five) = (Some(2.0), Some(5.0));
        assert_eq!(values(Fill::Null), [None, two, None, None, five, None]);
        assert_eq!(values(Fill::Previous), [None, two, two, two, five, five]);
        assert_eq!(values(Fill::Linear), [None, two, Some(3.0), Some(4.0), five, None]);
        let zero = Some(0.0);
        assert_eq!(values(Fill::Constant(0.0)), [zero, two, zero, zero, five, zero]);
    }

    #[test]
    fn words() {
        assert_eq!(Fill::parse("linear"), Some(Fill::Linear));
        assert_eq!(Fill::parse("-1.5"), Some(Fill::Constant(-1.5)));
        assert_eq!(Fill::parse("NaN"), None);
        assert_eq!(Fill::parse("last"), None);
        assert_eq!(Fill::parse(""), None);
    }

    proptest! {
        #[test]
        fn what_is_there_stays(
            present in prop::collection::vec(prop::option::of(-1e300..1e300f64), 1..60),
            how in prop::sample::select(vec![Fill::Null, Fill::Previous, Fill::Linear, Fill::Constant(7.0)]),
        ) {
            let rows: Vec<_> = present.iter().enumerate()
                .filter(|(_, v)| v.is_some()).map(|(i, v)| (i as i64 * 10, *v)).collect();
            let buckets: Vec<_> = (0..present.len() as i64).map(|i| i * 10).collect();
            let out = fill(&rows, &buckets, how);
            prop_assert_eq!(out.len(), buckets.len());
            for (row, before) in out.iter().zip(&present) {
                if before.is_some() {
                    prop_assert_eq!(row.1, *before);
                }
                if let Some(v) = row.1 {
                    prop_assert!(v.is_finite());
                }
            }
        }
    }
}
