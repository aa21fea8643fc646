//! Choosing rows that are near to a query and unlike each other (maximal marginal relevance).

use crate::Metric;

/// The score of two vectors for each other, as [`Metric::score`] has it for a query and a row.
#[must_use]
pub fn similarity(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let pairs = || a.iter().zip(b).map(|(a, b)| (f64::from(*a), f64::from(*b)));
    let dot = || pairs().map(|(a, b)| a * b).sum::<f64>();
    let length = |v: &[f32]| v.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    match metric {
        Metric::Cosine => dot() / (length(a) * length(b)).max(f64::MIN_POSITIVE),
        Metric::InnerProduct => dot(),
        Metric::L2 => metric.score(pairs().map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()),
        Metric::L1 => metric.score(pairs().map(|(a, b)| (a - b).abs()).sum()),
    }
}

/// Picks `k` of the candidates (score for the query, vector), in the order of picking: each time the
/// one with the largest `(1 − diversity) · score − diversity · likeness to what is picked already`.
/// Of equals the earlier candidate wins. `pause` is called once for each look at a candidate.
pub fn diverse(
    metric: Metric,
    candidates: &[(f64, &[f32])],
    k: usize,
    diversity: f64,
    mut pause: impl FnMut(),
) -> Vec<usize> {
    let mut left: Vec<usize> = (0..candidates.len()).collect();
    let mut likeness = vec![f64::NEG_INFINITY; candidates.len()];
    let mut picked: Vec<usize> = vec![];
    while picked.len() < k && !left.is_empty() {
        let mut best = (0, f64::NEG_INFINITY);
        for (place, &index) in left.iter().enumerate() {
            pause();
            let (score, vector) = candidates[index];
            if let Some(&last) = picked.last() {
                likeness[index] =
                    likeness[index].max(similarity(metric, vector, candidates[last].1));
            }
            let penalty = if picked.is_empty() { 0.0 } else { diversity * likeness[index] };
            let value = (1.0 - diversity) * score - penalty;
            if value > best.1 {
                best = (place, value);
            }
        }
        picked.push(left.remove(best.0));
    }
    picked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(diversity: f64) -> Vec<usize> {
        let query = [1.0, 0.0];
        let vectors: [[f32; 2]; 4] = [[1.0, 0.01], [1.0, 0.02], [1.0, 0.9], [0.1, 1.0]];
        let candidates: Vec<(f64, &[f32])> =
            vectors.iter().map(|v| (similarity(Metric::Cosine, &query, v), v.as_slice())).collect();
        diverse(Metric::Cosine, &candidates, 3, diversity, || {})
    }

    #[test]
    fn without_diversity_the_nearest_come_in_order() {
        assert_eq!(pick(0.0), [0, 1, 2]);
    }

    #[test]
    fn with_diversity_what_is_alike_comes_late() {
        assert_eq!(pick(0.5)[0], 0);
        assert!(!pick(0.7)[..2].contains(&1));
        assert_eq!(pick(1.0)[1], 3);
    }

    #[test]
    fn all_are_picked_once_where_there_are_fewer_than_asked_for() {
        let one = [1.0_f32];
        let candidates = [(1.0, one.as_slice()), (1.0, one.as_slice())];
        assert_eq!(diverse(Metric::L2, &candidates, 9, 0.5, || {}), [0, 1]);
        assert!(diverse(Metric::L2, &[], 9, 0.5, || {}).is_empty());
    }

    #[test]
    fn likeness_goes_with_the_metric() {
        let (a, b) = ([3.0, 4.0], [6.0, 8.0]);
        assert!((similarity(Metric::Cosine, &a, &b) - 1.0).abs() < 1e-9);
        assert!((similarity(Metric::InnerProduct, &a, &b) - 50.0).abs() < 1e-9);
        assert!((similarity(Metric::L2, &a, &b) - 1.0 / 6.0).abs() < 1e-9);
        assert!((similarity(Metric::L1, &a, &b) - 1.0 / 8.0).abs() < 1e-9);
    }
}
