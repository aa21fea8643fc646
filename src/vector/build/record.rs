//! What is known of indexes that were built here: begun, finished, how long it took, how many rows and changes
//! there were. By name, because a dump loads the catalogue before there are indexes.

use crate::access;
use crate::error::Result;
use crate::spi;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys;

/// Notes that a build begins; until [`finish`], the index is one that failed. The caller is the owner.
pub fn begin(
    relid: pg_sys::Oid,
    index: &str,
    kind: &str,
    (memory_kb, rows): (i32, f64),
    now: TimestampWithTimeZone,
) -> Result<()> {
    access::as_extension_owner(|| {
        spi::execute(
            "INSERT INTO _lake.vector_index (relid, index, begun_at, memory_kb, kind, rows, changes) \
             VALUES ($1::pg_catalog.regclass, $2, $3, $4, $5, $6, _lake.changes($1::pg_catalog.regclass)) \
             ON CONFLICT (relid, index) DO UPDATE \
             SET begun_at = excluded.begun_at, built_at = NULL, memory_kb = excluded.memory_kb, \
                 kind = excluded.kind, rows = excluded.rows, \
                 changes = excluded.changes",
            &[relid.into(), index.into(), now.into(), memory_kb.into(), kind.into(), rows.into()],
        )
    })??;
    Ok(())
}

/// Notes that an index is built and was found good.
pub fn finish(
    relid: pg_sys::Oid,
    index: &str,
    rows: f64,
    recall: Option<f64>,
    now: TimestampWithTimeZone,
) -> Result<()> {
    access::as_extension_owner(|| {
        spi::execute(
            "UPDATE _lake.vector_index SET built_at = $3, rows = $4, recall = $5, \
                 seconds = pg_catalog.date_part('epoch', $3::pg_catalog.timestamptz - begun_at), \
                 pages = pg_catalog.pg_relation_size($1::pg_catalog.regclass) / 8192 \
             WHERE relid = $1::pg_catalog.regclass AND index = $2",
            &[relid.into(), index.into(), now.into(), rows.into(), recall.into()],
        )
    })??;
    Ok(())
}

/// Forgets an index.
pub fn forget(relid: pg_sys::Oid, index: &str) -> Result<()> {
    access::as_extension_owner(|| {
        spi::execute(
            "DELETE FROM _lake.vector_index WHERE relid = $1::pg_catalog.regclass AND index = $2",
            &[relid.into(), index.into()],
        )
    })??;
    Ok(())
}

/// Names of indexes on the table whose build was begun and not finished.
pub fn unfinished(relid: pg_sys::Oid) -> Result<Vec<String>> {
    names(relid, false)
}

/// Names of those that were finished.
pub fn finished(relid: pg_sys::Oid) -> Result<Vec<String>> {
    names(relid, true)
}

fn names(relid: pg_sys::Oid, built: bool) -> Result<Vec<String>> {
    access::as_extension_owner(|| {
        spi::rows(
            "SELECT index FROM _lake.vector_index \
             WHERE relid = $1::pg_catalog.regclass AND (built_at IS NOT NULL) = $2 ORDER BY index",
            &[relid.into(), built.into()],
            |row| spi::need(row, 1),
        )
    })?
}

/// Seconds a row that the last build on this table took for an index of this kind.
pub fn seconds_per_row(relid: pg_sys::Oid, kind: &str) -> Result<Option<f64>> {
    access::as_extension_owner(|| {
        spi::one(
            "SELECT seconds / rows FROM _lake.vector_index \
             WHERE relid = $1::pg_catalog.regclass AND rows >= 1000 AND seconds > 0 \
               AND kind = $2 \
             ORDER BY built_at DESC LIMIT 1",
            &[relid.into(), kind.into()],
        )
    })?
}
