//! What is known of a metric: its unit and kind, and what its points must be like.

use crate::access;
use crate::catalog::Store;
use crate::error::{Error, Result};
use crate::series::time;
use crate::spi;
use lake_chunks::Micros;
use pgrx::datum::{Interval, TimestampWithTimeZone};
use std::collections::HashMap;

/// A metric as the caller defines it.
pub struct Definition<'a> {
    pub metric: &'a str,
    pub unit: Option<&'a str>,
    pub kind: &'a str,
    pub min_value: Option<f64>,
    pub max_value: Option<f64>,
    pub tag_keys: Option<Vec<Option<String>>>,
    pub max_future: Option<Interval>,
    pub max_past: Option<Interval>,
    pub max_series: Option<i64>,
}

/// Defines a metric, or redefines it as a whole. Points that are there already are not looked at.
pub fn define(store: &Store, definition: Definition<'_>) -> Result<()> {
    access::require_owner(&store.relation)?;
    let bad = |message: &str| {
        Error::invalid_parameter(format!("metric \"{}\": {message}", definition.metric))
    };
    if !matches!(definition.kind, "gauge" | "counter") {
        return Err(bad(&format!("kind can't be \"{}\"", definition.kind))
            .hint("It is 'gauge' (goes up and down) or 'counter' (goes up, begins anew at 0)."));
    }
    if definition.metric.is_empty() {
        return Err(Error::invalid_parameter("metric must not be empty"));
    }
    for (name, bound) in [("min_value", definition.min_value), ("max_value", definition.max_value)]
    {
        if bound.is_some_and(f64::is_nan) {
            return Err(bad(&format!("{name} can't be NaN")));
        }
    }
    if let (Some(min), Some(max)) = (definition.min_value, definition.max_value)
        && min > max
    {
        return Err(bad(&format!("min_value {min} is above max_value {max}")));
    }
    for (name, limit) in [("max_future", definition.max_future), ("max_past", definition.max_past)]
    {
        if limit.is_some_and(|i| i.as_micros() < 0) {
            return Err(bad(&format!("{name} can't be negative")));
        }
    }
    if definition.max_series.is_some_and(|n| n < 1) {
        return Err(bad("max_series must be at least 1"));
    }
    if definition.tag_keys.iter().flatten().any(Option::is_none) {
        return Err(Error::null_value(format!(
            "metric \"{}\": tag_keys has a null entry",
            definition.metric
        )));
    }
    let tag_keys: Option<Vec<String>> =
        definition.tag_keys.map(|keys| keys.into_iter().flatten().collect());
    access::as_extension_owner(|| {
        spi::execute(
            "INSERT INTO _lake.metric (relid, metric, unit, kind, min_value, max_value, tag_keys, \
                                       max_future, max_past, max_series) \
             VALUES ($1::pg_catalog.regclass, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (relid, metric) DO UPDATE SET unit = excluded.unit, kind = excluded.kind, \
                 min_value = excluded.min_value, max_value = excluded.max_value, \
                 tag_keys = excluded.tag_keys, max_future = excluded.max_future, \
                 max_past = excluded.max_past, max_series = excluded.max_series",
            &[
                store.oid().into(),
                definition.metric.into(),
                definition.unit.into(),
                definition.kind.into(),
                definition.min_value.into(),
                definition.max_value.into(),
                tag_keys.into(),
                definition.max_future.into(),
                definition.max_past.into(),
                definition.max_series.into(),
            ],
        )
    })??;
    Ok(())
}

/// The unit that a metric was defined with.
pub fn unit(store: &Store, metric: &str) -> Result<Option<String>> {
    spi::cached_one(
        "SELECT unit FROM _lake.metric WHERE relid = $1::pg_catalog.regclass AND metric = $2",
        &[store.oid().into(), metric.into()],
    )
}

/// What points of a defined metric are held to.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    pub counter: bool,
    pub min_value: Option<f64>,
    pub max_value: Option<f64>,
    pub tag_keys: Option<Vec<String>>,
    /// Where the metric has limits of its own, the first and the last instant allowed.
    pub earliest: Option<Micros>,
    pub latest: Option<Micros>,
    pub max_series: Option<i64>,
}

/// The rules of those of `metrics` that are defined.
pub fn rules(store: &Store, metrics: Vec<String>) -> Result<HashMap<String, Rules>> {
    let found = spi::cached_rows(
        "SELECT metric, kind = 'counter', min_value, max_value, tag_keys, \
                pg_catalog.clock_timestamp() - max_past, pg_catalog.clock_timestamp() + max_future, max_series \
         FROM _lake.metric WHERE relid = $1::pg_catalog.regclass AND metric = ANY ($2)",
        &[store.oid().into(), metrics.into()],
        |row| {
            let instant = |ts: Option<TimestampWithTimeZone>| ts.map(time::from_pg);
            Ok((
                spi::need::<String>(row, 1)?,
                Rules {
                    counter: spi::need(row, 2)?,
                    min_value: spi::get(row, 3)?,
                    max_value: spi::get(row, 4)?,
                    tag_keys: spi::get(row, 5)?,
                    earliest: instant(spi::get(row, 6)?),
                    latest: instant(spi::get(row, 7)?),
                    max_series: spi::get(row, 8)?,
                },
            ))
        },
    )?;
    Ok(found.into_iter().collect())
}

/// The instants that the store as a whole allows: earliest and latest, `None` for no limit.
pub fn store_limits(store: &Store) -> Result<(Option<Micros>, Option<Micros>)> {
    let text = |key: &str| store.option_str(key).map(str::to_owned);
    let found = spi::cached_rows(
        "SELECT pg_catalog.clock_timestamp() - $1::pg_catalog.interval, \
                pg_catalog.clock_timestamp() + $2::pg_catalog.interval",
        &[text("max_past").into(), text("max_future").into()],
        |row| {
            let instant = |ts: Option<TimestampWithTimeZone>| ts.map(time::from_pg);
            Ok((instant(spi::get(row, 1)?), instant(spi::get(row, 2)?)))
        },
    )?;
    found.into_iter().next().ok_or_else(|| Error::internal("no row from a constant query"))
}
