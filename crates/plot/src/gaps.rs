//! Where a line is broken.

use lake_chunks::Micros;

/// How many times the usual step between points is a gap.
const TIMES: i64 = 3;

/// Cuts points into stretches where the step from one to the next is more than three times the usual one,
/// the median, and more than `least`. Points that aren't finite are left out, and there is a gap where
/// they were.
pub fn by_step(points: &[(Micros, f64)], least: i64) -> Vec<Vec<(Micros, f64)>> {
    let mut steps: Vec<i64> = points.windows(2).map(|w| w[1].0.saturating_sub(w[0].0)).collect();
    let usual = if steps.is_empty() {
        i64::MAX
    } else {
        let middle = steps.len() / 2;
        *steps.select_nth_unstable(middle).1
    };
    let most = usual.saturating_mul(TIMES).max(least);
    cut(points, |before, after| after.saturating_sub(before) > most)
}

/// Cuts points into stretches between which `gap` says so, of the times before and after.
pub fn cut(
    points: &[(Micros, f64)],
    gap: impl Fn(Micros, Micros) -> bool,
) -> Vec<Vec<(Micros, f64)>> {
    let mut stretches: Vec<Vec<(Micros, f64)>> = vec![];
    let mut last: Option<Micros> = None;
    for point in points {
        if !point.1.is_finite() {
            last = None;
            continue;
        }
        match (last, stretches.last_mut()) {
            (Some(before), Some(stretch)) if !gap(before, point.0) => stretch.push(*point),
            _ => stretches.push(vec![*point]),
        }
        last = Some(point.0);
    }
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_long_step_and_a_nan_are_gaps() {
        let points =
            [(0, 1.0), (10, 1.0), (20, 1.0), (51, 1.0), (61, f64::NAN), (71, 1.0), (81, 2.0)];
        let stretches = by_step(&points, 0);
        assert_eq!(stretches.iter().map(Vec::len).collect::<Vec<_>>(), [3, 1, 2]);
        assert_eq!(by_step(&points, 40).len(), 2);
        assert!(by_step(&[], 0).is_empty());
        assert_eq!(by_step(&points[..1], 0), [[(0, 1.0)]]);
    }

    proptest! {
        #[test]
        fn every_finite_point_is_in_one_stretch(
            mut times in prop::collection::vec(any::<i64>(), 0..50),
        ) {
            times.sort_unstable();
            let points: Vec<_> = times.into_iter().map(|ts| (ts, 0.5)).collect();
            let joined: Vec<_> = by_step(&points, 0).concat();
            prop_assert_eq!(joined, points);
        }
    }
}
