//! Aggregates of compressed chunks, from batches without making rows of them.
//!
//! A node of its own takes the place of a chunk's scan and of the first half of its aggregation: it returns the states of
//! Postgres' own partial aggregates, one a group, and Postgres combines those of all chunks, compressed and plain, as it does with
//! those of parallel workers. A group may be returned more than once, which is why memory stays bounded.
//!
//! A batch whose statistics answer everything isn't decoded at all. Of others only the columns are that are asked for, and
//! values are added up by runs of rows of the same group, which in a batch that is sorted by series and time are long ones.
//!
//! - [`path`] — offers it to the planner, where every part of the query is one that it knows; [`halves`] — what the two halves of
//!   an aggregation return and cost; [`plan`] — what the plan holds.
//! - [`exec`] — what the executor calls; [`work`] — what is done. Each [`block`](super::block) of rows, a batch or some rows of the heap, is narrowed by the conditions
//!   ([`select`](super::select)), cut into [`runs`] of one group, and each run added to the [`state`]s of its group ([`groups`]).
//! - [`function`] — which aggregates there are, [`extension`] of lake_stores too; [`statistics`] — batches that need no decoding.

mod exec;
mod extension;
mod function;
mod groups;
mod halves;
mod path;
mod plan;
mod runs;
mod state;
mod statistics;
mod work;

use pgrx::pg_sys;
use std::ffi::CStr;

/// As it is called in plans.
const NAME: &CStr = c"LakeChunkAggregate";

/// Called once, while the library is loaded.
pub fn install() {
    path::install();
    // SAFETY: registers a constant, once in each process, under a name of its own.
    unsafe { pg_sys::RegisterCustomScanMethods(&raw const exec::SCAN.0) }
}
