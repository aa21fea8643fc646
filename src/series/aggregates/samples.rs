//! `lake.increase`, `lake.rate`, `lake.time_weighted_avg` and `lake.downsample_lttb`: what needs the
//! samples of a group in order. They are collected in any order, by any number of processes, and sorted
//! at the end; 16 bytes each.
//!
//! A row whose value or time is null is passed over.

use super::with_state;
use crate::error::{Error, SqlResult};
use crate::series::time;
use lake_samples::{Sample, counter, sort, weighted};
use pgrx::datum::{Internal, TimestampWithTimeZone};
use pgrx::prelude::*;
use pgrx::{PgSqlErrorCode, pg_sys};

/// Most samples of one group: 800 MB of them.
const MAX_SAMPLES: usize = 50_000_000;

/// What a group has collected so far.
#[derive(Default)]
pub(super) struct Collected {
    samples: Vec<Sample>,
    /// How many `downsample_lttb` leaves.
    pub(super) n: Option<i32>,
}

impl Collected {
    /// 54000 beyond [`MAX_SAMPLES`], 53200 where memory is short: never an abort of the process.
    fn reserve(&mut self, more: usize) -> SqlResult<()> {
        if self.samples.len() + more > MAX_SAMPLES {
            return Err(Error::new(
                PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                format!("a group has more than {MAX_SAMPLES} samples"),
            )
            .hint("Aggregate by time first: GROUP BY lake.bucket('1 day', ts).")
            .into());
        }
        self.samples.try_reserve(more).map_err(|_| no_memory(self.samples.len() + more))?;
        Ok(())
    }

    /// The samples in order, while the state stays valid for another row.
    pub(super) fn sorted(&mut self) -> &[Sample] {
        sort(&mut self.samples);
        &self.samples
    }
}

fn no_memory(samples: usize) -> Error {
    Error::new(PgSqlErrorCode::ERRCODE_OUT_OF_MEMORY, format!("no memory for {samples} samples"))
}

fn add(
    mut state: Internal,
    value: Option<f64>,
    ts: Option<TimestampWithTimeZone>,
    n: Option<i32>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> SqlResult<Internal> {
    let (Some(value), Some(ts)) = (value, ts) else { return Ok(state) };
    let ts = time::from_pg(ts);
    if !time::is_finite(ts) {
        return Err(Error::invalid_parameter("ts is infinite").into());
    }
    with_state(&mut state, fcinfo, |collected: &mut Collected| {
        collected.n = collected.n.or(n);
        collected.reserve(1)?;
        collected.samples.push(Sample { ts, value });
        SqlResult::Ok(())
    })?;
    Ok(state)
}

fn finish<R>(state: Option<Internal>, f: impl FnOnce(&[Sample]) -> Option<R>) -> Option<R> {
    let mut state = state?;
    // SAFETY: a state of this file.
    let collected = unsafe { state.get_mut::<Collected>() }?;
    f(collected.sorted())
}

#[pg_extern(schema = "_lake", immutable, parallel_safe)]
pub fn samples_transition(
    state: Internal,
    value: Option<f64>,
    ts: Option<TimestampWithTimeZone>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> SqlResult<Internal> {
    add(state, value, ts, None, fcinfo)
}

#[pg_extern(schema = "_lake", immutable, parallel_safe)]
pub fn samples_combine(
    left: Option<Internal>,
    right: Option<Internal>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> SqlResult<Option<Internal>> {
    let mut left = left.unwrap_or_default();
    // SAFETY: both are states of this file.
    let Some(other) = right.as_ref().and_then(|right| unsafe { right.get::<Collected>() }) else {
        return Ok(Some(left));
    };
    with_state(&mut left, fcinfo, |collected: &mut Collected| {
        collected.n = collected.n.or(other.n);
        collected.reserve(other.samples.len())?;
        collected.samples.extend_from_slice(&other.samples);
        SqlResult::Ok(())
    })?;
    Ok(Some(left))
}

/// From one process of this server to another: `n`, then times and values.
#[pg_extern(schema = "_lake", immutable, parallel_safe, strict)]
pub fn samples_serialize(state: Internal) -> SqlResult<Vec<u8>> {
    let mut out = Vec::new();
    // SAFETY: a state of this file.
    let Some(collected) = (unsafe { state.get::<Collected>() }) else { return Ok(out) };
    out.try_reserve_exact(4 + collected.samples.len() * 16)
        .map_err(|_| no_memory(collected.samples.len()))?;
    out.extend_from_slice(&collected.n.unwrap_or(0).to_ne_bytes());
    for sample in &collected.samples {
        out.extend_from_slice(&sample.ts.to_ne_bytes());
        out.extend_from_slice(&sample.value.to_ne_bytes());
    }
    Ok(out)
}

#[pg_extern(schema = "_lake", immutable, parallel_safe, strict)]
pub fn samples_deserialize(bytes: &[u8], _unused: Internal) -> SqlResult<Internal> {
    let (n, rest) = bytes.split_first_chunk::<4>().unwrap_or((&[0; 4], &[]));
    let n = i32::from_ne_bytes(*n);
    let (parts, _) = rest.as_chunks::<16>();
    let mut collected = Collected { samples: vec![], n: (n > 0).then_some(n) };
    collected.reserve(parts.len())?;
    for part in parts {
        let (ts, value) = part.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        let value = value.first_chunk::<8>().unwrap_or(&[0; 8]);
        collected
            .samples
            .push(Sample { ts: i64::from_ne_bytes(*ts), value: f64::from_ne_bytes(*value) });
    }
    Ok(Internal::new(collected))
}

#[pg_extern(schema = "_lake", immutable, parallel_safe)]
pub fn increase_final(state: Option<Internal>) -> Option<f64> {
    finish(state, counter::increase)
}

#[pg_extern(schema = "_lake", immutable, parallel_safe)]
pub fn rate_final(state: Option<Internal>) -> Option<f64> {
    finish(state, counter::rate)
}

#[pg_extern(schema = "_lake", immutable, parallel_safe)]
pub fn time_weighted_avg_final(state: Option<Internal>) -> Option<f64> {
    finish(state, weighted::time_weighted_avg)
}

/// 22004 and 22023 for an `n` that is null or less than 1; the first row's counts.
#[pg_extern(schema = "_lake", immutable, parallel_safe)]
pub fn lttb_transition(
    state: Internal,
    ts: Option<TimestampWithTimeZone>,
    value: Option<f64>,
    n: Option<i32>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> SqlResult<Internal> {
    let n = n.ok_or_else(|| Error::null_value("n is null"))?;
    if n < 1 {
        return Err(Error::invalid_parameter(format!("n must be at least 1, not {n}"))
            .hint(
                "It is the number of samples that are left, such as the width of a plot in pixels.",
            )
            .into());
    }
    add(state, value, ts, Some(n), fcinfo)
}
