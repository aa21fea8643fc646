//! The policy of a store: when it gets an index by itself, and which.

use super::request::{self, Wish};
use super::{ACTION as BUILD, present};
use crate::access;
use crate::catalog::{Store, job};
use crate::error::{Error, Result};
use crate::gucs;
use crate::regclass::RegClass;
use crate::spi;
use crate::vector::pack;
use crate::vector::store::VectorStore;
use crate::vector::{load, recall, sample};
use crate::workers::actions::{Progress, Step};
use pgrx::datum::TimestampWithTimeZone;
use serde_json::{Value, json};
use std::time::Instant;

/// The job that looks whether an index is due.
pub const ACTION: &str = "auto_index";

const SCHEDULE: &str = "5 minutes";
/// Rows from which a store gets an index: below, a scan answers in a few dozen milliseconds, and a search
/// without a filter is exact up to 10,000 rows anyway.
pub const MIN_ROWS: i64 = 20_000;
/// Milliseconds of an exact search from which it gets one with fewer rows.
pub const MAX_EXACT_MS: f64 = 100.0;
/// Fewest rows for which latency is measured.
const MEASURED_FROM: f64 = 5_000.0;
/// A store that grew by this share since the last look is still being loaded, which is faster without.
const LOADING: f64 = 0.1;
/// For how many looks a load is waited for.
const PATIENCE: i64 = 12;

/// A policy as set.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    pub auto: bool,
    pub min_rows: i64,
    pub max_exact_ms: f64,
    pub wish: Wish,
}

impl Default for Policy {
    fn default() -> Self {
        Self { auto: true, min_rows: MIN_ROWS, max_exact_ms: MAX_EXACT_MS, wish: Wish::default() }
    }
}

impl Policy {
    fn of(store: &Store) -> Self {
        let Some(set) = store.options.get("policy") else { return Self::default() };
        let default = Self::default();
        Self {
            auto: set["auto"].as_bool().unwrap_or(default.auto),
            min_rows: set["min_rows"].as_i64().unwrap_or(default.min_rows),
            max_exact_ms: set["max_exact_ms"].as_f64().unwrap_or(default.max_exact_ms),
            wish: Wish::from_json(set),
        }
    }
}

/// Sets the policy of a store, and makes or removes its job. The caller must own it.
pub fn set(store: &Store, policy: &Policy) -> Result<()> {
    access::require_owner(&store.relation)?;
    if policy.min_rows < 1 {
        return Err(Error::invalid_parameter(format!(
            "min_rows must be 1 or more, not {}",
            policy.min_rows
        )));
    }
    if policy.max_exact_ms.is_nan() || policy.max_exact_ms <= 0.0 {
        return Err(Error::invalid_parameter(format!(
            "max_exact_ms must be more than 0, not {}",
            policy.max_exact_ms
        )));
    }
    let mut options = policy.wish.to_json();
    options["auto"] = json!(policy.auto);
    options["min_rows"] = json!(policy.min_rows);
    options["max_exact_ms"] = json!(policy.max_exact_ms);
    store.set_option("policy", options)?;
    start(store, policy.auto)
}

/// Makes the jobs of a store (a look whether an index is due, a measurement of it), or removes them.
pub fn start(store: &Store, auto: bool) -> Result<()> {
    if auto {
        job::ensure_later(store, ACTION, SCHEDULE, &json!({}), SCHEDULE)?;
        job::ensure_later(store, recall::ACTION, recall::SCHEDULE, &json!({}), recall::SCHEDULE)?;
    } else {
        job::remove(store, ACTION)?;
        job::remove(store, recall::ACTION)?;
    }
    Ok(())
}

/// Asks for an index where one is due.
pub fn check(store: &Store, config: &Value, _now: TimestampWithTimeZone) -> Result<Step> {
    let policy = Policy::of(store);
    if !policy.auto || !gucs::auto_index() || job::find(store, BUILD)?.is_some() {
        return Ok(Step::Idle);
    }
    let vector = VectorStore::load(Some(RegClass(store.oid())))?;
    if load::begun(store)? {
        return Ok(Step::Idle);
    }
    if present::all(&vector)?.iter().any(|i| i.usable()) {
        return Ok(Step::Idle);
    }
    let rows = sample::size(&vector, policy.min_rows)?;
    #[expect(clippy::cast_precision_loss, reason = "a size")]
    let many = rows >= policy.min_rows as f64;
    let due = many || (rows >= MEASURED_FROM && exact_ms(&vector)? > policy.max_exact_ms);
    if !due {
        return Ok(Step::Idle);
    }
    if is_loading(store, config, rows)? {
        return Ok(Step::Idle);
    }
    request::submit(&vector, &policy.wish, false)?;
    Ok(Step::Last(Progress {
        subject: store.relation.to_string(),
        #[expect(clippy::cast_possible_truncation, reason = "a size")]
        rows: rows as i64,
        ..Progress::default()
    }))
}

/// How long an exact search takes: the second of two, so that the table was read once.
fn exact_ms(vector: &VectorStore) -> Result<f64> {
    let Some(query) = sample::rows(vector, 1)?.pop() else { return Ok(0.0) };
    let sql = format!(
        "SELECT {id}::pg_catalog.text FROM {table} AS t \
         ORDER BY ({embedding} {operator} {query}) OPERATOR(pg_catalog.+) 0::pg_catalog.float8 LIMIT 10",
        id = VectorStore::col(&vector.id),
        table = vector.relation(),
        embedding = VectorStore::col(&vector.embedding),
        operator = vector.distance_operator(),
        query = vector.vector_param(1),
    );
    let mut last = 0.0;
    for _ in 0..2 {
        let start = Instant::now();
        spi::rows(&sql, &[pack::reals(&query.embedding)], |row| spi::get::<String>(row, 1))?;
        last = start.elapsed().as_secs_f64() * 1_000.0;
    }
    Ok(last)
}

/// Whether the store has grown much since the last look, which is noted for the next one.
fn is_loading(store: &Store, config: &Value, rows: f64) -> Result<bool> {
    let inserted: i64 =
        spi::scalar("SELECT pg_catalog.pg_stat_get_tuples_inserted($1)", &[store.oid().into()])?;
    let before = config["inserted"].as_i64();
    let waited = config["waited"].as_i64().unwrap_or(0);
    #[expect(clippy::cast_precision_loss, reason = "a size")]
    let grew = before.is_none_or(|before| (inserted - before) as f64 > LOADING * rows);
    let loading = grew && waited < PATIENCE;
    let noted =
        if loading { json!({"inserted": inserted, "waited": waited + 1}) } else { json!({}) };
    job::remember(store, ACTION, &noted)?;
    Ok(loading)
}
