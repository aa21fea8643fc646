//! Native chunks on their way out: detached concurrently, which stops nobody, then dropped.
//!
//! `ALTER TABLE … DETACH PARTITION … CONCURRENTLY` commits in between, so a run may end at any point of
//! it. What is on its way is written down before (`_lake.series_dropping`), and what was detached is
//! written down after: only what this library itself has detached is dropped, never what somebody took
//! out to keep it. Where the process died between the two, nobody knows whose doing it was: the table
//! stays, and `lake.health()` shows it.

use super::{drop_now, gone};
use crate::access;
use crate::catalog::Store;
use crate::error::{Error, Result};
use crate::gucs;
use crate::names::Relation;
use crate::series::backend::{Backend, Chunk};
use crate::series::rollup;
use crate::spi;
use crate::workers::actions::{Done, Progress, Statement, Step};
use crate::workers::waits;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys;

/// A chunk that was begun to be dropped.
struct Record {
    chunk: pg_sys::Oid,
    rows: i64,
    bytes: i64,
    detached: bool,
}

/// How a chunk stands to its table.
enum Standing {
    Attached,
    /// Somebody has begun to detach it concurrently.
    Pending,
    Alone,
    Gone,
}

/// The next step for chunks that earlier runs have begun to drop; `None` where there is none.
pub fn unfinished(store: &Store) -> Result<Option<Step>> {
    for record in records(store)? {
        match standing(store, record.chunk)? {
            Standing::Attached | Standing::Gone => forget(store, record.chunk)?,
            Standing::Pending => {
                let chunk = Relation::by_oid(record.chunk)?;
                return Ok(Some(finalize(store, &chunk, Some(record.chunk))));
            }
            Standing::Alone if record.detached => {
                return drop_detached(store, &record).map(Some);
            }
            Standing::Alone => {}
        }
    }
    // One that somebody else left behind stands in the way of every other. It is finished, not dropped.
    let pending = spi::one::<pg_sys::Oid>(
        "SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = $1 AND inhdetachpending",
        &[store.oid().into()],
    )?;
    pending.map(|oid| Ok(finalize(store, &Relation::by_oid(oid)?, None))).transpose()
}

/// Begins to drop a chunk.
pub fn begin(store: &Store, chunk: &Chunk, now: TimestampWithTimeZone) -> Result<Step> {
    // What comes into it from now on goes with it.
    rollup::freeze(store, chunk)?;
    // Postgres can't detach concurrently beside a default partition.
    if has_default(store)? {
        waits::lock(&store.relation)?;
        return drop_now(store, Backend::Native, chunk);
    }
    record(store, chunk, now)?;
    let (table, name) = (&store.relation, &chunk.relation);
    Ok(Step::Statement(Statement {
        sql: format!("ALTER TABLE {table} DETACH PARTITION {name} CONCURRENTLY"),
        in_transaction: format!("ALTER TABLE {table} DETACH PARTITION {name}"),
        settings: patience(),
        waits: true,
        last: false,
        progress: None,
        done: Some(Done { note: note_detached, relation: name.oid }),
    }))
}

fn finalize(store: &Store, chunk: &Relation, ours: Option<pg_sys::Oid>) -> Step {
    let sql = format!("ALTER TABLE {} DETACH PARTITION {chunk} FINALIZE", store.relation);
    let progress = ours.is_none().then(|| Progress {
        subject: format!("finished the detach of {chunk}"),
        ..Progress::default()
    });
    Step::Statement(Statement {
        in_transaction: sql.clone(),
        sql,
        settings: patience(),
        waits: true,
        last: false,
        progress,
        done: ours.map(|relation| Done { note: note_detached, relation }),
    })
}

/// How long a detach waits for transactions that may still read the chunk. While it does, nobody waits
/// for it but who makes or drops chunks.
fn patience() -> Vec<(&'static str, String)> {
    let patience = gucs::worker_lock_timeout() * waits::PATIENCE;
    vec![("lock_timeout", format!("{}ms", patience.as_millis()))]
}

fn has_default(store: &Store) -> Result<bool> {
    spi::scalar(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_partitioned_table \
                        WHERE partrelid = $1 AND partdefid <> 0)",
        &[store.oid().into()],
    )
}

fn standing(store: &Store, chunk: pg_sys::Oid) -> Result<Standing> {
    let (exists, pending) = spi::rows(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = $1), \
                (SELECT pg_catalog.bool_or(inhdetachpending) FROM pg_catalog.pg_inherits \
                 WHERE inhrelid = $1 AND inhparent = $2)",
        &[chunk.into(), store.oid().into()],
        |row| Ok((spi::need::<bool>(row, 1)?, spi::get::<bool>(row, 2)?)),
    )?
    .into_iter()
    .next()
    .ok_or_else(|| Error::internal("no row"))?;
    Ok(match (exists, pending) {
        (false, _) => Standing::Gone,
        (true, None) => Standing::Alone,
        (true, Some(true)) => Standing::Pending,
        (true, Some(false)) => Standing::Attached,
    })
}

/// Right after the statement, in the process that ran it: it was us.
fn note_detached(store: &Store, chunk: pg_sys::Oid) -> Result<()> {
    if matches!(standing(store, chunk)?, Standing::Alone) {
        access::as_extension_owner(|| {
            spi::execute(
                "UPDATE _lake.series_dropping SET detached = true \
                 WHERE relid = $1::pg_catalog.regclass AND chunk = $2",
                &[store.oid().into(), chunk.into()],
            )
        })??;
    }
    Ok(())
}

fn drop_detached(store: &Store, record: &Record) -> Result<Step> {
    let relation = Relation::by_oid(record.chunk)?;
    waits::lock(&relation)?;
    // Under the lock: it may have been attached somewhere or made a store meanwhile.
    let free = spi::scalar::<bool>(
        "SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhrelid = $1 OR inhparent = $1) \
            AND NOT EXISTS (SELECT FROM _lake.store WHERE relid = $1::pg_catalog.regclass)",
        &[record.chunk.into()],
    )?;
    forget(store, record.chunk)?;
    if !free || Relation::by_oid(record.chunk)? != relation {
        return Ok(Step::Done(Progress {
            subject: format!("left {relation}, which is in use again"),
            ..Progress::default()
        }));
    }
    spi::execute(&format!("DROP TABLE {relation}"), &[])?;
    let chunk = Chunk {
        relation,
        start: None,
        end: None,
        rows: Some(record.rows),
        bytes: record.bytes,
        owner: pg_sys::InvalidOid,
        compressed: None,
    };
    Ok(Step::Done(gone(&chunk)))
}

fn records(store: &Store) -> Result<Vec<Record>> {
    access::as_extension_owner(|| {
        spi::rows(
            "SELECT chunk, coalesce(rows, 0), bytes, detached FROM _lake.series_dropping \
             WHERE relid = $1::pg_catalog.regclass ORDER BY begun_at, chunk",
            &[store.oid().into()],
            |row| {
                Ok(Record {
                    chunk: spi::need(row, 1)?,
                    rows: spi::need(row, 2)?,
                    bytes: spi::need(row, 3)?,
                    detached: spi::need(row, 4)?,
                })
            },
        )
    })?
}

fn record(store: &Store, chunk: &Chunk, now: TimestampWithTimeZone) -> Result<()> {
    access::as_extension_owner(|| {
        spi::execute(
            "INSERT INTO _lake.series_dropping (relid, chunk, rows, bytes, begun_at) \
             VALUES ($1::pg_catalog.regclass, $2, $3, $4, $5) \
             ON CONFLICT (relid, chunk) DO UPDATE SET begun_at = excluded.begun_at, detached = false",
            &[
                store.oid().into(),
                chunk.relation.oid.into(),
                chunk.rows.into(),
                chunk.bytes.into(),
                now.into(),
            ],
        )
    })??;
    Ok(())
}

fn forget(store: &Store, chunk: pg_sys::Oid) -> Result<()> {
    access::as_extension_owner(|| {
        spi::execute(
            "DELETE FROM _lake.series_dropping WHERE relid = $1::pg_catalog.regclass AND chunk = $2",
            &[store.oid().into(), chunk.into()],
        )
    })??;
    Ok(())
}
