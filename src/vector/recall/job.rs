//! The job that measures a store again once it has changed: recall, drift, mixture.

use super::measure::{Task, Width};
use super::{history, portrait};
use crate::catalog::Store;
use crate::error::Result;
use crate::regclass::RegClass;
use crate::vector::store::VectorStore;
use crate::vector::{cost, sample};
use crate::workers::actions::{Progress, Step};
use pgrx::datum::TimestampWithTimeZone;
use serde_json::Value;

const K: i32 = 10;
const SAMPLES: i32 = 50;
/// The share of the rows that must have changed since.
const CHURN: f64 = 0.1;
/// Below, an exact search is instant and indexes hardly matter.
const LEAST_ROWS: f64 = 1_000.0;

/// Measures, where that is worth it.
pub fn step(store: &Store, _config: &Value, _now: TimestampWithTimeZone) -> Result<Step> {
    let vector = VectorStore::load(Some(RegClass(store.oid())))?;
    let Some(index) = vector.index()? else { return Ok(Step::Idle) };
    let rows = sample::estimate(&vector)?;
    if rows < LEAST_ROWS {
        return Ok(Step::Idle);
    }
    #[expect(clippy::cast_precision_loss, reason = "a size")]
    let changed = history::changes_since(&vector, &index.name)?
        .is_none_or(|changes| changes as f64 >= CHURN * rows);
    if !changed {
        return Ok(Step::Idle);
    }
    let (task, samples) = Task::new(&vector, K, SAMPLES, None)?;
    let measured = task.measure(&task.truths(samples)?, Width::Usual)?;
    history::record(&vector, K, None, &measured, rows)?;
    cost::calibrate(&vector)?;
    portrait::note_drift(&vector)?;
    portrait::note_mixture(&vector)?;
    Ok(Step::Last(Progress {
        subject: measured.index,
        rows: i64::try_from(measured.samples).unwrap_or(0),
        ..Progress::default()
    }))
}
