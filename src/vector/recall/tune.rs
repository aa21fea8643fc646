//! The smallest number of candidates, or of lists of an IVFFlat index, that reaches a target, kept with the
//! store.

use super::measure::{Measured, Task, Width};
use crate::access;
use crate::error::{Error, Result};
use crate::vector::store::VectorStore;
use serde_json::json;

/// The numbers of candidates that are tried.
const STEPS: [i32; 14] = [10, 20, 30, 40, 60, 80, 100, 150, 200, 300, 400, 600, 800, 1_000];

/// What is to be reached.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    pub mean: f64,
    pub worst: Option<f64>,
}

/// What was found.
pub struct Tuned {
    pub measured: Measured,
    pub reached: bool,
}

impl Target {
    /// 22023 for what isn't a share.
    pub fn new(mean: f64, worst: Option<f64>) -> Result<Self> {
        for (name, value) in [("target", Some(mean)), ("worst", worst)] {
            if let Some(value) = value
                && !(value > 0.0 && value <= 1.0)
            {
                return Err(Error::invalid_parameter(format!(
                    "{name} must be more than 0 and at most 1, not {value}"
                )));
            }
        }
        Ok(Self { mean, worst })
    }

    fn is_reached(self, measured: &Measured) -> bool {
        measured.mean >= self.mean && self.worst.is_none_or(|worst| measured.worst >= worst)
    }
}

/// Halves the steps until the smallest that reaches the target is found, and keeps it. Where none does,
/// nothing is kept. The caller must own the store.
pub fn tune(vector: &VectorStore, target: Target, k: i32, samples: i32) -> Result<Tuned> {
    access::require_owner(vector.relation())?;
    let (task, samples) = Task::new(vector, k, samples, None)?;
    let index = vector.index()?;
    let steps = match index.as_ref().map(|index| (index.method.as_str(), index.all_lists())) {
        Some(("hnsw", _)) => candidates(k),
        Some(("ivfflat", lists)) => probes(lists),
        _ => {
            return Err(Error::unsupported(format!(
                "the index of {} is neither HNSW, whose ef_search could be tuned, nor IVFFlat, whose probes",
                vector.relation()
            ))
            .hint("lake.vector_build_index with method => 'hnsw', replace => true makes another."));
        }
    };
    let truths = task.truths(samples)?;
    let (mut low, mut high) = (0, steps.len() - 1);
    let mut best = task.measure(&truths, steps[high])?;
    if !target.is_reached(&best) {
        return Ok(Tuned { measured: best, reached: false });
    }
    while low < high {
        let middle = usize::midpoint(low, high);
        let measured = task.measure(&truths, steps[middle])?;
        if target.is_reached(&measured) {
            best = measured;
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    match (steps[high], &index) {
        (Width::Probes(probes), Some(index)) => {
            let tuned = json!({ "probes": probes, "lists": index.all_lists() });
            vector.store.set_option("probes", tuned)?;
        }
        _ => vector.store.set_option("ef_search", json!(best.ef_search))?,
    }
    Ok(Tuned { measured: best, reached: true })
}

/// A search takes no fewer candidates than rows.
fn candidates(k: i32) -> Vec<Width> {
    let first = STEPS.partition_point(|ef| *ef <= k).min(STEPS.len() - 1);
    STEPS[first..].iter().map(|ef| Width::EfSearch(*ef)).collect()
}

/// Each a quarter more than the one before, up to all lists.
fn probes(lists: i32) -> Vec<Width> {
    let mut steps = vec![];
    let mut probes = 1;
    while probes < lists {
        steps.push(Width::Probes(probes));
        probes += (probes / 4).max(1);
    }
    steps.push(Width::Probes(lists));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_lists_is_within_reach() {
        for (lists, few) in [(1, 1), (2, 2), (10, 9), (32_768, 50)] {
            let steps: Vec<i32> = probes(lists)
                .into_iter()
                .map(|width| match width {
                    Width::Probes(probes) => probes,
                    other => panic!("{other:?}"),
                })
                .collect();
            assert_eq!((steps[0], *steps.last().unwrap()), (1, lists));
            assert!(steps.is_sorted_by(|a, b| a < b), "{steps:?}");
            assert!(steps.len() <= few, "{steps:?}");
        }
    }

    #[test]
    fn no_fewer_candidates_than_rows_are_tried() {
        let least = |k| match candidates(k)[0] {
            Width::EfSearch(ef) => ef,
            other => panic!("{other:?}"),
        };
        assert_eq!([least(1), least(10), least(150), least(1_000)], [10, 20, 200, 1_000]);
    }
}
