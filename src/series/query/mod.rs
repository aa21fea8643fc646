//! Reading a metric store: raw points, buckets, the last value of each series.

mod aggregate;
mod fill;
mod latest;

pub use aggregate::Aggregate;
pub use latest::latest;

use crate::catalog::Store;
use crate::error::{Error, Result};
use crate::jsonb::JsonbCopy;
use crate::series::zone::{self, Zone};
use crate::series::{resolve, time};
use crate::spi;
use lake_chunks::Micros;
use lake_chunks::bucket::{Buckets, Width};
use pgrx::datum::{DatumWithOid, Interval, TimestampWithTimeZone};
use pgrx::{JsonB, PgSqlErrorCode};
use serde_json::Value;

/// What is asked. Times are half-open: from `from` up to, not including, `to`.
pub struct Query<'a> {
    pub metric: &'a str,
    pub tags: Value,
    pub from: Option<TimestampWithTimeZone>,
    pub to: Option<TimestampWithTimeZone>,
    pub bucket: Option<Interval>,
    pub agg: &'a str,
    pub fill: Option<&'a str>,
}

/// One row of the answer; `series` is a position in [`Answer::series`].
pub struct Row {
    pub ts: Micros,
    pub series: usize,
    pub value: Option<f64>,
}

pub struct Answer {
    /// Ids and tags, by id.
    pub series: Vec<(i64, JsonbCopy)>,
    /// By series, then time.
    pub rows: Vec<Row>,
}

pub fn query(store: &Store, query: &Query<'_>) -> Result<Answer> {
    let series = find_series(store, query.metric, &query.tags)?;
    read(store, query, series, None)
}

/// What is asked, of these series. 54000 for more than `most` rows.
pub fn read(
    store: &Store,
    query: &Query<'_>,
    series: Vec<(i64, JsonbCopy)>,
    most: Option<usize>,
) -> Result<Answer> {
    let agg = Aggregate::parse(query.agg)?;
    let fill = query.fill.map(fill::parse).transpose()?;
    check(query, agg, fill.is_some())?;
    let buckets = query
        .bucket
        .as_ref()
        .map(|width| zone::buckets(width, Zone::session(), None))
        .transpose()?;
    let ids: Vec<i64> = series.iter().map(|(id, _)| *id).collect();
    if ids.is_empty() {
        return Ok(Answer { series, rows: Vec::new() });
    }
    let mut args: Vec<DatumWithOid<'_>> = vec![ids.clone().into()];
    args.extend(query.from.map(DatumWithOid::from));
    args.extend(query.to.map(DatumWithOid::from));
    args.extend(query.bucket.map(DatumWithOid::from));
    let origin = buckets.as_ref().and_then(|buckets| even(query, buckets)).map(time::to_pg);
    let origin = origin.transpose()?;
    args.extend(origin.map(DatumWithOid::from));
    let mut sql = statement(store, query, agg, origin.is_some());
    if let Some(most) = most {
        sql.push_str(&format!(" LIMIT {}", most + 1));
    }
    let position = |id: i64| {
        ids.binary_search(&id).map_err(|_| Error::internal(format!("unexpected series {id}")))
    };
    // Not kept: how many series and which times decide which plan is good.
    let rows = spi::rows_of_scan(&sql, &args, |row| {
        Ok(Row {
            ts: time::from_pg(spi::need(row, 1)?),
            series: position(spi::need(row, 2)?)?,
            value: spi::get(row, 3)?,
        })
    })?;
    if let Some(most) = most.filter(|most| rows.len() > *most) {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
            format!("there are more than {most} points"),
        )
        .hint("Give a bucket, such as '5 minutes', a shorter range, or fewer series."));
    }
    let rows = match (fill, buckets) {
        (Some(fill), Some(buckets)) => fill::gaps(rows, fill, query, &buckets)?,
        _ => rows,
    };
    Ok(Answer { series, rows })
}

/// 22023 for what doesn't go together.
fn check(query: &Query<'_>, agg: Aggregate, fills: bool) -> Result<()> {
    for (name, ts) in [("from_ts", query.from), ("to_ts", query.to)] {
        if ts.is_some_and(|ts| !time::is_finite(time::from_pg(ts))) {
            return Err(Error::invalid_parameter(format!("{name} can't be infinite"))
                .hint("Leave it out, or null, for no limit."));
        }
    }
    if query.bucket.is_none() && agg != Aggregate::Avg {
        return Err(Error::invalid_parameter(format!("agg => '{}' needs a bucket", query.agg))
            .hint("Without one, the points are taken as they are."));
    }
    if query.bucket.is_none() && fills {
        return Err(Error::invalid_parameter("fill needs a bucket"));
    }
    Ok(())
}

/// The first bucket, where all of the range have the same length: then `date_bin` counts them from there,
/// which is quicker than [`zone::bucket`] and gives the same.
fn even(query: &Query<'_>, buckets: &Buckets<impl Fn(Micros) -> Micros>) -> Option<Micros> {
    let Width::Clock(width) = buckets.width() else { return None };
    let from = time::from_pg(query.from?);
    let to = query.to.map_or(lake_chunks::END_INSTANT, time::from_pg);
    let first = buckets.start(from);
    // What lies between is a number that `date_bin` can hold, and the origin a timestamp.
    to.checked_sub(first)?;
    (first >= lake_chunks::MIN_INSTANT && Zone::session().keeps_step(width, first, to))
        .then_some(first)
}

/// The statement that reads the points: `$1` ids of series, then those of from, to and bucket that
/// are given, then where buckets are `even`ly long the first of them. Times are compared with
/// parameters, so chunks outside the range are left out when it is planned.
pub fn statement(store: &Store, query: &Query<'_>, agg: Aggregate, even: bool) -> String {
    let table = &store.relation;
    let mut condition = String::from("series_id = ANY ($1)");
    let mut next = 2;
    for (bound, operator) in [(query.from.is_some(), ">="), (query.to.is_some(), "<")] {
        if bound {
            condition.push_str(&format!(" AND ts OPERATOR(pg_catalog.{operator}) ${next}"));
            next += 1;
        }
    }
    if query.bucket.is_none() {
        return format!("SELECT ts, series_id, value FROM {table} WHERE {condition} ORDER BY 2, 1");
    }
    let source = match agg {
        // From one sample to the next, also across buckets, so that buckets add up. After a reset a
        // counter has gone from 0 to its value.
        Aggregate::Rate | Aggregate::Increase => format!(
            "(SELECT s.ts, s.series_id, \
                     CASE WHEN s.value >= s.before THEN s.value - s.before \
                          WHEN s.before IS NOT NULL THEN s.value END AS step, \
                     extract(epoch FROM s.ts - s.ts_before)::pg_catalog.float8 AS seconds \
              FROM (SELECT ts, series_id, value, pg_catalog.lag(value) OVER w AS before, \
                           pg_catalog.lag(ts) OVER w AS ts_before \
                    FROM {table} WHERE {condition} \
                    WINDOW w AS (PARTITION BY series_id ORDER BY ts)) s)"
        ),
        _ => format!("(SELECT ts, series_id, value FROM {table} WHERE {condition})"),
    };
    let bucket = if even {
        format!("pg_catalog.date_bin(${next}, p.ts, ${})", next + 1)
    } else {
        format!("lake.bucket(${next}, p.ts)")
    };
    format!(
        "SELECT {bucket}, p.series_id, {} FROM {source} p GROUP BY 1, 2 ORDER BY 2, 1",
        agg.sql()
    )
}

/// Ids and tags of the metric's series whose tags contain these, by id.
pub fn find_series(store: &Store, metric: &str, tags: &Value) -> Result<Vec<(i64, JsonbCopy)>> {
    let table = resolve::series_table(store)?;
    spi::cached_rows(
        &format!(
            "SELECT series_id, tags FROM {table} \
             WHERE metric = $1 AND tags OPERATOR(pg_catalog.@>) $2 ORDER BY series_id"
        ),
        &[metric.into(), JsonB(checked_tags(tags)?.clone()).into()],
        |row| Ok((spi::need(row, 1)?, spi::need(row, 2)?)),
    )
}

/// 22023 for a filter on tags that isn't an object.
pub fn checked_tags(tags: &Value) -> Result<&Value> {
    if tags.is_object() {
        return Ok(tags);
    }
    Err(Error::invalid_parameter(format!("tags must be a JSON object, not {tags}")).hint(
        "'{\"host\": \"a\"}' selects the series that have this tag, whatever else they have.",
    ))
}
