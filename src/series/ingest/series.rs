//! Which series the points belong to: known ones, and new ones as far as the limits allow.

use crate::catalog::Store;
use crate::error::Result;
use crate::names::Relation;
use crate::series::points::{Batch, Fault, Point, brief};
use crate::series::{ids, metric, options, resolve};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};

/// The id of each series of the batch that has a point left. Points of series beyond a limit become
/// faults, and their series have none.
pub fn ids_of(
    store: &Store,
    batch: &Batch<'_>,
    points: &mut Vec<Point>,
    faults: &mut Vec<(u32, Fault)>,
) -> Result<Vec<Option<i64>>> {
    let table = resolve::series_table(store)?;
    let mut ids: Vec<Option<i64>> = vec![None; batch.series.len()];
    let mut used = vec![false; ids.len()];
    for point in points.iter() {
        used[point.series as usize] = true;
    }
    let get = |positions: &[usize]| positions.iter().map(|i| &batch.series[*i]).collect::<Vec<_>>();
    let mut set = |positions: &[usize], found: Vec<(usize, i64)>| {
        for (position, id) in found {
            ids[positions[position]] = Some(id);
        }
        positions.iter().copied().filter(|i| ids[*i].is_none()).collect::<Vec<_>>()
    };
    let (seen, mut unknown): (Vec<usize>, Vec<usize>) =
        (0..used.len()).filter(|i| used[*i]).partition(|i| batch.series[*i].seen.is_some());
    unknown.extend(set(&seen, ids::still_there(&table, &get(&seen))?));
    let mut new = set(&unknown, resolve::known(&table, &get(&unknown))?);
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
    set(&new, resolve::make(&table, &get(&new))?);
    Ok(ids)
}

/// Which of the new series are one too many for their metric or for the store.
fn beyond_limits(
    store: &Store,
    batch: &Batch<'_>,
    table: &Relation,
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
    // A series that was sent in several spellings is one.
    let mut allowed: HashSet<(&str, String)> = HashSet::new();
    for &position in new {
        let series = &batch.series[position];
        let metric = &series.metric;
        let spelling = (metric.as_str(), Value::Object(series.tags().clone()).to_string());
        if allowed.contains(&spelling) {
            continue;
        }
        let limit = rules.get(metric).and_then(|rules| rules.max_series);
        let count = counts.entry(metric.clone()).or_default();
        let message = if let Some(limit) = limit.filter(|limit| *count >= *limit) {
            format!("metric {} has {limit} series, the most allowed", brief(&json!(metric)))
        } else if let Some(limit) = of_store.filter(|limit| total >= *limit) {
            format!("{} has {limit} series, the most allowed", store.relation)
        } else {
            *count += 1;
            total += 1;
            allowed.insert(spelling);
            continue;
        };
        beyond.insert(position, Fault::new("too_many_series", "/tags", message));
    }
    Ok(beyond)
}
