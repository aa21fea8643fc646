//! What was measured, for the owner of the store.

use super::measure::Measured;
use crate::access;
use crate::error::Result;
use crate::jsonb::JsonbText;
use crate::spi;
use crate::vector::store::VectorStore;

/// Measurements that are kept of a store.
const KEEP: i64 = 1_000;

/// Records a measurement. The caller is the owner.
pub fn record(
    vector: &VectorStore,
    k: i32,
    filter: Option<&JsonbText>,
    measured: &Measured,
    rows: f64,
) -> Result<()> {
    let relid = vector.store.oid();
    let samples = i32::try_from(measured.samples).unwrap_or(i32::MAX);
    access::as_extension_owner(|| {
        spi::execute(
            "INSERT INTO _lake.vector_recall (relid, index, k, samples, filter, ef_search, recall_mean, \
                 recall_p5, recall_worst, exact_ms, approximate_ms, rows, probes, changes) \
             VALUES ($1::pg_catalog.regclass, $2, $3, $4, $5::pg_catalog.text::pg_catalog.jsonb, $6, $7, $8, $9, \
                 $10, $11, $12, $13, _lake.changes($1::pg_catalog.regclass))",
            &[
                relid.into(),
                measured.index.as_str().into(),
                k.into(),
                samples.into(),
                filter.map(|filter| filter.0.clone()).into(),
                measured.ef_search.into(),
                measured.mean.into(),
                measured.p5.into(),
                measured.worst.into(),
                measured.exact_ms.into(),
                measured.approximate_ms.into(),
                rows.into(),
                measured.probes.into(),
            ],
        )?;
        spi::execute(
            "DELETE FROM _lake.vector_recall r USING ( \
                 SELECT measurement_id FROM _lake.vector_recall \
                 WHERE relid = $1::pg_catalog.regclass ORDER BY measurement_id DESC OFFSET $2) old \
             WHERE r.measurement_id = old.measurement_id",
            &[relid.into(), KEEP.into()],
        )
    })??;
    Ok(())
}

/// Rows changed since the whole store was last measured with this index; `None` where it never was.
pub fn changes_since(vector: &VectorStore, index: &str) -> Result<Option<i64>> {
    access::as_extension_owner(|| {
        spi::one(
            "SELECT abs(_lake.changes(relid) - changes) FROM _lake.vector_recall \
             WHERE relid = $1::pg_catalog.regclass AND index = $2 AND filter IS NULL \
             ORDER BY measurement_id DESC LIMIT 1",
            &[vector.store.oid().into(), index.into()],
        )
    })?
}
