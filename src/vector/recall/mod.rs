//! Measured recall: what an index finds of what there is.
//!
//! - [`api`] — the SQL functions.
//! - [`measure`] — rows of the store as queries, answered exactly and by the index.
//! - [`tune`] — the smallest `ef_search` that reaches a target.
//! - [`job`] — measures again once the store has changed; [`portrait`] — what the rows of a store look like,
//!   to notice when new ones don't; [`history`] — what was measured.

use pgrx::prelude::*;

pub mod api;
mod history;
mod job;
mod measure;
pub mod portrait;
mod tune;

pub use job::step;
pub use measure::share;

/// The job that measures after changes.
pub const ACTION: &str = "measure_recall";
pub const SCHEDULE: &str = "1 hour";

extension_sql_file!(
    "../../../sql/install/46_vector_recall.sql",
    name = "vector_recall_sql",
    requires = [vector_measure_recall, vector_tune, "vector_index_sql"]
);
