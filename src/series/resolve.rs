//! From metrics and tags to series ids: known ones are read, new ones are made, once for a batch.
//!
//! New series are inserted in one order (metric, then tags), so that two batches with the same new
//! series wait for each other and never for a circle of others.

use crate::catalog::Store;
use crate::error::{Error, Result};
use crate::names::Relation;
use crate::series::ids::{self, Seen};
use crate::series::points::Series;
use crate::spi;
use pgrx::JsonB;
use serde_json::Value;
use std::collections::HashMap;

/// The table of series of a metric store.
pub fn series_table(store: &Store) -> Result<Relation> {
    let oid = store
        .companion
        .ok_or_else(|| Error::internal(format!("{} has no table of series", store.relation)))?;
    Relation::by_oid(oid)
}

/// The ids of those of `series` that are there, by position. The session remembers them.
pub fn known(table: &Relation, series: &[&Series<'_>]) -> Result<Vec<(usize, i64)>> {
    if series.is_empty() {
        return Ok(vec![]);
    }
    let (metrics, tags) = columns(series);
    let found = spi::cached_rows(
        &format!(
            "SELECT u.position, s.series_id, s.ctid, s.xmin::pg_catalog.text::pg_catalog.int8 \
             FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.jsonb[])) \
                  WITH ORDINALITY AS u(metric, tags, position) \
             JOIN {table} s ON s.metric = u.metric AND s.tags = u.tags"
        ),
        &[metrics.into(), tags.into()],
        |row| {
            let position = spi::need::<i64>(row, 1)? as usize - 1;
            let (id, place) = (spi::need(row, 2)?, spi::need(row, 3)?);
            Ok((position, Seen { id, place, written_by: spi::need(row, 4)? }))
        },
    )?;
    let ids = found.into_iter().map(|(position, seen)| {
        ids::remember(table.oid, series[position], seen);
        (position, seen.id)
    });
    Ok(ids.collect())
}

/// Makes what is not there. What another session makes at the same time is waited for.
pub fn make(table: &Relation, series: &[&Series<'_>]) -> Result<Vec<(usize, i64)>> {
    if series.is_empty() {
        return Ok(vec![]);
    }
    let (metrics, tags) = columns(series);
    spi::cached_execute(
        &format!(
            "INSERT INTO {table} (metric, tags) \
             SELECT u.metric, u.tags \
             FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.jsonb[])) \
                  AS u(metric, tags) \
             ORDER BY u.metric, u.tags ON CONFLICT (metric, tags) DO NOTHING"
        ),
        &[metrics.into(), tags.into()],
    )?;
    let ids = known(table, series)?;
    if ids.len() == series.len() {
        return Ok(ids);
    }
    Err(Error::insufficient_privilege(format!("a series of {table} was made but can't be seen"))
        .hint("A row level security policy on the table of series must let writers read what they insert."))
}

/// How many series each of the metrics has.
pub fn count(table: &Relation, metrics: Vec<String>) -> Result<HashMap<String, i64>> {
    let counts = spi::cached_rows(
        &format!(
            "SELECT metric, pg_catalog.count(*) FROM {table} WHERE metric = ANY ($1) GROUP BY metric"
        ),
        &[metrics.into()],
        |row| Ok((spi::need::<String>(row, 1)?, spi::need::<i64>(row, 2)?)),
    )?;
    Ok(counts.into_iter().collect())
}

/// How many series there are.
pub fn count_all(table: &Relation) -> Result<i64> {
    Ok(spi::cached_one(&format!("SELECT pg_catalog.count(*) FROM {table}"), &[])?.unwrap_or(0))
}

fn columns(series: &[&Series<'_>]) -> (Vec<String>, Vec<JsonB>) {
    (
        series.iter().map(|s| s.metric.clone()).collect(),
        series.iter().map(|s| JsonB(Value::Object(s.tags().clone()))).collect(),
    )
}
