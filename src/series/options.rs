//! What a series store allows and how it is kept: the typed view of its `options`.

use crate::catalog::{Store, StoreKind};
use crate::error::{Error, Result};
use crate::regclass::RegClass;
use crate::series::interval;
use crate::series::points::Checks;
use crate::spi;
use pgrx::datum::Interval;
use serde_json::{Map, Value, json};

/// Points further in the future than this have a broken clock behind them.
const MAX_FUTURE: &str = "1 day";
/// Points older than this are mostly times that were never set: 1970, or seconds read as
/// microseconds. Decades of history still load.
const MAX_PAST: &str = "50 years";
const CHUNKS_AHEAD: u32 = 3;

/// Options that a user may set, each with a value of its type or null.
const KNOWN: [&str; 7] = [
    "max_future",
    "max_past",
    "max_series",
    "strict",
    "allow_non_finite",
    "chunks_ahead",
    interval::TARGET,
];

/// The options of a new store: the defaults, overlaid with what the caller gave.
pub fn checked(given: Option<&Value>) -> Result<Map<String, Value>> {
    let mut options = Map::new();
    options.insert("max_future".into(), json!(MAX_FUTURE));
    options.insert("max_past".into(), json!(MAX_PAST));
    options.insert("max_series".into(), Value::Null);
    options.insert("strict".into(), json!(false));
    options.insert("allow_non_finite".into(), json!(false));
    options.insert("chunks_ahead".into(), json!(CHUNKS_AHEAD));
    overlay(&mut options, given)?;
    Ok(options)
}

/// Sets the given options. 22023 for one that isn't known or has a wrong value.
pub fn overlay(options: &mut Map<String, Value>, given: Option<&Value>) -> Result<()> {
    let given = match given {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Object(given)) => given,
        Some(other) => {
            return Err(Error::invalid_parameter(format!(
                "options must be a JSON object, not {other}"
            )));
        }
    };
    for (key, value) in given {
        let fits = match key.as_str() {
            "max_future" | "max_past" => match value {
                Value::Null => true,
                Value::String(text) => positive_interval(key, text)?,
                _ => false,
            },
            "max_series" => value.is_null() || value.as_i64().is_some_and(|n| n > 0),
            "strict" | "allow_non_finite" => value.is_boolean(),
            "chunks_ahead" => value.as_u64().is_some_and(|n| n <= 1_000),
            interval::TARGET => value.is_null() || value.as_i64().is_some_and(interval::is_target),
            _ => {
                return Err(Error::invalid_parameter(format!("unknown option \"{key}\""))
                    .hint(format!("The options of a series store are: {}.", KNOWN.join(", "))));
            }
        };
        if !fits {
            return Err(Error::invalid_parameter(format!("option \"{key}\" can't be {value}"))
                .hint(match key.as_str() {
                    "max_future" | "max_past" => {
                        "It is an interval such as \"1 day\", or null for no limit."
                    }
                    "max_series" => "It is a positive number, or null for no limit.",
                    "strict" | "allow_non_finite" => "It is true or false.",
                    interval::TARGET => {
                        "It is one megabyte (1048576) or more, or null for a fixed chunk_interval."
                    }
                    _ => "It is a number from 0 to 1000.",
                }));
        }
        options.insert(key.clone(), value.clone());
    }
    Ok(())
}

fn positive_interval(key: &str, text: &str) -> Result<bool> {
    interval_of(&format!("option \"{key}\""), text).map(|i| i.as_micros() > 0)
}

/// An interval from its text. 22007 for what isn't one.
pub fn interval_of(what: &str, text: &str) -> Result<Interval> {
    // Checked by Postgres itself, whose error names the text; `what` is for the null that can't be.
    spi::cached_one("SELECT $1::pg_catalog.interval", &[text.into()])?
        .ok_or_else(|| Error::null_value(format!("{what} must not be null")))
}

/// The interval as Postgres writes it, whatever the session's IntervalStyle.
pub fn interval_text(interval: Interval) -> Result<String> {
    let style = spi::LocalSettings::new();
    style.set("IntervalStyle", "postgres");
    spi::cached_one("SELECT $1::pg_catalog.text", &[interval.into()])?
        .ok_or_else(|| Error::internal("interval without a text"))
}

/// The series store on a table.
pub fn find(table: RegClass) -> Result<Store> {
    Store::find(table, StoreKind::Series)
}

/// As [`find`], for what only metric stores can do. 0A000 for an adopted table.
pub fn find_metric(table: RegClass, function: &str) -> Result<Store> {
    let store = find(table)?;
    if store.companion.is_some() {
        return Ok(store);
    }
    Err(Error::unsupported(format!(
        "{} is an adopted table: lake.{function} needs a store made by lake.series_create",
        store.relation
    ))
    .hint("Write to it and query it with SQL; lake.bucket, lake.first and lake.last help. Chunks and retention work on it."))
}

pub fn chunks_ahead(store: &Store) -> u32 {
    store
        .options
        .get("chunks_ahead")
        .and_then(Value::as_u64)
        .and_then(|n| u32::try_from(n).ok())
        .unwrap_or(CHUNKS_AHEAD)
}

pub fn strict(store: &Store) -> bool {
    store.options.get("strict").and_then(Value::as_bool).unwrap_or(false)
}

/// What the store leaves open of a value.
pub fn checks(store: &Store) -> Checks {
    let allowed = store.options.get("allow_non_finite").and_then(Value::as_bool);
    Checks { non_finite: allowed.unwrap_or(false) }
}

pub fn max_series(store: &Store) -> Option<i64> {
    store.options.get("max_series").and_then(Value::as_i64)
}

/// The width of chunks that this extension makes; `None` on a table whose chunks others make.
pub fn chunk_width(store: &Store) -> Result<Option<lake_chunks::range::Width>> {
    store
        .option_str("chunk_interval")
        .map(|text| width_of(&interval_of("chunk_interval", text)?))
        .transpose()
}

/// 22023 for an interval that can't be the width of chunks.
pub fn width_of(interval: &Interval) -> Result<lake_chunks::range::Width> {
    lake_chunks::range::Width::new(interval.months(), interval.days(), interval.micros()).map_err(
        |error| {
            Error::invalid_parameter(format!("chunk_interval: {error}"))
                .hint("Use hours, days or weeks: '12 hours', '1 day', '7 days', '30 days'.")
        },
    )
}

#[cfg(any(test, feature = "pg_test"))]
pub fn known() -> &'static [&'static str] {
    &KNOWN
}
