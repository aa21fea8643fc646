//! The SQL functions of time-series stores: they take arguments apart and hand them on. Those that write
//! points are in [`ingest_api`](super::ingest_api), those that read them in
//! [`query_api`](super::query_api).

use crate::catalog::{Store, StoreKind};
use crate::error::{Error, Result, SqlResult};
use crate::regclass::RegClass;
use crate::series::backend::{Backend, Compressed};
use crate::series::metric::{self, Definition};
use crate::series::{create, interval, options, retention, time};
use crate::spi;
use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::{JsonB, pg_sys};
use serde_json::{Value, json};

/// 22004 for an argument that was left null.
pub(super) fn need<T>(name: &str, value: Option<T>) -> Result<T> {
    value.ok_or_else(|| Error::null_value(format!("{name} must not be null")))
}

/// The object given as filter or tags; none means all.
pub(super) fn object(value: Option<JsonB>) -> Value {
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

/// A list of columns; 22004 where an entry is null.
pub(super) fn columns(
    name: &str,
    columns: Option<Vec<Option<String>>>,
) -> Result<Option<Vec<String>>> {
    match columns {
        Some(list) if list.iter().any(Option::is_none) => {
            Err(Error::null_value(format!("{name} has a null entry")))
        }
        list => Ok(list.map(|list| list.into_iter().flatten().collect())),
    }
}

#[pg_extern(schema = "lake")]
pub fn series_adopt(
    tbl: Option<RegClass>,
    time_column: Option<&str>,
    segment_by: default!(Option<Vec<Option<String>>>, "NULL"),
    order_by: default!(Option<Vec<Option<String>>>, "NULL"),
    options: default!(Option<JsonB>, "NULL"),
) -> SqlResult<RegClass> {
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
            name!(compressed_bytes, Option<i64>),
            name!(ratio, Option<f64>),
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
                chunk.compressed.map(|compressed| compressed.after),
                chunk.compressed.map(Compressed::ratio),
                retention::state(&chunk, now).to_owned(),
            ));
        }
    }
    Ok(TableIterator::new(rows))
}
