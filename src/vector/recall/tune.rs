//! The smallest number of candidates that reaches a target, kept with the store.

use super::measure::{Measured, Task};
use crate::access;
use crate::error::{Error, Result};
use crate::vector::store::VectorStore;
use serde_json::json;

/// The numbers that are tried.
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
    if vector.index()?.is_none_or(|index| index.method != "hnsw") {
        return Err(Error::unsupported(format!(
            "the index of {} is not an HNSW one, whose ef_search could be tuned",
            vector.relation()
        ))
        .hint("An IVFFlat index is searched in the root of its lists; lake.vector_build_index with method => 'hnsw', replace => true makes another."));
    }
    let truths = task.truths(samples)?;
    // A search takes no fewer candidates than rows.
    let first = STEPS.partition_point(|ef| *ef <= k);
    let (mut low, mut high) = (first.min(STEPS.len() - 1), STEPS.len() - 1);
    let mut best = task.measure(&truths, Some(STEPS[high]))?;
    if !target.is_reached(&best) {
        return Ok(Tuned { measured: best, reached: false });
    }
    while low < high {
        let middle = usize::midpoint(low, high);
        let measured = task.measure(&truths, Some(STEPS[middle]))?;
        if target.is_reached(&measured) {
            best = measured;
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    vector.store.set_option("ef_search", json!(best.ef_search))?;
    Ok(Tuned { measured: best, reached: true })
}
