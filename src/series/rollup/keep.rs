//! What rollups have to do with points, and with kept rows, that go because they are old.
//!
//! Buckets whose source is about to go are frozen: they stay as they are, and what comes for them later
//! doesn't change them (`frozen_until`, which `_lake.rollup_waiting` regards).

use super::definition::{self, Rollup};
use crate::access;
use crate::catalog::Store;
use crate::error::Result;
use crate::series::backend::Chunk;
use crate::series::time;
use crate::spi;
use pgrx::datum::TimestampWithTimeZone;

/// The most rows that a step removes because they are older than `keep`.
const MAX_EXPIRED: i64 = 50_000;

/// Why a chunk must stay: rollups of its points that haven't been refreshed there, or one of whose
/// buckets that it has a part of isn't over.
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
         CROSS JOIN LATERAL (SELECT pg_catalog.min(l.lo) AS waits FROM _lake.rollup_waiting l \
             WHERE l.rollup_id = r.rollup_id AND l.lo < e.last AND l.hi > e.first) w \
         WHERE r.relid = $1::pg_catalog.regclass AND r.lower_id IS NULL \
           AND (w.waits IS NOT NULL OR e.last > pg_catalog.now() - r.refresh_lag) ORDER BY 1",
        &[store.oid().into(), start.into(), end.into()],
        |row| spi::need(row, 1),
    )
}

/// Leaves the buckets up to the end of a chunk as they are from now on: the chunk is about to go, and
/// what is computed without it would be wrong. A rollup of a rollup goes on with what that has.
pub fn freeze(store: &Store, chunk: &Chunk) -> Result<()> {
    let Some(end) = edges(chunk)?.1 else { return Ok(()) };
    access::as_extension_owner(|| {
        spi::execute(
            "UPDATE _lake.rollup SET frozen_until = GREATEST(frozen_until, \
                 _lake.bucket_end(bucket, $2 - '1 microsecond'::pg_catalog.interval, timezone)) \
             WHERE relid = $1::pg_catalog.regclass AND lower_id IS NULL",
            &[store.oid().into(), end.into()],
        )
    })??;
    Ok(())
}

type Edge = Option<TimestampWithTimeZone>;

fn edges(chunk: &Chunk) -> Result<(Edge, Edge)> {
    Ok((chunk.start.map(time::to_pg).transpose()?, chunk.end.map(time::to_pg).transpose()?))
}

/// Removes some rows older than `keep`, and says how many. Rollups that are made of them must have been
/// refreshed there, and stay as they are.
pub fn expire(rollup: &Rollup, now: TimestampWithTimeZone) -> Result<i64> {
    let Some(keep) = rollup.keep else { return Ok(0) };
    let mut until = spi::scalar::<TimestampWithTimeZone>(
        "SELECT $1::pg_catalog.timestamptz - $2::pg_catalog.interval",
        &[now.into(), keep.into()],
    )?;
    // Back to where every rollup made of it has an edge, as it is frozen up to there.
    let uppers = definition::uppers(rollup)?;
    loop {
        pgrx::check_for_interrupts!();
        let before = until;
        for upper in &uppers {
            until = spi::scalar(
                "SELECT lake.bucket(r.bucket, LEAST($2, pg_catalog.min(w.lo)), r.timezone) \
                 FROM _lake.rollup r LEFT JOIN _lake.rollup_waiting w ON w.rollup_id = r.rollup_id \
                 WHERE r.rollup_id = $1 GROUP BY r.rollup_id",
                &[upper.shape.id.into(), until.into()],
            )?;
        }
        if until == before {
            break;
        }
    }
    let parts = &rollup.parts;
    let gone = spi::execute(
        &format!(
            "DELETE FROM {parts} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {parts} WHERE bucket < $1 LIMIT $2))"
        ),
        &[until.into(), MAX_EXPIRED.into()],
    )?;
    if gone > 0 {
        access::as_extension_owner(|| {
            spi::execute(
                "UPDATE _lake.rollup SET frozen_until = GREATEST(frozen_until, lake.bucket(bucket, $2, timezone)) \
                 WHERE lower_id = $1",
                &[rollup.shape.id.into(), until.into()],
            )
        })??;
    }
    Ok(gone as i64)
}
