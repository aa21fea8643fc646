//! Chunks that stay, but lose the rows of some series: those whose rule keeps them for a shorter time.
//!
//! A chunk is looked at once it lies wholly behind the limit of a rule. When all rows are gone that is
//! written down, so that it isn't looked at again before the rules change or rows are written to it.
//! Rows are deleted from the chunk itself: what is due to go is no change of the past, and rollups keep
//! what they made of it.

use super::rules;
use crate::access;
use crate::catalog::Store;
use crate::error::Result;
use crate::regclass::RegClass;
use crate::series::backend::{Backend, Chunk};
use crate::series::compression;
use crate::spi;
use crate::workers::actions::Progress;
use lake_chunks::Micros;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys;
use std::collections::HashMap;
use std::rc::Rc;

/// Rows that one transaction deletes: some tenths of a second.
const ROWS_A_STEP: i64 = 50_000;

/// A chunk that may have rows past their time.
pub struct Found {
    pub chunk: Chunk,
    /// The series past their time in it.
    pub series: Rc<[i64]>,
    pub reason: String,
    /// The rules, and what was written to the chunk so far.
    state: String,
}

impl Found {
    pub fn has_rows(&self) -> Result<bool> {
        spi::scalar(
            &format!(
                "SELECT EXISTS (SELECT FROM {} WHERE series_id = ANY ($1))",
                self.chunk.relation
            ),
            &[self.series.to_vec().into()],
        )
    }
}

/// The chunks that lie behind the limit of a rule and weren't seen to since, oldest first.
pub fn due<'a>(
    store: &Store,
    chunks: impl Iterator<Item = &'a Chunk>,
    now: TimestampWithTimeZone,
) -> Result<Vec<Found>> {
    let rules = rules::of(store)?;
    if rules.is_empty() {
        return Ok(Vec::new());
    }
    let limits = rules::limits(&rules, now)?;
    let all: Vec<String> = rules.iter().map(rules::Rule::describe).collect();
    let seen = seen(store)?;
    // Which series are past depends on the number of rules that are.
    let mut by_past: HashMap<usize, Rc<[i64]>> = HashMap::new();
    let mut found = Vec::new();
    for chunk in chunks {
        pgrx::check_for_interrupts!();
        // The later limits belong to the shorter rules, which come first.
        let past = limits.iter().take_while(|limit| behind(chunk, **limit)).count();
        if past == 0 {
            continue;
        }
        let state = format!("{past} of {}; {}", all.join(", "), written(chunk.relation.oid)?);
        if seen.get(&chunk.relation.oid) == Some(&state) {
            continue;
        }
        let series = match by_past.get(&past) {
            Some(series) => series.clone(),
            None => {
                let series: Rc<[i64]> = rules::past_keep(store, &rules, past)?.into();
                by_past.insert(past, series.clone());
                series
            }
        };
        let reason = format!("rows past their time ({})", all[..past].join(", "));
        found.push(Found { chunk: chunk.clone(), series, reason, state });
    }
    Ok(found)
}

fn behind(chunk: &Chunk, limit: Micros) -> bool {
    chunk.end.is_some_and(|end| end <= limit)
}

/// Deletes some of the rows; `None` where there were none, which is written down.
pub fn delete(store: &Store, found: &Found) -> Result<Option<Progress>> {
    let chunk = &found.chunk.relation;
    let (deleted, all) = match found.chunk.compressed {
        Some(_) if Backend::of(store)? == Backend::Native => delete_compressed(found)?,
        Some(_) => delete_series(found)?,
        None => delete_rows(found)?,
    };
    if all {
        access::as_extension_owner(|| {
            spi::execute(
                "INSERT INTO _lake.series_thinned (relid, chunk, state) \
                 VALUES ($1::pg_catalog.regclass, $2, $3) \
                 ON CONFLICT (relid, chunk) DO UPDATE SET state = excluded.state",
                &[store.oid().into(), chunk.oid.into(), found.state.as_str().into()],
            )
        })??;
    }
    if deleted == 0 {
        return Ok(None);
    }
    Ok(Some(Progress {
        subject: format!("{deleted} rows of {chunk}"),
        rows: deleted,
        bytes_before: found.chunk.bytes,
        bytes_after: found.chunk.bytes,
    }))
}

/// Some of the rows; how many, and whether that was all.
fn delete_rows(found: &Found) -> Result<(i64, bool)> {
    let chunk = &found.chunk.relation;
    let deleted = spi::scalar::<i64>(
        &format!(
            "WITH gone AS ( \
                 DELETE FROM {chunk} WHERE ctid = ANY (ARRAY ( \
                     SELECT ctid FROM {chunk} WHERE series_id = ANY ($1) LIMIT $2)) \
                 RETURNING 1) \
             SELECT pg_catalog.count(*) FROM gone"
        ),
        &[found.series.to_vec().into(), ROWS_A_STEP.into()],
    )?;
    Ok((deleted, deleted < ROWS_A_STEP))
}

/// All of the rows, in one transaction that leaves the chunk compressed.
fn delete_compressed(found: &Found) -> Result<(i64, bool)> {
    if !found.has_rows()? {
        return Ok((0, true));
    }
    let chunk = RegClass(found.chunk.relation.oid);
    compression::decompress(chunk)?;
    let deleted = spi::execute(
        &format!("DELETE FROM {} WHERE series_id = ANY ($1)", found.chunk.relation),
        &[found.series.to_vec().into()],
    )?;
    compression::compress(chunk)?;
    Ok((i64::try_from(deleted).unwrap_or(i64::MAX), false))
}

/// The rows of one series. TimescaleDB's compressed rows have no `ctid`; by series they go without being
/// decompressed where the chunk is segmented by it, and in bounded steps elsewhere.
fn delete_series(found: &Found) -> Result<(i64, bool)> {
    let chunk = &found.chunk.relation;
    let first = spi::one::<i64>(
        &format!("SELECT pg_catalog.min(series_id) FROM {chunk} WHERE series_id = ANY ($1)"),
        &[found.series.to_vec().into()],
    )?;
    let Some(series) = first else { return Ok((0, true)) };
    let settings = spi::LocalSettings::new();
    settings.set("timescaledb.max_tuples_decompressed_per_dml_transaction", "0");
    let rows = |verb: &str| format!("{verb} FROM {chunk} WHERE series_id = $1");
    let deleted = spi::scalar(&rows("SELECT pg_catalog.count(*)"), &[series.into()])?;
    spi::execute(&rows("DELETE"), &[series.into()])?;
    Ok((deleted, false))
}

/// How many rows were ever written to a table, as its statistics know.
fn written(table: pg_sys::Oid) -> Result<i64> {
    spi::scalar(
        "SELECT pg_catalog.pg_stat_get_tuples_inserted($1) + pg_catalog.pg_stat_get_tuples_updated($1)",
        &[table.into()],
    )
}

/// The chunks that have been seen to, and how they stood then.
fn seen(store: &Store) -> Result<HashMap<pg_sys::Oid, String>> {
    let rows = access::as_extension_owner(|| {
        spi::rows(
            "SELECT chunk, state FROM _lake.series_thinned WHERE relid = $1::pg_catalog.regclass",
            &[store.oid().into()],
            |row| Ok((spi::need::<pg_sys::Oid>(row, 1)?, spi::need::<String>(row, 2)?)),
        )
    })??;
    Ok(rows.into_iter().collect())
}
