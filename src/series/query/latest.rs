//! The last point of each series.

use super::checked_tags;
use crate::catalog::Store;
use crate::error::Result;
use crate::jsonb::JsonbCopy;
use crate::series::resolve;
use crate::spi;
use pgrx::JsonB;
use pgrx::datum::TimestampWithTimeZone;
use serde_json::Value;

/// A series and its last point.
pub struct Latest {
    pub series_id: i64,
    pub metric: String,
    pub tags: JsonbCopy,
    pub ts: TimestampWithTimeZone,
    pub value: f64,
}

/// The last point of each series: one look at the end of an index for each, newest chunk first.
pub fn latest(store: &Store, metric: Option<&str>, tags: &Value) -> Result<Vec<Latest>> {
    let (table, series) = (&store.relation, resolve::series_table(store)?);
    let (of_metric, tags) = match metric {
        Some(_) => ("s.metric = $2", checked_tags(tags)?),
        None => ("$2::pg_catalog.text IS NULL", checked_tags(tags)?),
    };
    spi::cached_rows(
        &format!(
            "SELECT s.series_id, s.metric, s.tags, l.ts, l.value FROM {series} s \
             CROSS JOIN LATERAL (SELECT p.ts, p.value FROM {table} p WHERE p.series_id = s.series_id \
                                 ORDER BY p.ts DESC LIMIT 1) l \
             WHERE s.tags OPERATOR(pg_catalog.@>) $1 AND {of_metric} \
             ORDER BY s.metric, s.series_id"
        ),
        &[JsonB(tags.clone()).into(), metric.into()],
        |row| {
            Ok(Latest {
                series_id: spi::need(row, 1)?,
                metric: spi::need(row, 2)?,
                tags: spi::need(row, 3)?,
                ts: spi::need(row, 4)?,
                value: spi::need(row, 5)?,
            })
        },
    )
}
