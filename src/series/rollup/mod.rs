//! Rollups: aggregates of a metric store by bucket and series, kept in a table and read through a view
//! that is right in every snapshot (decision 0008).
//!
//! - [`api`] — the SQL functions.
//! - [`definition`] — a rollup as registered, and the statements that follow from it.
//! - [`create`] — making and dropping; [`changed`] — the trigger that writes the log.
//! - [`refresh`] — computing what the log names, one window a step.

mod api;
mod changed;
mod create;
mod definition;
mod refresh;

pub use create::drop_all;
pub use refresh::{ACTION, step};

use crate::access;
use crate::catalog::Store;
use crate::error::Result;
use crate::series::backend::Chunk;
use crate::series::time;
use crate::spi;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

extension_sql_file!(
    "../../../sql/install/52_series_rollup.sql",
    name = "series_rollup_sql",
    requires = [
        "series_sql",
        api::bucket_end,
        changed::rollup_changed,
        api::series_add_rollup,
        api::series_refresh_rollup,
        api::series_drop_rollup
    ]
);

/// Why a chunk must stay: rollups that haven't been refreshed there, or one of whose buckets that it has
/// a part of isn't over.
pub fn needs(store: &Store, chunk: &Chunk) -> Result<Vec<String>> {
    let (start, end) = edges(chunk)?;
    spi::rows(
        "SELECT CASE WHEN w.waits IS NOT NULL \
                     THEN pg_catalog.format('rollup %s has not been refreshed past %s', r.view, w.waits) \
                     ELSE pg_catalog.format('rollup %s has a bucket there that ends at %s', r.view, e.last) END \
         FROM _lake.rollup r \
         CROSS JOIN LATERAL (SELECT \
             lake.bucket(r.bucket, COALESCE($2, '-infinity'), r.timezone) AS first, \
             _lake.bucket_end(r.bucket, COALESCE($3 - '1 microsecond'::pg_catalog.interval, 'infinity'), \
                              r.timezone) AS last) e \
         CROSS JOIN LATERAL (SELECT pg_catalog.min(l.lo) AS waits FROM _lake.rollup_log l \
             WHERE l.rollup_id = r.rollup_id AND l.lo < e.last AND l.hi > e.first) w \
         WHERE r.relid = $1::pg_catalog.regclass \
           AND (w.waits IS NOT NULL OR e.last > pg_catalog.now() - r.refresh_lag) ORDER BY 1",
        &[store.oid().into(), start.into(), end.into()],
        |row| spi::need(row, 1),
    )
}

/// Leaves the buckets up to the end of a chunk as they are from now on: the chunk is about to go, and
/// what is computed without it would be wrong.
pub fn freeze(store: &Store, chunk: &Chunk) -> Result<()> {
    let Some(end) = edges(chunk)?.1 else { return Ok(()) };
    access::as_extension_owner(|| {
        spi::execute(
            "UPDATE _lake.rollup SET frozen_until = GREATEST(frozen_until, \
                 _lake.bucket_end(bucket, $2 - '1 microsecond'::pg_catalog.interval, timezone)) \
             WHERE relid = $1::pg_catalog.regclass",
            &[store.oid().into(), end.into()],
        )?;
        spi::execute(
            "DELETE FROM _lake.rollup_log l USING _lake.rollup r \
             WHERE r.relid = $1::pg_catalog.regclass AND l.rollup_id = r.rollup_id AND l.hi <= r.frozen_until",
            &[store.oid().into()],
        )?;
        spi::execute(
            "UPDATE _lake.rollup_log l SET lo = r.frozen_until FROM _lake.rollup r \
             WHERE r.relid = $1::pg_catalog.regclass AND l.rollup_id = r.rollup_id AND l.lo < r.frozen_until",
            &[store.oid().into()],
        )?;
        Ok(())
    })?
}

type Edge = Option<TimestampWithTimeZone>;

fn edges(chunk: &Chunk) -> Result<(Edge, Edge)> {
    Ok((chunk.start.map(time::to_pg).transpose()?, chunk.end.map(time::to_pg).transpose()?))
}
