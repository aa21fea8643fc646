//! The SQL functions about recall.

use super::history;
use super::measure::{Task, Width};
use super::tune::{self, Target};
use crate::access;
use crate::jsonb::JsonbText;
use crate::regclass::RegClass;
use crate::vector::api::need;
use crate::vector::create::notice;
use crate::vector::sample;
use crate::vector::store::VectorStore;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

#[pg_extern(schema = "lake", volatile, parallel_unsafe)]
#[expect(clippy::type_complexity, reason = "the SQL signature")]
pub fn vector_measure_recall(
    store: Option<RegClass>,
    k: default!(Option<i32>, "10"),
    samples: default!(Option<i32>, "100"),
    filter: default!(Option<JsonbText>, "NULL"),
    ef_search: default!(Option<i32>, "NULL"),
) -> std::result::Result<
    TableIterator<
        'static,
        (
            name!(recall_mean, f64),
            name!(recall_p5, f64),
            name!(recall_worst, f64),
            name!(exact_ms, f64),
            name!(approximate_ms, f64),
            name!(samples, i32),
            name!(ef_search, Option<i32>),
            name!(index, String),
            name!(probes, Option<i32>),
        ),
    >,
    ErrorReport,
> {
    let vector = VectorStore::load(store)?;
    let k = need(k, "k")?;
    let (task, samples) = Task::new(&vector, k, need(samples, "samples")?, filter.as_ref())?;
    let width = ef_search.map_or(Width::Usual, Width::EfSearch);
    let measured = task.measure(&task.truths(samples)?, width)?;
    if access::is_owner(vector.relation())? {
        history::record(&vector, k, filter.as_ref(), &measured, sample::estimate(&vector)?)?;
    }
    Ok(TableIterator::once((
        measured.mean,
        measured.p5,
        measured.worst,
        measured.exact_ms,
        measured.approximate_ms,
        i32::try_from(measured.samples).unwrap_or(i32::MAX),
        measured.ef_search,
        measured.index,
        measured.probes,
    )))
}

#[pg_extern(schema = "lake", volatile, parallel_unsafe)]
#[expect(clippy::type_complexity, reason = "the SQL signature")]
pub fn vector_tune(
    store: Option<RegClass>,
    target: default!(Option<f64>, "0.95"),
    worst: default!(Option<f64>, "NULL"),
    k: default!(Option<i32>, "10"),
    samples: default!(Option<i32>, "100"),
) -> std::result::Result<
    TableIterator<
        'static,
        (
            name!(ef_search, Option<i32>),
            name!(reached, bool),
            name!(recall_mean, f64),
            name!(recall_worst, f64),
            name!(approximate_ms, f64),
            name!(probes, Option<i32>),
        ),
    >,
    ErrorReport,
> {
    let vector = VectorStore::load(store)?;
    let k = need(k, "k")?;
    let target = Target::new(need(target, "target")?, worst)?;
    let tuned = tune::tune(&vector, target, k, need(samples, "samples")?)?;
    let measured = tuned.measured;
    history::record(&vector, k, None, &measured, sample::estimate(&vector)?)?;
    if !tuned.reached {
        let (what, most) = match measured.probes {
            Some(lists) => ("probes reach", lists),
            None => ("ef_search reaches", measured.ef_search.unwrap_or(0)),
        };
        notice(
            format!(
                "no {what} the target: with {most} the mean is {:.3}, the worst {:.3}",
                measured.mean, measured.worst
            ),
            "A denser graph finds more: lake.vector_build_index(…, m => 32, ef_construction => 200, replace => true).",
        );
    }
    Ok(TableIterator::once((
        measured.ef_search,
        tuned.reached,
        measured.mean,
        measured.worst,
        measured.approximate_ms,
        measured.probes,
    )))
}
