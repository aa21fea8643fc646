//! Reading a metric store: raw points, buckets, the last value of each series.

use crate::catalog::Store;
use crate::error::{Error, Result};
use crate::series::zone::{self, Zone};
use crate::series::{resolve, time};
use crate::spi;
use lake_chunks::Micros;
use lake_chunks::gapfill::{self, Fill};
use pgrx::datum::{DatumWithOid, Interval, TimestampWithTimeZone};
use pgrx::{JsonB, PgSqlErrorCode};
use serde_json::Value;

/// The most rows that filling gaps may make: more is a bucket far too narrow for the range.
const MAX_FILLED_ROWS: usize = 10_000_000;

/// What the values of a bucket become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    Avg,
    Min,
    Max,
    Sum,
    Count,
    First,
    Last,
    Rate,
    Increase,
    P50,
    P95,
    P99,
}

impl Aggregate {
    pub fn parse(text: &str) -> Result<Self> {
        Ok(match text {
            "avg" => Aggregate::Avg,
            "min" => Aggregate::Min,
            "max" => Aggregate::Max,
            "sum" => Aggregate::Sum,
            "count" => Aggregate::Count,
            "first" => Aggregate::First,
            "last" => Aggregate::Last,
            "rate" => Aggregate::Rate,
            "increase" => Aggregate::Increase,
            "p50" => Aggregate::P50,
            "p95" => Aggregate::P95,
            "p99" => Aggregate::P99,
            other => {
                return Err(Error::invalid_parameter(format!("agg can't be \"{other}\"")).hint(
                    "It is avg, min, max, sum, count, first, last, rate, increase, p50, p95 or p99.",
                ));
            }
        })
    }

    /// The expression over rows `p`.
    const fn sql(self) -> &'static str {
        match self {
            Aggregate::Avg => "pg_catalog.avg(p.value)",
            Aggregate::Min => "pg_catalog.min(p.value)",
            Aggregate::Max => "pg_catalog.max(p.value)",
            Aggregate::Sum => "pg_catalog.sum(p.value)",
            Aggregate::Count => "pg_catalog.count(*)::pg_catalog.float8",
            Aggregate::First => "lake.first(p.value, p.ts)",
            Aggregate::Last => "lake.last(p.value, p.ts)",
            Aggregate::Rate => "pg_catalog.sum(p.step) / NULLIF(pg_catalog.sum(p.seconds), 0)",
            Aggregate::Increase => "pg_catalog.sum(p.step)",
            Aggregate::P50 => "pg_catalog.percentile_cont(0.5) WITHIN GROUP (ORDER BY p.value)",
            Aggregate::P95 => "pg_catalog.percentile_cont(0.95) WITHIN GROUP (ORDER BY p.value)",
            Aggregate::P99 => "pg_catalog.percentile_cont(0.99) WITHIN GROUP (ORDER BY p.value)",
        }
    }
}

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
    pub series: Vec<(i64, Value)>,
    /// By series, then time.
    pub rows: Vec<Row>,
}

pub fn query(store: &Store, query: &Query<'_>) -> Result<Answer> {
    let agg = Aggregate::parse(query.agg)?;
    let fill = query.fill.map(parse_fill).transpose()?;
    for (name, ts) in [("from_ts", query.from), ("to_ts", query.to)] {
        if ts.is_some_and(|ts| !time::is_finite(time::from_pg(ts))) {
            return Err(Error::invalid_parameter(format!("{name} can't be infinite"))
                .hint("Leave it out, or null, for no limit."));
        }
    }
    if query.bucket.is_none() {
        if agg != Aggregate::Avg {
            return Err(Error::invalid_parameter(format!("agg => '{}' needs a bucket", query.agg))
                .hint("Without one, series_query returns the points as they are."));
        }
        if fill.is_some() {
            return Err(Error::invalid_parameter("fill needs a bucket"));
        }
    }
    let buckets = query
        .bucket
        .as_ref()
        .map(|width| zone::buckets(width, Zone::session(), None))
        .transpose()?;
    let series = find_series(store, query.metric, &query.tags)?;
    let ids: Vec<i64> = series.iter().map(|(id, _)| *id).collect();
    if ids.is_empty() {
        return Ok(Answer { series, rows: Vec::new() });
    }
    let mut args: Vec<DatumWithOid<'_>> = vec![ids.clone().into()];
    args.extend(query.from.map(DatumWithOid::from));
    args.extend(query.to.map(DatumWithOid::from));
    args.extend(query.bucket.map(DatumWithOid::from));
    let sql = statement(store, query, agg);
    let position = |id: i64| {
        ids.binary_search(&id).map_err(|_| Error::internal(format!("unexpected series {id}")))
    };
    // Not kept: how many series and which times decide which plan is good.
    let rows = spi::rows(&sql, &args, |row| {
        Ok(Row {
            ts: time::from_pg(spi::need(row, 1)?),
            series: position(spi::need(row, 2)?)?,
            value: spi::get(row, 3)?,
        })
    })?;
    let rows = match (fill, buckets) {
        (Some(fill), Some(buckets)) => fill_gaps(rows, fill, query, &buckets)?,
        _ => rows,
    };
    Ok(Answer { series, rows })
}

/// The statement that reads the points: `$1` ids of series, then those of from, to and bucket that
/// are given. Times are compared with parameters, so chunks outside the range are left out when it
/// is planned.
pub fn statement(store: &Store, query: &Query<'_>, agg: Aggregate) -> String {
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
    format!(
        "SELECT lake.bucket(${next}, p.ts), p.series_id, {} FROM {source} p GROUP BY 1, 2 ORDER BY 2, 1",
        agg.sql()
    )
}

fn parse_fill(text: &str) -> Result<Fill> {
    Fill::parse(text).ok_or_else(|| {
        Error::invalid_parameter(format!("fill can't be \"{text}\""))
            .hint("It is 'null', 'previous', 'linear', or a number in quotes such as '0'.")
    })
}

/// Ids and tags of the metric's series whose tags contain these, by id.
fn find_series(store: &Store, metric: &str, tags: &Value) -> Result<Vec<(i64, Value)>> {
    let table = resolve::series_table(store)?;
    spi::cached_rows(
        &format!(
            "SELECT series_id, tags FROM {table} \
             WHERE metric = $1 AND tags OPERATOR(pg_catalog.@>) $2 ORDER BY series_id"
        ),
        &[metric.into(), JsonB(checked_tags(tags)?.clone()).into()],
        |row| Ok((spi::need(row, 1)?, spi::need::<JsonB>(row, 2)?.0)),
    )
}

/// 22023 for a filter on tags that isn't an object.
fn checked_tags(tags: &Value) -> Result<&Value> {
    if tags.is_object() {
        return Ok(tags);
    }
    Err(Error::invalid_parameter(format!("tags must be a JSON object, not {tags}")).hint(
        "'{\"host\": \"a\"}' selects the series that have this tag, whatever else they have.",
    ))
}

/// Every bucket of the range for every series that has one: from `from` or the series' first bucket,
/// to `to` or its last.
fn fill_gaps(
    rows: Vec<Row>,
    fill: Fill,
    query: &Query<'_>,
    buckets: &lake_chunks::bucket::Buckets<impl Fn(Micros) -> Micros>,
) -> Result<Vec<Row>> {
    let mut out = Vec::with_capacity(rows.len());
    for of_series in rows.chunk_by(|a, b| a.series == b.series) {
        let (Some(first), Some(last)) = (of_series.first(), of_series.last()) else { continue };
        let start = query.from.map_or(first.ts, |from| buckets.start(time::from_pg(from)));
        let end = query.to.map_or(last.ts + 1, time::from_pg);
        let mut all = Vec::new();
        let mut at = start;
        while at < end {
            pgrx::check_for_interrupts!();
            all.push(at);
            at = buckets.next(at);
            if out.len() + all.len() > MAX_FILLED_ROWS {
                return Err(Error::new(
                    PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                    format!("filling the gaps makes more than {MAX_FILLED_ROWS} rows"),
                )
                .hint("Take a wider bucket, a shorter range, or fewer series."));
            }
        }
        let present: Vec<_> = of_series.iter().map(|row| (row.ts, row.value)).collect();
        let series = first.series;
        out.extend(gapfill::fill(&present, &all, fill).into_iter().map(|(ts, value)| Row {
            ts,
            series,
            value,
        }));
    }
    Ok(out)
}

/// A series and its last point.
pub struct Latest {
    pub series_id: i64,
    pub metric: String,
    pub tags: Value,
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
                tags: spi::need::<JsonB>(row, 3)?.0,
                ts: spi::need(row, 4)?,
                value: spi::need(row, 5)?,
            })
        },
    )
}
