//! How many rows a store has, and how many of them satisfy a condition: guessed, not counted.

use super::store::VectorStore;
use crate::error::{Error, Result};
use crate::spi;
use pgrx::datum::DatumWithOid;
use pgrx::{IntoDatum, pg_sys};
use serde_json::Value;

/// Rows to look at where the planner has no grounds for an estimate.
const SAMPLE_ROWS: f64 = 1_000.0;

/// How many rows satisfy a condition.
pub struct Guess {
    pub rows: f64,
    /// An index finds them; else all rows are read.
    pub indexed: bool,
    /// Whether rows were looked at.
    pub sampled: bool,
}

/// About how many rows the table has, as the planner sees it.
pub fn size(vector: &VectorStore) -> Result<f64> {
    let (mut pages, mut tuples, mut visible) = (0, 0.0, 0.0);
    // SAFETY: opens the relation, or raises; the lock is that of a query that reads it, and is kept
    // until the transaction ends as that one would be. What is read belongs to the open relation.
    let parent = unsafe {
        let relation = pg_sys::relation_open(vector.store.oid(), pg_sys::AccessShareLock as i32);
        let parent = vector.partitioned || (*(*relation).rd_rel).relhassubclass;
        if !parent {
            pg_sys::estimate_rel_size(
                relation,
                std::ptr::null_mut(),
                &raw mut pages,
                &raw mut tuples,
                &raw mut visible,
            );
        }
        pg_sys::relation_close(relation, pg_sys::NoLock as i32);
        parent
    };
    if parent { Ok(planned(vector, "true", &[])?.rows) } else { Ok(tuples) }
}

/// How many of `total` rows satisfy the condition: by the planner where it knows the values (they
/// were analysed, and the condition is made of containment, which it tries on sampled values; or an
/// index on the expression has statistics of its own), else by looking at some rows.
pub fn matching(
    vector: &VectorStore,
    condition: &str,
    args: &[DatumWithOid<'_>],
    total: f64,
) -> Result<Guess> {
    let guess = planned(vector, condition, args)?;
    let grounds = analysed(vector) && (guess.indexed || !condition.contains("->"));
    if grounds {
        return Ok(guess);
    }
    let percent = (100.0 * SAMPLE_ROWS / total.max(1.0)).clamp(0.001, 100.0);
    let counted: i64 = spi::cached_one(
        &format!(
            "SELECT pg_catalog.count(*) FROM {} AS t TABLESAMPLE system ({percent}) REPEATABLE (0) \
             WHERE {condition}",
            vector.relation()
        ),
        args,
    )?
    .unwrap_or(0);
    #[expect(clippy::cast_precision_loss, reason = "a count of sampled rows")]
    let rows = counted as f64 * 100.0 / percent;
    Ok(Guess { rows, indexed: guess.indexed, sampled: true })
}

/// The planner's estimate of the rows that satisfy a condition, and how it would find them.
fn planned(vector: &VectorStore, condition: &str, args: &[DatumWithOid<'_>]) -> Result<Guess> {
    let plan = spi::one::<pgrx::Json>(
        &format!("EXPLAIN (FORMAT JSON) SELECT FROM {} AS t WHERE {condition}", vector.relation()),
        args,
    )?;
    let plan = plan.as_ref().and_then(|plan| plan.0.pointer("/0/Plan"));
    let rows = plan
        .and_then(|plan| plan.get("Plan Rows"))
        .and_then(Value::as_f64)
        .ok_or_else(|| Error::internal("EXPLAIN shows no estimate"))?;
    let indexed = !plan.is_some_and(scans_all);
    Ok(Guess { rows, indexed, sampled: false })
}

/// Whether a plan, or a part of it, reads a table as a whole.
fn scans_all(plan: &Value) -> bool {
    let kind = plan.get("Node Type").and_then(Value::as_str);
    kind == Some("Seq Scan")
        || plan.get("Plans").and_then(Value::as_array).is_some_and(|all| all.iter().any(scans_all))
}

/// Whether there are statistics of the metadata.
fn analysed(vector: &VectorStore) -> bool {
    // Of a column of type json the planner sees casts only.
    let Some(metadata) = vector.metadata.as_ref().filter(|column| column.is_jsonb()) else {
        return false;
    };
    let none = pg_sys::Datum::from(0);
    let key = |value: Option<pg_sys::Datum>| value.unwrap_or(none);
    // SAFETY: the cache's three keys are a table's OID, a column's number, and whether the
    // statistics are those of all its children.
    unsafe {
        pg_sys::SearchSysCacheExists(
            pg_sys::SysCacheIdentifier::STATRELATTINH as i32,
            key(vector.store.oid().into_datum()),
            key(metadata.number.into_datum()),
            key(vector.partitioned.into_datum()),
            none,
        )
    }
}
