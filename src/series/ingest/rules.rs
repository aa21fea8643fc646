//! What the store and the definitions of its metrics ask of a point.

use crate::catalog::Store;
use crate::error::Result;
use crate::series::metric::{self, Rules};
use crate::series::options;
use crate::series::points::{Batch, Fault, Point, Series, brief, escape_pointer, time_text};
use lake_chunks::Micros;
use serde_json::json;
use std::collections::HashSet;

/// The points that the store and the definitions of their metrics allow.
pub fn obey(
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

fn undefined(store: &Store, series: &Series<'_>) -> Fault {
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

fn tag_fault(series: &Series<'_>, rules: &Rules) -> Option<Fault> {
    let allowed = rules.tag_keys.as_ref()?;
    let key = series.tags().keys().find(|key| !allowed.contains(key))?;
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
    let bounded = rules.min_value.is_some() || rules.max_value.is_some() || rules.counter;
    let (code, message) = if value.is_nan() && bounded {
        // Neither below nor above anything, and no count.
        ("nan", "value is NaN, and the metric has a range or is a counter".to_owned())
    } else if let Some(min) = rules.min_value
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
