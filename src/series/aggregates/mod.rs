//! Aggregates over values and times, on any table and in parallel: [`edge`] for `first` and `last`,
//! [`samples`] for those that need all samples in order, [`sketch`] for quantiles,
//! [`thinned`] for the result of `downsample_lttb`.

pub mod edge;
pub mod samples;
pub mod sketch;
pub mod thinned;

use pgrx::datum::Internal;
use pgrx::prelude::*;
use pgrx::{PgMemoryContexts, pg_sys};

extension_sql_file!(
    "../../../sql/install/51_series_aggregates.sql",
    name = "series_aggregates_sql",
    requires = [
        "catalog",
        edge::first_transition,
        edge::last_transition,
        edge::first_combine,
        edge::last_combine,
        edge::edge_final,
        edge::edge_serialize,
        edge::edge_deserialize,
        samples::samples_transition,
        samples::samples_combine,
        samples::samples_serialize,
        samples::samples_deserialize,
        samples::increase_final,
        samples::rate_final,
        samples::time_weighted_avg_final,
        samples::lttb_transition,
        sketch::sketch_transition,
        sketch::sketch_merge_transition,
        sketch::sketch_combine,
        sketch::sketch_serialize,
        sketch::sketch_deserialize,
        sketch::percentile,
        sketch::percentiles,
        sketch::sketch_count,
    ]
);

/// Runs `f` in the memory context of the aggregate.
fn in_aggregate<R>(fcinfo: pg_sys::FunctionCallInfo, f: impl FnOnce() -> R) -> R {
    let mut context = std::ptr::null_mut();
    // SAFETY: reads where the call comes from into a local.
    if unsafe { pg_sys::AggCheckCallContext(fcinfo, &raw mut context) } == 0 {
        error!("called outside an aggregate");
    }
    // SAFETY: the executor owns the context for as long as the aggregate runs.
    unsafe { PgMemoryContexts::For(context).switch_to(|_| f()) }
}

/// Works on the state of an aggregate, which is made where there is none yet. `S` is what all states
/// of that aggregate are.
fn with_state<S: Default, R>(
    state: &mut Internal,
    fcinfo: pg_sys::FunctionCallInfo,
    f: impl FnOnce(&mut S) -> R,
) -> R {
    // SAFETY: the state is an `S`, as the caller says, or not made yet.
    in_aggregate(fcinfo, || f(unsafe { state.get_or_insert_default::<S>() }))
}
