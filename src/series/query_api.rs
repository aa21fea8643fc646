//! The SQL functions that read points.

use super::api::{need, object};
use crate::error::{Result, SqlResult};
use crate::jsonb::JsonbCopy;
use crate::regclass::RegClass;
use crate::series::raw_json::SharedJson;
use crate::series::{options, query, time, zone};
use pgrx::JsonB;
use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

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
            name!(tags, JsonbCopy),
            name!(ts, TimestampWithTimeZone),
            name!(value, f64),
        ),
    >,
    ErrorReport,
> {
    let store = options::find_metric(need("store", store)?, "series_latest")?;
    let rows = query::latest(&store, metric, &object(tags))?;
    Ok(TableIterator::new(rows.into_iter().map(|r| (r.series_id, r.metric, r.tags, r.ts, r.value))))
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
