//! The SQL functions of time-series stores: they take arguments apart and hand them on.

use crate::catalog::reject::OnError;
use crate::catalog::{Store, StoreKind};
use crate::error::{Error, Result, SqlResult};
use crate::regclass::RegClass;
use crate::series::backend::Backend;
use crate::series::ingest::{self, OnConflict};
use crate::series::lines::{self, Reading, TextFields};
use crate::series::metric::{self, Definition};
use crate::series::points::Batch;
use crate::series::raw_json::{RawJson, SharedJson};
use crate::series::{create, interval, options, query, retention, time, zone};
use crate::spi;
use pgrx::datum::{Array, Interval, TimestampWithTimeZone};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::{JsonB, pg_sys};
use serde_json::{Value, json};

/// 22004 for an argument that was left null.
fn need<T>(name: &str, value: Option<T>) -> Result<T> {
    value.ok_or_else(|| Error::null_value(format!("{name} must not be null")))
}

/// The object given as filter or tags; none means all.
fn object(value: Option<JsonB>) -> Value {
    value.map_or_else(|| json!({}), |json| json.0)
}

fn clock() -> Result<TimestampWithTimeZone> {
    spi::scalar("SELECT pg_catalog.clock_timestamp()", &[])
}

#[pg_extern(schema = "lake")]
pub fn series_create(
    name: Option<&str>,
    chunk_interval: default!(Option<Interval>, "'1 day'"),
    engine: default!(Option<&str>, "'auto'"),
    options: default!(Option<JsonB>, "NULL"),
) -> SqlResult<RegClass> {
    let store = create::create(
        need("name", name)?,
        need("chunk_interval", chunk_interval)?,
        need("engine", engine)?,
        options.as_ref().map(|json| &json.0),
    )?;
    Ok(RegClass(store.oid()))
}

#[pg_extern(schema = "lake")]
pub fn series_adopt(
    tbl: Option<RegClass>,
    time_column: Option<&str>,
    segment_by: default!(Option<Vec<Option<String>>>, "NULL"),
    order_by: default!(Option<Vec<Option<String>>>, "NULL"),
    options: default!(Option<JsonB>, "NULL"),
) -> SqlResult<RegClass> {
    let columns = |name: &str, columns: Option<Vec<Option<String>>>| match columns {
        Some(list) if list.iter().any(Option::is_none) => {
            Err(Error::null_value(format!("{name} has a null entry")))
        }
        list => Ok(list.map(|list| list.into_iter().flatten().collect::<Vec<_>>())),
    };
    let store = create::adopt(
        need("tbl", tbl)?,
        need("time_column", time_column)?,
        columns("segment_by", segment_by)?,
        columns("order_by", order_by)?,
        options.as_ref().map(|json| &json.0),
    )?;
    Ok(RegClass(store.oid()))
}

#[pg_extern(schema = "lake")]
pub fn series_set_options(store: Option<RegClass>, options: Option<JsonB>) -> SqlResult<JsonB> {
    let mut store = options::find_metric(need("store", store)?, "series_set_options")?;
    let mut all = store.options.as_object().cloned().unwrap_or_default();
    options::overlay(&mut all, Some(&need("options", options)?.0))?;
    store.set_options(Value::Object(all))?;
    interval::follow(&store)?;
    Ok(JsonB(store.options))
}

#[pg_extern(schema = "lake")]
#[allow(clippy::too_many_arguments)]
pub fn series_define_metric(
    store: Option<RegClass>,
    metric: Option<&str>,
    unit: default!(Option<&str>, "NULL"),
    kind: default!(Option<&str>, "'gauge'"),
    min_value: default!(Option<f64>, "NULL"),
    max_value: default!(Option<f64>, "NULL"),
    tag_keys: default!(Option<Vec<Option<String>>>, "NULL"),
    max_future: default!(Option<Interval>, "NULL"),
    max_past: default!(Option<Interval>, "NULL"),
    max_series: default!(Option<i64>, "NULL"),
) -> SqlResult<()> {
    let store = options::find_metric(need("store", store)?, "series_define_metric")?;
    let definition = Definition {
        metric: need("metric", metric)?,
        unit,
        kind: need("kind", kind)?,
        min_value,
        max_value,
        tag_keys,
        max_future,
        max_past,
        max_series,
    };
    metric::define(&store, definition)?;
    Ok(())
}

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
pub fn series_ingest<'a>(
    store: Option<RegClass>,
    ts: Option<Array<'a, TimestampWithTimeZone>>,
    metric: Option<Array<'a, &'a str>>,
    tags: Option<Array<'a, RawJson<'a>>>,
    value: Option<Array<'a, f64>>,
    on_error: default!(Option<&'a str>, "'raise'"),
    on_conflict: default!(Option<&'a str>, "'ignore'"),
) -> Result<
    TableIterator<'static, (name!(accepted, i64), name!(duplicate, i64), name!(rejected, i64))>,
    ErrorReport,
> {
    let store = options::find_metric(need("store", store)?, "series_ingest")?;
    let (ts, metric, value) = (need("ts", ts)?, need("metric", metric)?, need("value", value)?);
    let batch = Batch::from_arrays(&ts, &metric, tags.as_ref(), &value)?;
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
    let batch = Batch::from_json(points)?;
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
    let batch = lines::batch(need("lines", lines)?, reading)?;
    let counts: Counts = TableIterator::once(ingest_batch(&store, batch, on_error, on_conflict)?);
    Ok(counts)
}

#[pg_extern(schema = "lake", stable)]
#[allow(clippy::too_many_arguments, clippy::type_complexity)]
pub fn series_query(
    store: Option<RegClass>,
    metric: Option<&str>,
    tags: default!(Option<JsonB>, "'{}'"),
    from_ts: default!(Option<TimestampWithTimeZone>, "NULL"),
    to_ts: default!(Option<TimestampWithTimeZone>, "NULL"),
    bucket: default!(Option<Interval>, "NULL"),
    agg: default!(Option<&str>, "'avg'"),
    fill: default!(Option<&str>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(ts, TimestampWithTimeZone),
            name!(series_id, i64),
            name!(tags, SharedJson),
            name!(value, Option<f64>),
        ),
    >,
    ErrorReport,
> {
    let store = options::find_metric(need("store", store)?, "series_query")?;
    let asked = query::Query {
        metric: need("metric", metric)?,
        tags: object(tags),
        from: from_ts,
        to: to_ts,
        bucket,
        agg: need("agg", agg)?,
        fill,
    };
    let query::Answer { series, rows } = query::query(&store, &asked)?;
    // Each made once: rows of a series share their tags. Times are checked while they can be errors.
    let series = series
        .into_iter()
        .map(|(id, tags)| Ok((id, SharedJson::new(tags)?)))
        .collect::<Result<Vec<_>>>()?;
    let mut out = Vec::with_capacity(rows.len());
    for row in rows {
        let (id, tags) = series[row.series];
        out.push((time::to_pg(row.ts)?, id, tags, row.value));
    }
    Ok(TableIterator::new(out))
}

#[pg_extern(schema = "lake", stable)]
#[allow(clippy::type_complexity)]
pub fn series_latest(
    store: Option<RegClass>,
    metric: default!(Option<&str>, "NULL"),
    tags: default!(Option<JsonB>, "'{}'"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(series_id, i64),
            name!(metric, String),
            name!(tags, JsonB),
            name!(ts, TimestampWithTimeZone),
            name!(value, f64),
        ),
    >,
    ErrorReport,
> {
    let store = options::find_metric(need("store", store)?, "series_latest")?;
    let rows = query::latest(&store, metric, &object(tags))?;
    Ok(TableIterator::new(
        rows.into_iter().map(|r| (r.series_id, r.metric, JsonB(r.tags), r.ts, r.value)),
    ))
}

#[pg_extern(schema = "lake")]
pub fn series_set_retention(
    store: Option<RegClass>,
    keep: Option<Interval>,
    max_bytes: default!(Option<i64>, "NULL"),
) -> SqlResult<()> {
    let mut store = options::find(need("store", store)?)?;
    retention::set(&mut store, keep, max_bytes)?;
    Ok(())
}

#[pg_extern(schema = "lake")]
#[allow(clippy::type_complexity)]
pub fn series_plan_retention(
    store: Option<RegClass>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(chunk, RegClass),
            name!(range_start, Option<TimestampWithTimeZone>),
            name!(range_end, Option<TimestampWithTimeZone>),
            name!(rows, Option<i64>),
            name!(bytes, i64),
            name!(reason, String),
            name!(blocked_by, Option<String>),
            name!(action, String),
        ),
    >,
    ErrorReport,
> {
    let store = options::find(need("store", store)?)?;
    let mut rows = Vec::new();
    for due in retention::plan(&store, clock()?)? {
        let (chunk, what) = (due.chunk, due.what.as_str());
        rows.push((
            RegClass(chunk.relation.oid),
            chunk.start.map(time::to_pg).transpose()?,
            chunk.end.map(time::to_pg).transpose()?,
            chunk.rows,
            chunk.bytes,
            due.reason,
            (!due.blocked_by.is_empty()).then(|| due.blocked_by.join("; ")),
            what.to_owned(),
        ));
    }
    Ok(TableIterator::new(rows))
}

/// Behind the view `lake.chunks`: the chunks of all series stores that the current user may see.
#[pg_extern(schema = "_lake")]
#[allow(clippy::type_complexity)]
pub fn chunks() -> Result<
    TableIterator<
        'static,
        (
            name!(store, RegClass),
            name!(chunk, RegClass),
            name!(range_start, Option<TimestampWithTimeZone>),
            name!(range_end, Option<TimestampWithTimeZone>),
            name!(rows, Option<i64>),
            name!(bytes, i64),
            name!(state, String),
        ),
    >,
    ErrorReport,
> {
    let tables = spi::rows(
        "SELECT s.relid::pg_catalog.oid FROM _lake.store s \
         JOIN pg_catalog.pg_class c ON c.oid = s.relid \
         WHERE s.kind = 'series' AND pg_catalog.pg_has_role(c.relowner, 'USAGE') ORDER BY s.relid::pg_catalog.oid",
        &[],
        |row| spi::need::<pg_sys::Oid>(row, 1),
    )?;
    let now = time::from_pg(clock()?);
    let mut rows = Vec::new();
    for table in tables {
        let store = Store::find(RegClass(table), StoreKind::Series)?;
        let backend = Backend::of(&store)?;
        if backend == Backend::Hypertable && crate::engines::find("timescaledb")?.is_none() {
            continue;
        }
        for chunk in backend.chunks(&store.relation)? {
            rows.push((
                RegClass(table),
                RegClass(chunk.relation.oid),
                chunk.start.map(time::to_pg).transpose()?,
                chunk.end.map(time::to_pg).transpose()?,
                chunk.rows,
                chunk.bytes,
                retention::state(&chunk, now).to_owned(),
            ));
        }
    }
    Ok(TableIterator::new(rows))
}

#[pg_extern(schema = "lake", stable, parallel_safe)]
pub fn bucket(
    width: Option<Interval>,
    ts: Option<TimestampWithTimeZone>,
    timezone: default!(Option<&str>, "NULL"),
    origin: default!(Option<TimestampWithTimeZone>, "NULL"),
) -> SqlResult<Option<TimestampWithTimeZone>> {
    let (Some(width), Some(ts)) = (width, ts) else { return Ok(None) };
    Ok(Some(zone::bucket(&width, ts, timezone, origin)?))
}
