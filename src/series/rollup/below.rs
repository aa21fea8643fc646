//! What a rollup can be made of, checked: the points of a store, or the rows of a narrower rollup.

use super::definition::{self, Rollup};
use super::parts;
use super::shape::{Points, Source};
use crate::catalog::Store;
use crate::error::{Error, Result};
use crate::names;
use crate::series::backend::Backend;
use crate::series::zone::{self, Zone};
use crate::spi;
use pgrx::PgSqlErrorCode;
use pgrx::datum::Interval;

/// Types whose values a `float8` holds, at least nearly.
const NUMBERS: [&str; 6] = ["float8", "float4", "int2", "int4", "int8", "numeric"];

/// Columns of the points, unquoted.
pub struct Columns {
    pub time: String,
    pub value: String,
    pub keys: Vec<String>,
}

impl Columns {
    pub fn source(&self, store: &Store) -> Source {
        Source::Points(Points {
            table: store.relation.clone(),
            time: names::ident(&self.time),
            value: names::ident(&self.value),
            keys: definition::quoted(&self.keys),
        })
    }
}

/// The columns that a rollup reads. Those of an adopted table are its time column, the one that the
/// caller names, and what it was said to be segmented by.
pub fn columns(store: &Store, value: Option<&str>) -> Result<Columns> {
    let table = &store.relation;
    let time = definition::time_column(store)?.to_owned();
    if store.companion.is_some() {
        if value.is_some_and(|value| value != "value") {
            return Err(Error::invalid_parameter(format!(
                "value_column is for adopted tables; the values of {table} are in \"value\""
            )));
        }
        return Ok(Columns { time, value: "value".into(), keys: vec!["series_id".into()] });
    }
    let value = value.ok_or_else(|| {
        Error::invalid_parameter(format!("{table} is an adopted table: a rollup needs to know its value_column"))
            .hint("Call it with value_column => '…', a column of numbers. Series are told apart by the segment_by of lake.series_adopt.")
    })?;
    let keys: Vec<String> = store
        .options
        .get("segment_by")
        .and_then(serde_json::Value::as_array)
        .map(|keys| keys.iter().filter_map(|key| key.as_str().map(str::to_owned)).collect())
        .unwrap_or_default();
    if type_of(store, &time)? != "timestamptz" {
        return Err(Error::unsupported(format!(
            "the time column \"{time}\" of {table} isn't a timestamptz, which buckets need"
        ))
        .hint(format!(
            "ALTER TABLE {table} ALTER {} TYPE timestamptz, where it isn't what the table is partitioned by.",
            names::ident(&time)
        )));
    }
    let kind = type_of(store, value)?;
    if !NUMBERS.contains(&kind.as_str()) {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_DATATYPE_MISMATCH,
            format!("column \"{value}\" of {table} is of type {kind}, not a number"),
        )
        .hint(format!("A rollup takes {}.", NUMBERS.join(", "))));
    }
    for key in &keys {
        type_of(store, key)?;
        if parts::is_taken(key) {
            return Err(Error::new(
                PgSqlErrorCode::ERRCODE_DUPLICATE_COLUMN,
                format!("column \"{key}\" of {table} has the name of a column of rollups"),
            )
            .hint("Rename it (ALTER TABLE … RENAME COLUMN), and adopt the table again."));
        }
    }
    Ok(Columns { time, value: value.to_owned(), keys })
}

/// The type of a column. 42703 where there is none of the name.
fn type_of(store: &Store, column: &str) -> Result<String> {
    let table = &store.relation;
    spi::one::<String>(
        "SELECT t.typname::text FROM pg_catalog.pg_attribute a \
         JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
         WHERE a.attrelid = $1 AND a.attname::text = $2 AND a.attnum > 0 AND NOT a.attisdropped",
        &[table.oid.into(), column.into()],
    )?
    .ok_or_else(|| {
        Error::new(
            PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
            format!("column \"{column}\" of {table} does not exist"),
        )
    })
}

/// 0A000 for a table that doesn't show all of its rows to everybody who writes and reads through rollups.
pub fn refuse_hidden_rows(store: &Store) -> Result<()> {
    let forced = spi::scalar::<bool>(
        "SELECT relrowsecurity AND relforcerowsecurity FROM pg_catalog.pg_class WHERE oid = $1",
        &[store.oid().into()],
    )?;
    if forced {
        return Err(Error::unsupported(format!(
            "{} forces row level security on its owner, who could not roll up every row",
            store.relation
        ))
        .hint(format!("ALTER TABLE {} NO FORCE ROW LEVEL SECURITY;", store.relation)));
    }
    Ok(())
}

/// 0A000 for a hypertable whose chunks don't have its columns one by one: what the triggers would see of
/// those is wrong (see `touched`), so that all would be computed anew after each statement.
pub fn refuse_dropped_columns(store: &Store) -> Result<()> {
    let dropped = Backend::of(store)? == Backend::Hypertable
        && spi::scalar::<bool>(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = $1 AND attisdropped)",
            &[store.oid().into()],
        )?;
    if dropped {
        return Err(Error::unsupported(format!(
            "a column of the hypertable {} was dropped: TimescaleDB doesn't tell triggers right what its new chunks get",
            store.relation
        ))
        .hint("Copy the points into a new hypertable and adopt that."));
    }
    Ok(())
}

/// Whether buckets can be put together from those of a rollup.
pub fn fits(
    lower: &Rollup,
    bucket: &Interval,
    timezone: &str,
    sketch: bool,
    value: Option<&str>,
) -> Result<()> {
    let view = &lower.view;
    if value.is_some() {
        return Err(Error::invalid_parameter(format!(
            "{view} is a rollup: it has no value_column"
        ))
        .hint("It goes on with the values that it was made of."));
    }
    if timezone != lower.timezone {
        return Err(Error::invalid_parameter(format!(
            "buckets in the zone \"{timezone}\" can't be made of those of {view}, in \"{}\"",
            lower.timezone
        ))
        .hint(format!("Call it with timezone => {}.", names::literal(&lower.timezone))));
    }
    let zone = Zone::named(timezone)?;
    let (wide, narrow) =
        (zone::buckets(bucket, zone, None)?, zone::buckets(&lower.shape.bucket, zone, None)?);
    if !wide.width().is_made_of(narrow.width()) {
        return Err(Error::invalid_parameter(format!(
            "a bucket of this width isn't made of whole buckets of {view}"
        ))
        .hint("Take a multiple of its width, of days if it is of days; months are made of months, of days and of what divides a day."));
    }
    if sketch && !lower.shape.sketch {
        return Err(Error::unsupported(format!("{view} keeps no percentile sketch")).hint(
            "Make it with 'percentile_sketch' among its aggregates, or this rollup of the points.",
        ));
    }
    Ok(())
}
