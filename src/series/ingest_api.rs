//! The SQL functions that write points: they take arguments apart and hand them on.

use super::api::need;
use crate::catalog::Store;
use crate::catalog::reject::OnError;
use crate::error::{Error, Result};
use crate::regclass::RegClass;
use crate::series::ingest::{self, OnConflict};
use crate::series::lines::{self, Reading, TextFields};
use crate::series::options;
use crate::series::points::{Arrays, Batch};
use crate::series::raw_json::RawJson;
use pgrx::JsonB;
use pgrx::datum::{Array, TimestampWithTimeZone};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde_json::Value;

/// What an ingest call returns: one row.
type Counts =
    TableIterator<'static, (name!(accepted, i64), name!(duplicate, i64), name!(rejected, i64))>;

fn ingest_batch(
    store: &Store,
    batch: Batch<'_>,
    on_error: Option<&str>,
    on_conflict: Option<&str>,
) -> Result<(i64, i64, i64)> {
    let on_error = OnError::parse(need("on_error", on_error)?)?;
    let on_conflict = OnConflict::parse(need("on_conflict", on_conflict)?)?;
    let done = ingest::ingest(store, batch, on_error, on_conflict)?;
    Ok((done.accepted, done.duplicate, done.rejected))
}

#[pg_extern(schema = "lake")]
#[allow(clippy::too_many_arguments)]
pub fn series_ingest<'a>(
    store: Option<RegClass>,
    ts: Option<Array<'a, TimestampWithTimeZone>>,
    metric: Option<Array<'a, &'a str>>,
    tags: Option<Array<'a, RawJson<'a>>>,
    value: Option<Array<'a, f64>>,
    on_error: default!(Option<&'a str>, "'raise'"),
    on_conflict: default!(Option<&'a str>, "'ignore'"),
    series: default!(Option<Array<'a, i32>>, "NULL"),
) -> Result<
    TableIterator<'static, (name!(accepted, i64), name!(duplicate, i64), name!(rejected, i64))>,
    ErrorReport,
> {
    let store = options::find_metric(need("store", store)?, "series_ingest")?;
    let (ts, metric, value) = (need("ts", ts)?, need("metric", metric)?, need("value", value)?);
    let arrays = Arrays {
        ts: &ts,
        metric: &metric,
        tags: tags.as_ref(),
        value: &value,
        series: series.as_ref(),
    };
    let batch = Batch::from_arrays(&store, &arrays)?;
    let counts: Counts = TableIterator::once(ingest_batch(&store, batch, on_error, on_conflict)?);
    Ok(counts)
}

#[pg_extern(schema = "lake", name = "series_ingest")]
pub fn series_ingest_json(
    store: Option<RegClass>,
    points: Option<JsonB>,
    on_error: default!(Option<&str>, "'raise'"),
    on_conflict: default!(Option<&str>, "'ignore'"),
) -> Result<
    TableIterator<'static, (name!(accepted, i64), name!(duplicate, i64), name!(rejected, i64))>,
    ErrorReport,
> {
    let store = options::find_metric(need("store", store)?, "series_ingest")?;
    let Value::Array(points) = need("points", points)?.0 else {
        return Err(Error::invalid_parameter("points must be a JSON array")
            .hint(r#"[{"ts": "2026-01-31T12:00:00Z", "metric": "cpu", "tags": {"host": "a"}, "value": 0.5}]"#)
            .into());
    };
    let batch = Batch::from_json(&store, points)?;
    let counts: Counts = TableIterator::once(ingest_batch(&store, batch, on_error, on_conflict)?);
    Ok(counts)
}

#[pg_extern(schema = "lake")]
pub fn series_ingest_line_protocol(
    store: Option<RegClass>,
    lines: Option<&str>,
    precision: default!(Option<&str>, "'ns'"),
    on_error: default!(Option<&str>, "'raise'"),
    on_conflict: default!(Option<&str>, "'ignore'"),
    text_fields: default!(Option<&str>, "'reject'"),
) -> Result<
    TableIterator<'static, (name!(accepted, i64), name!(duplicate, i64), name!(rejected, i64))>,
    ErrorReport,
> {
    let store = options::find_metric(need("store", store)?, "series_ingest_line_protocol")?;
    let precision = lines::parse_precision(need("precision", precision)?)?;
    let text_fields = TextFields::parse(need("text_fields", text_fields)?)?;
    let reading = Reading { text_fields, ..Reading::now(precision)? };
    let batch = lines::batch(&store, need("lines", lines)?, reading)?;
    let counts: Counts = TableIterator::once(ingest_batch(&store, batch, on_error, on_conflict)?);
    Ok(counts)
}
