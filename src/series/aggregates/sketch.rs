//! `lake.percentile_sketch`: a distribution in a few hundred bytes, from values or from other sketches,
//! and `lake.percentile` to read it. A sketch is a `bytea`, in the stable form of
//! [`lake_samples::sketch`]; its bound is written there.

use super::with_state;
use crate::error::{Error, Result, SqlResult};
use lake_samples::sketch::Sketch;
use pgrx::datum::Internal;
use pgrx::pg_sys;
use pgrx::prelude::*;

/// Reads a sketch. 22023 for bytes that are none.
fn read(bytes: &[u8]) -> Result<Sketch> {
    Sketch::from_bytes(bytes).map_err(|e| {
        Error::invalid_parameter(format!("this is not a percentile sketch: {e}"))
            .hint("Sketches come from lake.percentile_sketch(value).")
    })
}

#[pg_extern(schema = "_lake", immutable, parallel_safe)]
pub fn sketch_transition(
    mut state: Internal,
    value: Option<f64>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> Internal {
    if let Some(value) = value {
        with_state(&mut state, fcinfo, |sketch: &mut Sketch| sketch.add(value));
    }
    state
}

#[pg_extern(schema = "_lake", immutable, parallel_safe)]
pub fn sketch_merge_transition(
    mut state: Internal,
    sketch: Option<&[u8]>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> SqlResult<Internal> {
    if let Some(bytes) = sketch {
        let other = read(bytes)?;
        with_state(&mut state, fcinfo, |sketch: &mut Sketch| sketch.merge(&other));
    }
    Ok(state)
}

#[pg_extern(schema = "_lake", immutable, parallel_safe)]
pub fn sketch_combine(
    left: Option<Internal>,
    right: Option<Internal>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> Option<Internal> {
    let mut left = left.unwrap_or_default();
    // SAFETY: a state of this file.
    if let Some(other) = right.as_ref().and_then(|right| unsafe { right.get::<Sketch>() }) {
        with_state(&mut left, fcinfo, |sketch: &mut Sketch| sketch.merge(other));
    }
    Some(left)
}

/// The final function too: what is shown and what goes from process to process are the same bytes.
#[pg_extern(schema = "_lake", immutable, parallel_safe, strict)]
pub fn sketch_serialize(state: Internal) -> Option<Vec<u8>> {
    // SAFETY: a state of this file.
    unsafe { state.get::<Sketch>() }.map(Sketch::to_bytes)
}

#[pg_extern(schema = "_lake", immutable, parallel_safe, strict)]
pub fn sketch_deserialize(bytes: &[u8], _unused: Internal) -> SqlResult<Internal> {
    Ok(Internal::new(read(bytes)?))
}

fn checked(q: f64) -> Result<f64> {
    if (0.0..=1.0).contains(&q) {
        return Ok(q);
    }
    Err(Error::invalid_parameter(format!("q must be between 0 and 1, not {q}"))
        .hint("The median is 0.5, the 95th percentile 0.95."))
}

#[pg_extern(schema = "lake", immutable, parallel_safe)]
pub fn percentile(sketch: Option<&[u8]>, q: Option<f64>) -> SqlResult<Option<f64>> {
    let (Some(bytes), Some(q)) = (sketch, q) else { return Ok(None) };
    Ok(read(bytes)?.quantile(checked(q)?))
}

#[pg_extern(schema = "lake", immutable, parallel_safe)]
pub fn percentiles(
    sketch: Option<&[u8]>,
    q: Option<Vec<Option<f64>>>,
) -> SqlResult<Option<Vec<Option<f64>>>> {
    let (Some(bytes), Some(wanted)) = (sketch, q) else { return Ok(None) };
    let sketch = read(bytes)?;
    let one = |q: Option<f64>| Ok(q.map(checked).transpose()?.and_then(|q| sketch.quantile(q)));
    Ok(Some(wanted.into_iter().map(one).collect::<Result<_>>()?))
}

#[pg_extern(schema = "lake", immutable, parallel_safe)]
pub fn sketch_count(sketch: Option<&[u8]>) -> SqlResult<Option<i64>> {
    let Some(bytes) = sketch else { return Ok(None) };
    Ok(Some(i64::try_from(read(bytes)?.count()).unwrap_or(i64::MAX)))
}
