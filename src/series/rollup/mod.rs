//! Rollups: aggregates of a series store by bucket and series, kept in a table and read through a view
//! that is right in every snapshot (decision 0008).
//!
//! - [`api`] — the SQL functions; [`definition`] — a rollup as registered.
//! - [`parts`] — what is kept of a bucket; [`shape`] — the statements that make it of points, or of the
//!   rows of another rollup; [`below`] — what a rollup can be made of.
//! - [`create`] — making and dropping; [`triggers`], [`changed`], [`touched`] — the triggers that write
//!   the log.
//! - [`refresh`] — computing what the log names, one window a step; [`extent`] — how far there is anything.
//! - [`keep`] — points and kept rows that go because they are old.

mod api;
mod below;
mod changed;
mod create;
mod definition;
mod extent;
mod keep;
mod parts;
mod refresh;
mod shape;
mod touched;
mod triggers;

pub use create::drop_all;
pub use keep::{freeze, needs};
pub use refresh::{ACTION, step};

use pgrx::prelude::*;

extension_sql_file!(
    "../../../sql/install/52_series_rollup.sql",
    name = "series_rollup_sql",
    requires = [
        "series_sql",
        api::bucket_end,
        prune::bucket_last,
        changed::rollup_changed,
        api::series_add_rollup,
        api::series_refresh_rollup,
        api::series_drop_rollup
    ]
);
