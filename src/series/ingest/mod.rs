//! From points to rows: rules, series, chunks, then one statement for the whole batch.
//!
//! Locks are taken in one order by everybody: new series first, then the lock for making chunks,
//! then rows by `(series_id, ts)`; so calls of this function don't deadlock with each other.

use crate::catalog::Store;
use crate::catalog::reject::{self, OnError, Reject};
use crate::error::{Error, Result};
use crate::series::backend::Backend;
use crate::series::metric::{self, Rules};
use crate::series::points::{Batch, Fault, Point, Series, brief, escape_pointer, time_text};
use crate::series::{options, resolve, time};
use crate::spi;
use lake_chunks::Micros;
use pgrx::PgSqlErrorCode;
use pgrx::datum::TimestampWithTimeZone;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};

/// What happens to a point whose series has one at that time already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// The one that is there stays; of several in a batch the first counts.
    Ignore,
    /// It is replaced; of several in a batch the last counts.
    Replace,
    /// It is a fault, `duplicate`.
    Error,
}

impl OnConflict {
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "ignore" => Ok(OnConflict::Ignore),
            "replace" => Ok(OnConflict::Replace),
            "error" => Ok(OnConflict::Error),
            other => Err(Error::invalid_parameter(format!("on_conflict can't be \"{other}\""))
                .hint("It is 'ignore' (what is there stays), 'replace' or 'error'.")),
        }
    }
}

/// What came of a batch. The three add up to its size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ingested {
    /// Rows written: new ones, and replaced ones whose value changed.
    pub accepted: i64,
    /// Points that were there already, or several times in the batch.
    pub duplicate: i64,
    pub rejected: i64,
}

/// A point with the id of its series.
#[derive(Clone, Copy)]
struct Row {
    series_id: i64,
    point: Point,
}

pub fn ingest(
    store: &Store,
    batch: Batch<'_>,
    on_error: OnError,
    on_conflict: OnConflict,
) -> Result<Ingested> {
    let mut faults = batch.faults.clone();
    let mut points = obey_rules(store, &batch, &mut faults)?;
    raise_first(store, &batch, &faults, on_error)?;

    let ids = series_ids(store, &batch, &mut points, &mut faults)?;
    raise_first(store, &batch, &faults, on_error)?;

    let mut rows: Vec<Row> = points
        .iter()
        .filter_map(|point| {
            ids.get(&(point.series as usize)).map(|id| Row { series_id: *id, point: *point })
        })
        .collect();
    rows.sort_unstable_by_key(|row| (row.series_id, row.point.ts, row.point.ordinal));
    let mut duplicate = merge(&batch, &mut rows, on_conflict, &mut faults);
    raise_first(store, &batch, &faults, on_error)?;

    let mut accepted = 0;
    if !rows.is_empty() {
        let mut instants: Vec<Micros> = rows.iter().map(|row| row.point.ts).collect();
        instants.sort_unstable();
        instants.dedup();
        Backend::of(store)?.ensure_chunks(store, &instants)?;
        accepted = write(store, &batch, &rows, on_conflict, &mut faults)?;
        if on_conflict != OnConflict::Error {
            duplicate += rows.len() as i64 - accepted;
        }
        raise_first(store, &batch, &faults, on_error)?;
    }
    record(store, &batch, &mut faults)?;
    Ok(Ingested { accepted, duplicate, rejected: faults.len() as i64 })
}

/// The points that the store and the definitions of their metrics allow.
fn obey_rules(
    store: &Store,
    batch: &Batch<'_>,
    faults: &mut Vec<(u32, Fault)>,
) -> Result<Vec<Point>> {
    let metrics: HashSet<&str> = batch.series.iter().map(|s| s.metric.as_str()).collect();
    let rules = metric::rules(store, metrics.into_iter().map(str::to_owned).collect())?;
    let (earliest, latest) = metric::store_limits(store)?;
    let strict = options::strict(store);
    let none = Rules::default();
    let of_series: Vec<(&Rules, Option<Fault>)> = batch
        .series
        .iter()
        .map(|series| match rules.get(&series.metric) {
            Some(rules) => (rules, tag_fault(series, rules)),
            None if strict => (&none, Some(undefined(store, series))),
            None => (&none, None),
        })
        .collect();
    let mut good = Vec::with_capacity(batch.points.len());
    for point in &batch.points {
        let (rules, fault) = &of_series[point.series as usize];
        let fault = fault.clone().or_else(|| {
            // A metric's own limits stand instead of the store's.
            time_fault(point.ts, rules.earliest.or(earliest), rules.latest.or(latest))
                .or_else(|| value_fault(point.value, rules))
        });
        match fault {
            Some(fault) => faults.push((point.ordinal, fault)),
            None => good.push(*point),
        }
    }
    Ok(good)
}

fn undefined(store: &Store, series: &Series) -> Fault {
    Fault::new(
        "undefined_metric",
        "/metric",
        format!(
            "metric {} is not defined, and {} is strict",
            brief(&json!(series.metric)),
            store.relation
        ),
    )
}

fn tag_fault(series: &Series, rules: &Rules) -> Option<Fault> {
    let allowed = rules.tag_keys.as_ref()?;
    let key = series.tags.keys().find(|key| !allowed.contains(key))?;
    Some(Fault::new(
        "unknown_tag",
        &format!("/tags/{}", escape_pointer(key)),
        format!("metric {} has no tag {}", brief(&json!(series.metric)), brief(&json!(key))),
    ))
}

fn time_fault(ts: Micros, earliest: Option<Micros>, latest: Option<Micros>) -> Option<Fault> {
    if let Some(latest) = latest
        && ts > latest
    {
        let message =
            format!("ts {} is after {}, the latest allowed", time_text(ts), time_text(latest));
        return Some(Fault::new("too_far_in_future", "/ts", message));
    }
    if let Some(earliest) = earliest
        && ts < earliest
    {
        let message =
            format!("ts {} is before {}, the earliest allowed", time_text(ts), time_text(earliest));
        return Some(Fault::new("too_old", "/ts", message));
    }
    None
}

fn value_fault(value: f64, rules: &Rules) -> Option<Fault> {
    let (code, message) = if let Some(min) = rules.min_value
        && value < min
    {
        ("below_minimum", format!("value {value} is below {min}"))
    } else if let Some(max) = rules.max_value
        && value > max
    {
        ("above_maximum", format!("value {value} is above {max}"))
    } else if rules.counter && value < 0.0 {
        ("negative_counter", format!("value {value} of a counter is negative"))
    } else {
        return None;
    };
    Some(Fault::new(code, "/value", message))
}

/// The ids of all series that have a point left, by position in the batch. Points of series beyond a
/// limit become faults.
fn series_ids(
    store: &Store,
    batch: &Batch<'_>,
    points: &mut Vec<Point>,
    faults: &mut Vec<(u32, Fault)>,
) -> Result<HashMap<usize, i64>> {
    let table = resolve::series_table(store)?;
    let mut used = vec![false; batch.series.len()];
    for point in points.iter() {
        used[point.series as usize] = true;
    }
    let used: Vec<usize> = (0..used.len()).filter(|i| used[*i]).collect();
    let get = |positions: &[usize]| positions.iter().map(|i| &batch.series[*i]).collect::<Vec<_>>();
    let mut ids: HashMap<usize, i64> = resolve::known(&table, &get(&used))?
        .into_iter()
        .map(|(position, id)| (used[position], id))
        .collect();
    let mut new: Vec<usize> = used.into_iter().filter(|i| !ids.contains_key(i)).collect();
    if new.is_empty() {
        return Ok(ids);
    }
    let beyond = beyond_limits(store, batch, &table, &new)?;
    if !beyond.is_empty() {
        new.retain(|i| !beyond.contains_key(i));
        points.retain(|point| match beyond.get(&(point.series as usize)) {
            Some(fault) => {
                faults.push((point.ordinal, fault.clone()));
                false
            }
            None => true,
        });
    }
    let made = resolve::make(&table, &get(&new))?;
    ids.extend(made.into_iter().map(|(position, id)| (new[position], id)));
    Ok(ids)
}

/// Which of the new series are one too many for their metric or for the store.
fn beyond_limits(
    store: &Store,
    batch: &Batch<'_>,
    table: &crate::names::Relation,
    new: &[usize],
) -> Result<HashMap<usize, Fault>> {
    let metrics: HashSet<&str> = new.iter().map(|i| batch.series[*i].metric.as_str()).collect();
    let metrics: Vec<String> = metrics.into_iter().map(str::to_owned).collect();
    let mut rules = metric::rules(store, metrics)?;
    rules.retain(|_, rules| rules.max_series.is_some());
    let of_store = options::max_series(store);
    let mut beyond = HashMap::new();
    if rules.is_empty() && of_store.is_none() {
        return Ok(beyond);
    }
    let mut counts = resolve::count(table, rules.keys().cloned().collect())?;
    let mut total = if of_store.is_some() { resolve::count_all(table)? } else { 0 };
    for &position in new {
        let metric = &batch.series[position].metric;
        let limit = rules.get(metric).and_then(|rules| rules.max_series);
        let count = counts.entry(metric.clone()).or_default();
        let message = if let Some(limit) = limit.filter(|limit| *count >= *limit) {
            format!("metric {} has {limit} series, the most allowed", brief(&json!(metric)))
        } else if let Some(limit) = of_store.filter(|limit| total >= *limit) {
            format!("{} has {limit} series, the most allowed", store.relation)
        } else {
            *count += 1;
            total += 1;
            continue;
        };
        beyond.insert(position, Fault::new("too_many_series", "/tags", message));
    }
    Ok(beyond)
}

/// Leaves one row for each series and time; the number of those left out, which under
/// [`OnConflict::Error`] are faults instead. `rows` are sorted, within a time by ordinal.
fn merge(
    batch: &Batch<'_>,
    rows: &mut Vec<Row>,
    on_conflict: OnConflict,
    faults: &mut Vec<(u32, Fault)>,
) -> i64 {
    let before = rows.len();
    rows.dedup_by(|later, kept| {
        let same = later.series_id == kept.series_id && later.point.ts == kept.point.ts;
        if same {
            match on_conflict {
                OnConflict::Ignore => {}
                OnConflict::Replace => *kept = *later,
                OnConflict::Error => faults.push((
                    later.point.ordinal,
                    duplicate(
                        batch,
                        later,
                        &format!(
                            "comes again, after {} {}",
                            batch.noun(),
                            batch.place(kept.point.ordinal)
                        ),
                    ),
                )),
            }
        }
        same
    });
    if on_conflict == OnConflict::Error { 0 } else { (before - rows.len()) as i64 }
}

fn duplicate(batch: &Batch<'_>, row: &Row, what: &str) -> Fault {
    let series = &batch.series[row.point.series as usize];
    Fault::new(
        "duplicate",
        "/ts",
        format!("{} at {} {what}", series_text(series), time_text(row.point.ts)),
    )
}

fn series_text(series: &Series) -> String {
    format!("{} {}", series.metric, brief(&Value::Object(series.tags.clone())))
}

/// Writes all rows in one statement and returns how many were written.
fn write(
    store: &Store,
    batch: &Batch<'_>,
    rows: &[Row],
    on_conflict: OnConflict,
    faults: &mut Vec<(u32, Fault)>,
) -> Result<i64> {
    let table = &store.relation;
    let times: Vec<TimestampWithTimeZone> =
        rows.iter().map(|row| time::to_pg(row.point.ts)).collect::<Result<_>>()?;
    let series: Vec<i64> = rows.iter().map(|row| row.series_id).collect();
    let values: Vec<f64> = rows.iter().map(|row| row.point.value).collect();
    let insert = format!(
        "INSERT INTO {table} AS t (ts, series_id, value) \
         SELECT u.ts, u.series_id, u.value \
         FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.timestamptz[]), \
                         pg_catalog.unnest($2::pg_catalog.int8[]), \
                         pg_catalog.unnest($3::pg_catalog.float8[])) AS u(ts, series_id, value) "
    );
    let args = [times.into(), series.into(), values.into()];
    match on_conflict {
        OnConflict::Ignore => {
            let sql = format!("{insert} ON CONFLICT (series_id, ts) DO NOTHING");
            Ok(spi::cached_execute(&sql, &args)? as i64)
        }
        OnConflict::Replace => {
            let sql = format!(
                "{insert} ON CONFLICT (series_id, ts) DO UPDATE SET value = excluded.value \
                 WHERE t.value OPERATOR(pg_catalog.<>) excluded.value"
            );
            Ok(spi::cached_execute(&sql, &args)? as i64)
        }
        OnConflict::Error => {
            let sql =
                format!("{insert} ON CONFLICT (series_id, ts) DO NOTHING RETURNING series_id, ts");
            let written: HashSet<(i64, Micros)> = spi::cached_rows(&sql, &args, |row| {
                Ok((spi::need(row, 1)?, time::from_pg(spi::need(row, 2)?)))
            })?
            .into_iter()
            .collect();
            for row in rows {
                if !written.contains(&(row.series_id, row.point.ts)) {
                    faults.push((
                        row.point.ordinal,
                        duplicate(batch, row, "is in the store already"),
                    ));
                }
            }
            Ok(written.len() as i64)
        }
    }
}

/// Under [`OnError::Raise`], the fault of the first bad point as an error.
fn raise_first(
    store: &Store,
    batch: &Batch<'_>,
    faults: &[(u32, Fault)],
    on_error: OnError,
) -> Result<()> {
    if on_error == OnError::Reject {
        return Ok(());
    }
    let Some((ordinal, fault)) = faults.iter().min_by_key(|(ordinal, _)| *ordinal) else {
        return Ok(());
    };
    let code = match fault.code {
        "duplicate" => PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION,
        "undefined_metric" => PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
        "null_ts" | "null_metric" | "null_tags" | "null_value" => {
            PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED
        }
        "too_many_series" => PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
        "not_an_object" | "unknown_field" | "bad_timestamp" | "bad_metric" | "bad_value"
        | "tags_not_object" | "tag_not_text" | "text_field" => {
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE
        }
        "bad_line" => PgSqlErrorCode::ERRCODE_INVALID_TEXT_REPRESENTATION,
        _ => PgSqlErrorCode::ERRCODE_DATA_EXCEPTION,
    };
    let others = match faults.len() - 1 {
        0 => String::new(),
        1 => " One more point of the batch is bad.".to_owned(),
        n => format!(" {n} more points of the batch are bad."),
    };
    Err(Error::new(
        code,
        format!(
            "{}, {} {}: {}",
            store.relation,
            batch.noun(),
            batch.place(*ordinal),
            fault.message
        ),
    )
    .detail(format!("The point is {}.{others}", batch.payload(*ordinal)))
    .hint(hint(fault.code, store)))
}

fn hint(code: &str, store: &Store) -> String {
    let table = &store.relation;
    match code {
        "too_far_in_future" | "too_old" => {
            let option = if code == "too_old" { "max_past" } else { "max_future" };
            format!(
                "The limit is the option {option} of the store (lake.series_set_options) or of the metric \
                 (lake.series_define_metric)."
            )
        }
        "undefined_metric" => format!(
            "SELECT lake.series_define_metric('{table}', …), or set the option strict to false."
        ),
        "text_field" => "With text_fields => 'skip' fields of text are passed over.".into(),
        "duplicate" => "With on_conflict => 'ignore' or 'replace' it is no fault.".into(),
        _ => "With on_error => 'reject' good points are written and bad ones go to lake.rejects."
            .into(),
    }
}

fn record(store: &Store, batch: &Batch<'_>, faults: &mut [(u32, Fault)]) -> Result<()> {
    faults.sort_by_key(|(ordinal, _)| *ordinal);
    let rejects: Vec<Reject> = faults
        .iter()
        .map(|(ordinal, fault)| {
            let payload = batch.payload(*ordinal);
            Reject {
                ordinal: i64::from(batch.place(*ordinal)),
                id: row_id(&payload),
                code: fault.code.to_owned(),
                message: fault.message.clone(),
                pointer: fault.pointer.clone(),
                payload: payload.to_string(),
            }
        })
        .collect();
    reject::record(store, &rejects)?;
    Ok(())
}

/// What names a point: its metric, tags and time, as far as they are there.
fn row_id(payload: &Value) -> Option<String> {
    let metric = payload.get("metric")?.as_str()?;
    let tags = payload.get("tags").map_or_else(|| "{}".to_owned(), brief);
    let ts = payload.get("ts").map_or_else(String::new, |ts| {
        format!(" at {}", ts.as_str().map_or_else(|| brief(ts), str::to_owned))
    });
    // A NUL can't go into a text column.
    Some(format!("{metric} {tags}{ts}").replace('\0', "\u{fffd}"))
}
