//! Rollups: aggregates of a metric store by bucket and series, kept in a table and read through a view
//! that is right in every snapshot (decision 0008).
//!
//! - [`api`] — the SQL functions.
//! - [`definition`] — a rollup as registered, and the statements that follow from it.
//! - [`create`] — making and dropping.
//! - [`refresh`] — computing what the log names, one window a step.

mod api;
mod create;
mod definition;
mod refresh;

pub use create::drop_all;
pub use refresh::{ACTION, step};

use crate::catalog::Store;
use crate::error::Result;
use crate::spi;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

extension_sql_file!(
    "../../../sql/install/52_series_rollup.sql",
    name = "series_rollup_sql",
    requires = [
        "series_sql",
        api::bucket_end,
        api::series_add_rollup,
        api::series_refresh_rollup,
        api::series_drop_rollup
    ]
);

/// Why points of this range must stay: a rollup that hasn't been refreshed there.
pub fn needs(
    store: &Store,
    start: Option<TimestampWithTimeZone>,
    end: Option<TimestampWithTimeZone>,
) -> Result<Option<String>> {
    spi::one(
        "SELECT pg_catalog.format('rollup %s has not been refreshed past %s', r.view, pg_catalog.min(l.lo)) \
         FROM _lake.rollup r JOIN _lake.rollup_log l ON l.rollup_id = r.rollup_id \
         WHERE r.relid = $1::pg_catalog.regclass \
           AND l.lo < COALESCE($3, 'infinity') AND l.hi > COALESCE($2, '-infinity') \
         GROUP BY r.view ORDER BY 1 LIMIT 1",
        &[store.oid().into(), start.into(), end.into()],
    )
}

/// Whether the store has one.
pub fn any(store: &Store) -> Result<bool> {
    spi::scalar(
        "SELECT EXISTS (SELECT FROM _lake.rollup WHERE relid = $1::pg_catalog.regclass)",
        &[store.oid().into()],
    )
}
