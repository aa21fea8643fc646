//! Writing the rows of a batch, by one statement.
//!
//! `ON CONFLICT` costs as much again as the insert itself: it looks for each row, and inserts it
//! speculatively. Most batches come in order and meet nothing, so where that is likely a plain `INSERT`
//! is tried first: where the batch comes after all that this session wrote, or where a look at the store
//! finds no row of these series in the span of the batch. If another session was faster, it fails on the
//! key and is undone, and the statement with `ON CONFLICT` does the work.

use super::{OnConflict, Row, order};
use crate::attempt::attempt;
use crate::error::Result;
use crate::names::Relation;
use crate::series::time;
use crate::spi;
use lake_chunks::Micros;
use pgrx::datum::{DatumWithOid, TimestampWithTimeZone};
use std::collections::HashSet;

/// Batches smaller than this are written with `ON CONFLICT` at once.
const WORTH_TRYING: usize = 100;

/// The store is looked at where there are at least so many rows for each series: a look costs about as
/// much for a series as `ON CONFLICT` does for a row.
const WORTH_LOOKING: usize = 4;

/// The columns of the rows as arrays.
struct Columns {
    args: [DatumWithOid<'static>; 3],
}

impl Columns {
    const SELECT: &'static str = "SELECT pg_catalog.unnest($1::pg_catalog.timestamptz[]), \
        pg_catalog.unnest($2::pg_catalog.int8[]), pg_catalog.unnest($3::pg_catalog.float8[])";

    fn of(rows: &[Row]) -> Result<Self> {
        let times: Vec<TimestampWithTimeZone> =
            rows.iter().map(|row| time::to_pg(row.point.ts)).collect::<Result<_>>()?;
        let series: Vec<i64> = rows.iter().map(|row| row.series_id).collect();
        let values: Vec<f64> = rows.iter().map(|row| row.point.value).collect();
        Ok(Self { args: [times.into(), series.into(), values.into()] })
    }
}

/// Writes what isn't there, or for [`OnConflict::Replace`] what isn't there so. Returns how many rows
/// that were. `rows` are sorted by series and time.
pub fn write(table: &Relation, rows: &[Row], on_conflict: OnConflict) -> Result<i64> {
    let columns = Columns::of(rows)?;
    let insert = format!("INSERT INTO {table} AS t (ts, series_id, value) {}", Columns::SELECT);
    let span = span(rows);
    if rows.len() >= WORTH_TRYING && meets_nothing(table, rows, span)? {
        // Whatever it fails for, if it is no conflict, the statement below fails for too, and says so.
        if let Ok(written) = attempt(|| spi::cached_execute(&insert, &columns.args)) {
            order::met_nothing(table.oid, span.1);
            return Ok(written as i64);
        }
        order::guessed_wrong(table.oid);
    }
    let action = match on_conflict {
        OnConflict::Replace => {
            "DO UPDATE SET value = excluded.value WHERE t.value OPERATOR(pg_catalog.<>) excluded.value"
        }
        OnConflict::Ignore | OnConflict::Error => "DO NOTHING",
    };
    let sql = format!("{insert} ON CONFLICT (series_id, ts) {action}");
    let written = spi::cached_execute(&sql, &columns.args)?;
    if written as usize == rows.len() && on_conflict == OnConflict::Ignore {
        order::met_nothing(table.oid, span.1);
    }
    Ok(written as i64)
}

/// As [`write()`], and tells which rows were written.
pub fn write_telling(table: &Relation, rows: &[Row]) -> Result<HashSet<(i64, Micros)>> {
    let columns = Columns::of(rows)?;
    let sql = format!(
        "INSERT INTO {table} AS t (ts, series_id, value) {} \
         ON CONFLICT (series_id, ts) DO NOTHING RETURNING series_id, ts",
        Columns::SELECT
    );
    let written = spi::cached_rows(&sql, &columns.args, |row| {
        Ok((spi::need(row, 1)?, time::from_pg(spi::need(row, 2)?)))
    })?;
    Ok(written.into_iter().collect())
}

/// The first and the last instant.
fn span(rows: &[Row]) -> (Micros, Micros) {
    rows.iter().fold((Micros::MAX, Micros::MIN), |(first, last), row| {
        (first.min(row.point.ts), last.max(row.point.ts))
    })
}

/// Whether, as far as can be told cheaply, none of the rows is there.
fn meets_nothing(table: &Relation, rows: &[Row], span: (Micros, Micros)) -> Result<bool> {
    if order::follows(table.oid, span.0) {
        return Ok(true);
    }
    let mut series: Vec<i64> = rows.iter().map(|row| row.series_id).collect();
    series.dedup();
    if series.len() * WORTH_LOOKING > rows.len() {
        return Ok(false);
    }
    // By the key, whatever the planner hopes to meet soon: mostly nothing is there to be met.
    let settings = spi::LocalSettings::new();
    settings.set_other("enable_seqscan", "off");
    settings.set_other("enable_bitmapscan", "off");
    let found = spi::one::<i32>(
        &format!(
            "SELECT 1 FROM {table} WHERE series_id OPERATOR(pg_catalog.=) ANY ($1) \
             AND ts OPERATOR(pg_catalog.>=) $2 AND ts OPERATOR(pg_catalog.<=) $3 LIMIT 1"
        ),
        &[series.into(), time::to_pg(span.0)?.into(), time::to_pg(span.1)?.into()],
    )?;
    Ok(found.is_none())
}
