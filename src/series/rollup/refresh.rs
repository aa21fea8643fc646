//! Computing what the log names, one window of about a chunk a step.
//!
//! A step takes the window out of the log first and computes its buckets after that, with a snapshot
//! that is no older: what a removed entry stood for is seen. What commits in between keeps its entry.

use super::definition::{self, Rollup, parts_of};
use crate::access;
use crate::catalog::Store;
use crate::error::Result;
use crate::series::backend::Backend;
use crate::series::{options, time};
use crate::spi;
use crate::workers::actions::{Progress, Step};
use lake_chunks::Micros;
use pgrx::datum::TimestampWithTimeZone;
use serde_json::Value;

/// What the job is called.
pub const ACTION: &str = "refresh_rollup";

/// The most rows that a step removes because they are older than `keep`.
const MAX_EXPIRED: i64 = 50_000;

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
                rollup.bucket.into(),
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
            done = Some(expire(&rollup, now)?).filter(|rows| *rows > 0);
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
            &[rollup.id.into(), at.into()],
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
            &[rollup.id.into()],
        )
    })??;
    let Some((lo, hi)) = next_window(store, rollup, from, to)? else { return Ok(None) };
    access::as_extension_owner(|| {
        spi::execute(
            "WITH gone AS (DELETE FROM _lake.rollup_log WHERE rollup_id = $1 RETURNING lo, hi), \
                  rest AS (SELECT pg_catalog.unnest(pg_catalog.range_agg(pg_catalog.tstzrange(lo, hi)) \
                           - pg_catalog.tstzmultirange(pg_catalog.tstzrange($2, $3))) AS r FROM gone) \
             INSERT INTO _lake.rollup_log (rollup_id, lo, hi) \
             SELECT $1, pg_catalog.lower(r), pg_catalog.upper(r) FROM rest",
            &[rollup.id.into(), lo.into(), hi.into()],
        )?;
        spi::execute(
            "UPDATE _lake.rollup SET refreshed_at = pg_catalog.clock_timestamp() WHERE rollup_id = $1",
            &[rollup.id.into()],
        )
    })??;
    let parts = &rollup.parts;
    spi::execute(
        &format!("DELETE FROM {parts} WHERE bucket >= $1 AND bucket < $2"),
        &[lo.into(), hi.into()],
    )?;
    let written = spi::execute(
        &format!("INSERT INTO {parts} {}", parts_of(&rollup.store, "$3", "$4", "$1", "$2")),
        &[lo.into(), hi.into(), rollup.bucket.into(), rollup.timezone.as_str().into()],
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
                   FROM _lake.rollup_log WHERE rollup_id = $1) g ORDER BY g.r LIMIT 1"
        ),
        &[
            rollup.id.into(),
            from.into(),
            to.into(),
            rollup.bucket.into(),
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
    let end = if base >= newest(rollup)? { hi } else { base.saturating_add(width).min(hi) };
    let end = if end < hi {
        let end = super::api::end_of(&rollup.bucket, time::to_pg(end - 1)?, &rollup.timezone)?;
        time::from_pg(end).min(hi)
    } else {
        hi
    };
    Ok(Some((lo, time::to_pg(end)?)))
}

/// The end of all that could have buckets.
fn newest(rollup: &Rollup) -> Result<Micros> {
    let kept = spi::one::<TimestampWithTimeZone>(
        &format!("SELECT pg_catalog.max(bucket) FROM {}", rollup.parts),
        &[],
    )?
    .map_or(Micros::MIN, |bucket| time::from_pg(bucket).saturating_add(1));
    let chunks = Backend::Native.chunks(&rollup.store)?;
    Ok(chunks.iter().map(|chunk| chunk.range().end).fold(kept, Micros::max))
}

/// Removes some rows older than `keep`.
fn expire(rollup: &Rollup, now: TimestampWithTimeZone) -> Result<i64> {
    let Some(keep) = rollup.keep else { return Ok(0) };
    let parts = &rollup.parts;
    let gone = spi::execute(
        &format!(
            "DELETE FROM {parts} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {parts} \
             WHERE bucket < $1::pg_catalog.timestamptz - $2::pg_catalog.interval LIMIT $3))"
        ),
        &[now.into(), keep.into(), MAX_EXPIRED.into()],
    )?;
    Ok(gone as i64)
}
