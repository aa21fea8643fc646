//! From when to when there is something that rollups could be made of.

use super::shape::{Shape, Source};
use crate::catalog::Store;
use crate::error::Result;
use crate::series::backend::{Backend, Chunk};
use crate::series::time;
use crate::spi;
use lake_chunks::Micros;
use pgrx::datum::TimestampWithTimeZone;

type Ends = (TimestampWithTimeZone, TimestampWithTimeZone);

/// Ranges that hold all there is for a new rollup, ends included.
pub fn to_compute(store: &Store, shape: &Shape) -> Result<Vec<Ends>> {
    let mut ranges = Vec::new();
    for chunk in Backend::of(store)?.chunks(&store.relation)? {
        pgrx::check_for_interrupts!();
        if let Some((start, end)) = of_chunk(shape, &chunk)? {
            ranges.push((time::to_pg(start)?, time::to_pg(end)?));
        }
    }
    // A rollup may keep what its points are gone of.
    if let Source::Lower(lower) = &shape.source {
        let sql =
            format!("SELECT pg_catalog.min(bucket), pg_catalog.max(bucket) FROM {}", lower.parts);
        ranges.extend(ends(&sql)?);
    }
    Ok(ranges)
}

/// The end of all that could have buckets.
pub fn newest(store: &Store, shape: &Shape) -> Result<Micros> {
    let mut newest = Micros::MIN;
    let mut level = Some(shape);
    while let Some(shape) = level {
        let sql =
            format!("SELECT pg_catalog.max(bucket), pg_catalog.max(bucket) FROM {}", shape.parts);
        newest = ends(&sql)?
            .map_or(newest, |(_, last)| newest.max(time::from_pg(last).saturating_add(1)));
        level = match &shape.source {
            Source::Lower(lower) => Some(lower),
            Source::Points(_) => None,
        };
    }
    for chunk in Backend::of(store)?.chunks(&store.relation)? {
        pgrx::check_for_interrupts!();
        newest = of_chunk(shape, &chunk)?.map_or(newest, |(_, end)| newest.max(end));
    }
    Ok(newest)
}

/// What a chunk covers; where that has no end, what its points do. `None` where there are none.
fn of_chunk(shape: &Shape, chunk: &Chunk) -> Result<Option<(Micros, Micros)>> {
    if let (Some(start), Some(end)) = (chunk.start, chunk.end) {
        return Ok(Some((start, end)));
    }
    let (time, chunk) = (&shape.points().time, &chunk.relation);
    let sql = format!(
        "SELECT pg_catalog.min(p.{time}), pg_catalog.max(p.{time}) FROM {chunk} p WHERE pg_catalog.isfinite(p.{time})"
    );
    Ok(ends(&sql)?
        .map(|(first, last)| (time::from_pg(first), time::from_pg(last).saturating_add(1))))
}

fn ends(sql: &str) -> Result<Option<Ends>> {
    let found = spi::rows(sql, &[], |row| {
        Ok(spi::get::<TimestampWithTimeZone>(row, 1)?.zip(spi::get(row, 2)?))
    })?;
    Ok(found.into_iter().next().flatten())
}
