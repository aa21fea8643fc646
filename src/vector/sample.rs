//! Rows of a store drawn at random.

use super::store::VectorStore;
use crate::error::{Error, Result};
use crate::spi;
use serde_json::Value;

/// A row drawn.
pub struct Sampled {
    pub id: String,
    pub embedding: Vec<f32>,
}

/// Up to this many rows a table is drawn from as a whole; from larger ones, some pages are.
const WHOLE: f64 = 50_000.0;

/// Up to `n` rows with an embedding, as the current user sees them.
pub fn rows(vector: &VectorStore, n: usize) -> Result<Vec<Sampled>> {
    let total = estimate(vector)?;
    if total > WHOLE {
        // Ten times as many as wanted, so that neighbours on a page don't make up the sample.
        let percent = (1_000.0 * n as f64 / total).clamp(0.01, 100.0);
        let drawn = draw(vector, n, &format!(" TABLESAMPLE SYSTEM ({percent:.4})"))?;
        if drawn.len() >= n {
            return Ok(drawn);
        }
    }
    draw(vector, n, "")
}

fn draw(vector: &VectorStore, n: usize, sample: &str) -> Result<Vec<Sampled>> {
    spi::rows(
        &format!(
            "SELECT {}::pg_catalog.text, {}::pg_catalog.float4[] FROM {} AS t{sample} WHERE {} \
             ORDER BY pg_catalog.random() LIMIT {n}",
            VectorStore::col(&vector.id),
            VectorStore::col(&vector.embedding),
            vector.relation(),
            vector.searchable_sql(),
        ),
        &[],
        |row| Ok(Sampled { id: spi::need(row, 1)?, embedding: spi::need(row, 2)? }),
    )
}

/// The planner's estimate of the rows of the table.
pub fn estimate(vector: &VectorStore) -> Result<f64> {
    let plan = spi::one::<pgrx::Json>(
        &format!("EXPLAIN (FORMAT JSON) SELECT FROM {} AS t", vector.relation()),
        &[],
    )?;
    plan.and_then(|plan| plan.0.pointer("/0/Plan/Plan Rows").and_then(Value::as_f64))
        .ok_or_else(|| Error::internal("EXPLAIN shows no estimate"))
}

/// The rows of the table: estimated where it was analysed, else counted up to `most`.
pub fn size(vector: &VectorStore, most: i64) -> Result<f64> {
    let analysed: bool = spi::scalar(
        "SELECT reltuples > 0 FROM pg_catalog.pg_class WHERE oid = $1",
        &[vector.store.oid().into()],
    )?;
    if analysed {
        return estimate(vector);
    }
    let counted: i64 = spi::scalar(
        &format!(
            "SELECT pg_catalog.count(*) FROM (SELECT FROM {} AS t LIMIT {most}) s",
            vector.relation()
        ),
        &[],
    )?;
    #[expect(clippy::cast_precision_loss, reason = "a size")]
    Ok(counted as f64)
}
