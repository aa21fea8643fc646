//! Vector indexes made in the background, without blocking writers.
//!
//! - [`api`] — the SQL functions.
//! - [`request`] — what is to be built: planned, then left to a job.
//! - [`mod@step`] — the job: leftovers away, build, check, old indexes away.
//! - [`partitioned`] — the same job, part by part.
//! - [`restore`] — the same job, for indexes that were taken away for a load.
//! - [`policy`] — the job that asks for an index once a store has grown enough.
//! - [`definition`] — the index as SQL; [`present`] — those there are; [`record`] — what is known of
//!   those that were built here; [`check`] — is a new one any good; [`memory`] — what a build may take.
//! - [`only_index`] — lets the planner see one vector index only.

use pgrx::prelude::*;

pub mod api;
mod check;
mod definition;
mod memory;
pub mod only_index;
mod partitioned;
pub mod policy;
pub mod present;
pub mod record;
mod request;
pub mod restore;
mod step;

pub use policy::{ACTION as POLICY, check as check_policy};
pub use step::{clean_up, step as next};

/// The job that builds one index.
pub const ACTION: &str = "build_index";
/// After so many failures in a row it rests: a build can take hours.
pub const ATTEMPTS: i32 = 5;

extension_sql_file!(
    "../../../sql/install/45_vector_index.sql",
    name = "vector_index_sql",
    requires = [
        vector_plan_index,
        vector_build_index,
        vector_cancel_build,
        vector_set_index_policy,
        "catalog"
    ]
);
