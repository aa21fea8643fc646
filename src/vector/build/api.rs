//! The SQL functions about building indexes.

use super::policy::{self, Policy};
use super::request::{self, Wish};
use super::step;
use crate::catalog::{Store, StoreKind};
use crate::error::SqlResult;
use crate::regclass::RegClass;
use crate::vector::api::need;
use crate::vector::store::VectorStore;
use crate::workers::clock::SystemClock;
use crate::workers::runner;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

#[pg_extern(schema = "lake", volatile, parallel_unsafe)]
#[expect(clippy::type_complexity, reason = "the SQL signature")]
pub fn vector_plan_index(
    store: Option<RegClass>,
    method: default!(Option<&str>, "'auto'"),
    quantization: default!(Option<&str>, "'auto'"),
    m: default!(Option<i32>, "NULL"),
    ef_construction: default!(Option<i32>, "NULL"),
    lists: default!(Option<i32>, "NULL"),
) -> std::result::Result<
    TableIterator<
        'static,
        (
            name!(method, &'static str),
            name!(quantization, &'static str),
            name!(reason, String),
            name!(estimated_rows, i64),
            name!(index_bytes, i64),
            name!(wanted_memory, i64),
            name!(granted_memory, i64),
            name!(fits, bool),
            name!(estimated_seconds, f64),
            name!(definition, String),
        ),
    >,
    ErrorReport,
> {
    let vector = VectorStore::load(store)?;
    let wish = Wish::parse(
        need(method, "method")?,
        need(quantization, "quantization")?,
        m,
        ef_construction,
        lists,
    )?;
    let plan = request::plan(&vector, &wish)?;
    #[expect(clippy::cast_possible_truncation, reason = "sizes")]
    let whole = |value: f64| value.round() as i64;
    let name = super::present::free_name(&vector, &plan.kind())?;
    Ok(TableIterator::once((
        plan.choice.method.as_str(),
        plan.choice.quantization.as_str(),
        plan.choice.reason.clone(),
        whole(plan.rows),
        whole(plan.index_bytes),
        whole(plan.wanted_bytes),
        i64::from(plan.memory_kb) * 1_024,
        plan.fits,
        (plan.seconds * 10.0).ceil() / 10.0,
        plan.definition.create(&vector, &name, !vector.partitioned),
    )))
}

#[pg_extern(schema = "lake", volatile, parallel_unsafe)]
#[expect(clippy::too_many_arguments, reason = "the SQL signature")]
pub fn vector_build_index(
    store: Option<RegClass>,
    method: default!(Option<&str>, "'auto'"),
    quantization: default!(Option<&str>, "'auto'"),
    m: default!(Option<i32>, "NULL"),
    ef_construction: default!(Option<i32>, "NULL"),
    lists: default!(Option<i32>, "NULL"),
    replace: default!(Option<bool>, "false"),
    concurrently: default!(Option<bool>, "true"),
) -> SqlResult<i64> {
    let vector = VectorStore::load(store)?;
    let wish = Wish::parse(
        need(method, "method")?,
        need(quantization, "quantization")?,
        m,
        ef_construction,
        lists,
    )?;
    let job_id = request::submit(&vector, &wish, need(replace, "replace")?)?;
    if need(concurrently, "concurrently")? {
        request::warn_without_worker(job_id)?;
    } else {
        runner::run_now(job_id, &SystemClock)?;
    }
    Ok(job_id)
}

#[pg_extern(schema = "lake", volatile, parallel_unsafe)]
pub fn vector_cancel_build(store: Option<RegClass>) -> SqlResult<bool> {
    let store = Store::find(need(store, "store")?, StoreKind::Vector)?;
    Ok(step::cancel(&store)?)
}

#[pg_extern(schema = "lake", volatile, parallel_unsafe)]
pub fn vector_set_index_policy(
    store: Option<RegClass>,
    auto: default!(Option<bool>, "true"),
    min_rows: default!(Option<i64>, "20000"),
    max_exact_ms: default!(Option<f64>, "100"),
    method: default!(Option<&str>, "'auto'"),
    quantization: default!(Option<&str>, "'auto'"),
) -> SqlResult<()> {
    let store = Store::find(need(store, "store")?, StoreKind::Vector)?;
    let wish = Wish::parse(
        need(method, "method")?,
        need(quantization, "quantization")?,
        None,
        None,
        None,
    )?;
    let policy = Policy {
        auto: need(auto, "auto")?,
        min_rows: need(min_rows, "min_rows")?,
        max_exact_ms: need(max_exact_ms, "max_exact_ms")?,
        wish,
    };
    policy::set(&store, &policy)?;
    Ok(())
}
