//! What a row of an exact search and a step of an approximate one cost on this machine, for this
//! store: measured by [`calibrate`], else taken from the number of dimensions.

use super::index::Index;
use super::known;
use super::path::{Path, Walk};
use super::search::Query;
use super::store::VectorStore;
use crate::access;
use crate::error::{Error, Result};
use crate::spi;
use pgrx::datum::TimestampWithTimeZone;
use std::time::Instant;

/// Microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Costs {
    /// To read a row in order and compute its distance.
    pub exact_row_us: f64,
    /// To find one more row by an index: a step in a graph looks at its neighbours.
    pub visit_us: f64,
    pub measured: bool,
}

impl Costs {
    /// Measured on one machine at 50 and 384 dimensions; embeddings over 2,000 bytes are kept apart
    /// from their row, which has to fetch them.
    #[expect(clippy::cast_precision_loss, reason = "dimensions are at most 16,000")]
    fn by_dimensions(vector: &VectorStore) -> Self {
        const INLINE_BYTES: f64 = 2_000.0;
        let dimensions = vector.rules.dimensions as f64;
        let bytes = dimensions * if vector.embedding.type_name == "halfvec" { 2.0 } else { 4.0 };
        let fetch = if bytes > INLINE_BYTES { 5.0 + bytes / 1_000.0 } else { 0.0 };
        Self {
            exact_row_us: 0.4 + 0.003 * dimensions + fetch,
            visit_us: 25.0 + 0.04 * dimensions,
            measured: false,
        }
    }
}

/// The costs of a store.
pub fn read(vector: &VectorStore) -> Result<Costs> {
    let measured = spi::cached_rows(
        "SELECT exact_row_us, visit_us FROM _lake.vector_cost WHERE relid = $1::pg_catalog.regclass",
        &[vector.store.oid().into()],
        |row| Ok((spi::get::<f64>(row, 1)?, spi::get::<f64>(row, 2)?)),
    )?;
    let usual = Costs::by_dimensions(vector);
    Ok(match measured.into_iter().next() {
        Some((row, visit)) => Costs {
            exact_row_us: row.unwrap_or(usual.exact_row_us),
            visit_us: visit.unwrap_or(usual.visit_us),
            measured: true,
        },
        None => usual,
    })
}

/// What was measured.
pub struct Measured {
    pub exact_row_us: Option<f64>,
    /// `None` where there is no index.
    pub visit_us: Option<f64>,
    pub rows: f64,
    pub measured_at: TimestampWithTimeZone,
}

/// Rows that an exact search is measured on.
const SAMPLE_ROWS: f64 = 5_000.0;
/// Queries; each is a row of the store.
const QUERIES: i64 = 8;
/// Times that each is asked; the first warms the cache, the fastest counts.
const ROUNDS: usize = 3;
/// The width of the measured approximate searches.
const WIDTH: i32 = 100;

/// Measures both paths on the store's own rows and keeps the costs. The current user must be owner.
pub fn calibrate(vector: &VectorStore) -> Result<Measured> {
    access::require_owner(vector.relation())?;
    let rows = super::estimate::size(vector)?;
    let queries = sample(vector, rows)?;
    let exact_row_us = exact(vector, &queries, rows)?;
    let visit_us = match vector.index()? {
        Some(index) => approximate(vector, &queries, &index)?,
        None => None,
    };
    let measured_at = access::as_extension_owner(|| {
        spi::one::<TimestampWithTimeZone>(
            "INSERT INTO _lake.vector_cost AS c (relid, exact_row_us, visit_us, rows, measured_at) \
             VALUES ($1::pg_catalog.regclass, $2, $3, $4, pg_catalog.clock_timestamp()) \
             ON CONFLICT (relid) DO UPDATE SET exact_row_us = excluded.exact_row_us, \
                 visit_us = excluded.visit_us, rows = excluded.rows, \
                 measured_at = excluded.measured_at RETURNING measured_at",
            &[vector.store.oid().into(), exact_row_us.into(), visit_us.into(), rows.into()],
        )
    })??
    .ok_or_else(|| Error::internal("the costs were not written"))?;
    known::changed(vector.store.oid());
    Ok(Measured { exact_row_us, visit_us, rows, measured_at })
}

/// A condition on a sample of pages that holds about so many rows.
fn sampled(vector: &VectorStore, rows: f64, wanted: f64) -> String {
    let percent = (100.0 * wanted / rows.max(1.0)).clamp(0.001, 100.0);
    format!("{} AS t TABLESAMPLE system ({percent}) REPEATABLE (0)", vector.relation())
}

/// Embeddings of some rows.
fn sample(vector: &VectorStore, rows: f64) -> Result<Vec<Vec<f32>>> {
    spi::rows(
        &format!(
            "SELECT {}::pg_catalog.float4[] FROM {} WHERE {} LIMIT $1",
            VectorStore::col(&vector.embedding),
            sampled(vector, rows, 50.0 * 20.0),
            vector.searchable_sql()
        ),
        &[QUERIES.into()],
        |row| spi::need::<Vec<f32>>(row, 1),
    )
}

#[expect(clippy::cast_precision_loss, reason = "a count of sampled rows")]
fn exact(vector: &VectorStore, queries: &[Vec<f32>], rows: f64) -> Result<Option<f64>> {
    let sql = format!(
        "SELECT pg_catalog.count({} {} $1), pg_catalog.count(*) FROM {} WHERE {}",
        VectorStore::col(&vector.embedding),
        vector.distance_operator(),
        sampled(vector, rows, SAMPLE_ROWS),
        vector.searchable_sql()
    );
    let mut best: Option<f64> = None;
    for query in queries {
        for _ in 0..ROUNDS {
            let start = Instant::now();
            let counted = spi::cached_rows(&sql, &[super::pack::vector(vector, query)], |row| {
                spi::need::<i64>(row, 2)
            })?;
            let elapsed = start.elapsed().as_secs_f64() * 1e6;
            let seen = counted.first().copied().unwrap_or(0);
            if seen > 0 {
                let each = elapsed / seen as f64;
                best = Some(best.map_or(each, |best| best.min(each)));
            }
        }
    }
    Ok(best)
}

fn approximate(vector: &VectorStore, queries: &[Vec<f32>], index: &Index) -> Result<Option<f64>> {
    let mut fastest = vec![];
    for query in queries {
        let mut best = f64::INFINITY;
        for _ in 0..ROUNDS {
            let query = Query::plain(vector, query.clone(), 10);
            let path = Path::Approximate(Walk::unbounded(index.clone(), WIDTH));
            let start = Instant::now();
            query.ask(&path)?;
            best = best.min(start.elapsed().as_secs_f64() * 1e6);
        }
        fastest.push(best);
    }
    fastest.sort_by(f64::total_cmp);
    Ok(fastest.get(fastest.len() / 2).map(|median| median / f64::from(WIDTH)))
}
