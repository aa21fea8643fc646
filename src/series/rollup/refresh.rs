//! Computing what the log names, one window of about a chunk a step.
//!
//! A step takes the window out of the log first and computes its buckets after that, with a snapshot
//! that is no older: what a removed entry stood for is seen. What commits in between keeps its entry.

use super::definition::{self, Rollup};
use super::{api, extent, keep};
use crate::access;
use crate::catalog::Store;
use crate::error::Result;
use crate::series::{options, time};
use crate::spi;
use crate::workers::actions::{Progress, Step};
use pgrx::datum::TimestampWithTimeZone;
use serde_json::Value;

/// What the job is called.
pub const ACTION: &str = "refresh_rollup";

/// Does one window of one of the store's rollups.
///
/// A run is one pass: through all rollups, and through each from its beginning to its end once. What comes
/// for a window that it has been through is left to the next run, so that a busy window keeps neither the
/// others nor other jobs waiting.
pub fn step(store: &Store, _config: &Value, now: TimestampWithTimeZone) -> Result<Step> {
    for (rollup, at) in definition::in_pass(store.oid())? {
        let until = spi::scalar(
            "SELECT lake.bucket($1, $2::pg_catalog.timestamptz - $3::pg_catalog.interval, $4)",
            &[
                rollup.shape.bucket.into(),
                now.into(),
                rollup.refresh_lag.into(),
                rollup.timezone.as_str().into(),
            ],
        )?;
        let mut done = None;
        if let Some(window) = window(store, &rollup, Some(at), Some(until))? {
            set_pass(&rollup, Some(window.end))?;
            done = Some(window.written);
        }
        if done.is_none() {
            done = Some(keep::expire(&rollup, now)?).filter(|rows| *rows > 0);
        }
        if let Some(rows) = done {
            let subject = rollup.view.to_string();
            return Ok(Step::Done(Progress { subject, rows, ..Progress::default() }));
        }
        set_pass(&rollup, None)?;
    }
    access::as_extension_owner(|| {
        spi::execute(
            "UPDATE _lake.rollup SET pass = '-infinity' WHERE relid = $1::pg_catalog.regclass",
            &[store.oid().into()],
        )
    })??;
    Ok(Step::Idle)
}

/// Notes how far the pass through a rollup has come; `None` where it is through.
fn set_pass(rollup: &Rollup, at: Option<TimestampWithTimeZone>) -> Result<()> {
    access::as_extension_owner(|| {
        spi::execute(
            "UPDATE _lake.rollup SET pass = COALESCE($2, 'infinity') WHERE rollup_id = $1",
            &[rollup.shape.id.into(), at.into()],
        )
    })??;
    Ok(())
}

/// A window that was refreshed.
struct Window {
    end: TimestampWithTimeZone,
    /// Rows.
    written: i64,
}

/// Everything that waits between two instants; null for no limit. Returns how many rows were written.
pub fn all(
    store: &Store,
    rollup: &Rollup,
    from: Option<TimestampWithTimeZone>,
    to: Option<TimestampWithTimeZone>,
) -> Result<i64> {
    let mut rows = 0;
    while let Some(window) = window(store, rollup, from, to)? {
        pgrx::check_for_interrupts!();
        rows += window.written;
    }
    Ok(rows)
}

/// Refreshes the first window that waits; `None` where nothing does.
fn window(
    store: &Store,
    rollup: &Rollup,
    from: Option<TimestampWithTimeZone>,
    to: Option<TimestampWithTimeZone>,
) -> Result<Option<Window>> {
    // One at a time for each rollup; what another did is seen by the statements after this.
    access::as_extension_owner(|| {
        spi::execute(
            "SELECT FROM _lake.rollup WHERE rollup_id = $1 FOR UPDATE",
            &[rollup.shape.id.into()],
        )
    })??;
    let Some((lo, hi)) = next_window(store, rollup, from, to)? else { return Ok(None) };
    access::as_extension_owner(|| {
        // What is left of the log becomes few entries; those of frozen buckets go.
        spi::execute(
            "WITH gone AS (DELETE FROM _lake.rollup_log WHERE rollup_id = $1 RETURNING lo, hi), \
                  rest AS (SELECT pg_catalog.unnest(pg_catalog.range_agg(pg_catalog.tstzrange(g.lo, g.hi)) \
                           - pg_catalog.tstzmultirange(pg_catalog.tstzrange(NULL, COALESCE(r.frozen_until, '-infinity')), \
                                                       pg_catalog.tstzrange($2, $3))) AS r \
                           FROM gone g, _lake.rollup r WHERE r.rollup_id = $1 GROUP BY r.frozen_until) \
             INSERT INTO _lake.rollup_log (rollup_id, lo, hi) \
             SELECT $1, pg_catalog.lower(r), pg_catalog.upper(r) FROM rest",
            &[rollup.shape.id.into(), lo.into(), hi.into()],
        )?;
        spi::execute(
            "UPDATE _lake.rollup SET refreshed_at = pg_catalog.clock_timestamp() WHERE rollup_id = $1",
            &[rollup.shape.id.into()],
        )
    })??;
    let parts = &rollup.parts;
    spi::execute(
        &format!("DELETE FROM {parts} WHERE bucket >= $1 AND bucket < $2"),
        &[lo.into(), hi.into()],
    )?;
    let written = spi::execute(
        &format!("INSERT INTO {parts} {}", rollup.shape.computed("$1", "$2")),
        &[lo.into(), hi.into()],
    )?;
    Ok(Some(Window { end: hi, written: written as i64 }))
}

/// The first range that waits, no longer than a chunk or else one bucket.
fn next_window(
    store: &Store,
    rollup: &Rollup,
    from: Option<TimestampWithTimeZone>,
    to: Option<TimestampWithTimeZone>,
) -> Result<Option<(TimestampWithTimeZone, TimestampWithTimeZone)>> {
    let width = options::chunk_width(store)?.map_or(lake_chunks::DAY, |width| width.micros());
    let parts = &rollup.parts;
    let waiting = spi::rows(
        &format!(
            "SELECT pg_catalog.lower(g.r), pg_catalog.upper(g.r), (SELECT pg_catalog.min(bucket) FROM {parts}) \
             FROM (SELECT pg_catalog.unnest(pg_catalog.range_agg(pg_catalog.tstzrange(lo, hi)) \
                   * pg_catalog.tstzmultirange(pg_catalog.tstzrange( \
                       lake.bucket($4, COALESCE($2, '-infinity'), $5), \
                       _lake.bucket_end($4, COALESCE($3 - '1 microsecond'::pg_catalog.interval, 'infinity'), $5)))) AS r \
                   FROM _lake.rollup_waiting WHERE rollup_id = $1) g ORDER BY g.r LIMIT 1"
        ),
        &[
            rollup.shape.id.into(),
            from.into(),
            to.into(),
            rollup.shape.bucket.into(),
            rollup.timezone.as_str().into(),
        ],
        |row| {
            let kept = spi::get::<TimestampWithTimeZone>(row, 3)?.map(time::from_pg);
            Ok((
                spi::need::<TimestampWithTimeZone>(row, 1)?,
                time::from_pg(spi::need(row, 2)?),
                kept,
            ))
        },
    )?;
    let Some((lo, hi, kept)) = waiting.into_iter().next() else { return Ok(None) };
    let start = time::from_pg(lo);
    // Without a beginning (after TRUNCATE) nothing older than the first kept bucket is left.
    let base = if time::is_finite(start) { start } else { kept.unwrap_or(hi) };
    // Beyond the last chunk and the last kept bucket there is nothing to go through day by day.
    let end = if base >= extent::newest(store, &rollup.shape)? {
        hi
    } else {
        base.saturating_add(width).min(hi)
    };
    let end = if end < hi {
        let end = api::end_of(&rollup.shape.bucket, time::to_pg(end - 1)?, &rollup.timezone)?;
        time::from_pg(end).min(hi)
    } else {
        hi
    };
    Ok(Some((lo, time::to_pg(end)?)))
}
