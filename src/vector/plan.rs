//! Exact or approximate: which path a search takes, and why.
//!
//! An exact search costs in proportion to the rows `m` that match the filter. An approximate one
//! walks the index in order of distance and throws away what doesn't match, so it visits about
//! `k · n / m` of the table's `n` rows, each at about twenty times the cost (a step in the graph
//! against a row of a scan). The two cost the same at `m = √(20 · k · n)`: with fewer matches exact is
//! the faster path as well as the right one. Figures behind the factor: 384 dimensions, 39,800 rows:
//! 3.1 % of them exact 3.5 ms, approximate 25 ms; 12.3 %: 21 ms and 8.8 ms.

use super::store::{Index, VectorStore};
use crate::error::{Error, Result};
use crate::gucs;
use crate::spi;
use pgrx::datum::DatumWithOid;
use serde_json::Value;

/// How many rows of an exact scan cost as much as one visited by an approximate one.
const VISIT_COST: f64 = 20.0;

/// Up to this many matching rows a filtered search is exact in any case: some 20 ms at 384 dimensions,
/// for answers that are right.
const MIN_CUTOFF: i64 = 5_000;

/// The same for a search without a filter, which reads the table in order, at half the cost a row.
const MIN_CUTOFF_WHOLE: i64 = 10_000;

/// From this many times the cut-off on, the planner's estimate needs no counting.
const CLEAR_FACTOR: f64 = 4.0;

/// Candidates that an HNSW scan holds, unless more are asked for. pgvector's own default of 40 gives
/// a recall@10 of 0.93 on GloVe-50 and 0.98 on sentence embeddings (100,000 and 40,000 rows); 200
/// gives 0.99 and 0.998 and keeps a margin for larger tables, at four times the work.
const DEFAULT_EF_SEARCH: i32 = 200;

/// pgvector's limit.
pub const MAX_EF_SEARCH: i32 = 1_000;

/// What the caller wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Auto,
    Exact,
    Approximate,
}

impl Mode {
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Mode::Auto),
            "exact" => Ok(Mode::Exact),
            "approximate" => Ok(Mode::Approximate),
            other => Err(Error::invalid_parameter(format!("mode can't be \"{other}\""))
                .hint("It is 'auto', 'exact' or 'approximate'.")),
        }
    }
}

/// The path taken.
#[derive(Debug, Clone)]
pub enum Path {
    Exact,
    Approximate { index: Index, ef_search: i32, iterative: bool },
}

/// A decision with its grounds.
#[derive(Debug, Clone)]
pub struct Choice {
    pub path: Path,
    pub reason: String,
    /// Rows that match, as far as it was looked.
    pub matching: Option<i64>,
    pub cutoff: Option<i64>,
}

impl Choice {
    fn exact(reason: impl Into<String>) -> Self {
        Self { path: Path::Exact, reason: reason.into(), matching: None, cutoff: None }
    }
}

/// What the decision depends on.
pub struct Wish<'a> {
    pub k: i64,
    pub mode: Mode,
    pub ef_search: Option<i32>,
    /// Condition on the table as `t`, with parameters from `$3` on.
    pub condition: &'a str,
    /// Parameters of the condition, with `$1` and `$2` before them.
    pub args: &'a [DatumWithOid<'a>],
    pub filtered: bool,
}

/// Decides.
pub fn choose(vector: &VectorStore, wish: &Wish<'_>) -> Result<Choice> {
    if wish.mode == Mode::Exact {
        return Ok(Choice::exact("the mode is exact"));
    }
    let Some(index) = vector.index()? else {
        return Ok(Choice::exact(format!(
            "there is no valid HNSW or IVFFlat index for {} on {}",
            vector.metric().as_str(),
            vector.embedding.quoted()
        )));
    };
    load_library(vector)?;
    let iterative = setting(&format!("{}.iterative_scan", index.method))?.is_some();
    let hidden = wish.filtered || vector.row_security_active()?;
    if !iterative && (hidden || wish.k > i64::from(MAX_EF_SEARCH)) {
        return Ok(Choice::exact(format!(
            "pgvector {} can't continue an index scan until k rows are found (0.8.0 can)",
            vector.engine.version
        )));
    }
    let path = Path::Approximate { ef_search: ef_search(wish)?, index, iterative };
    if wish.mode == Mode::Approximate {
        return Ok(Choice {
            path,
            reason: "the mode is approximate".into(),
            matching: None,
            cutoff: None,
        });
    }
    let total = estimate(vector, "true", &[])?;
    let cutoff = cutoff(wish.k, total, hidden);
    let (matching, how) = matching(vector, wish, hidden, total, cutoff)?;
    let choice = |path, relation: &str| Choice {
        path,
        reason: format!("{how} {relation} the cut-off of {cutoff}"),
        matching: Some(matching),
        cutoff: Some(cutoff),
    };
    Ok(if matching <= cutoff { choice(Path::Exact, "within") } else { choice(path, "above") })
}

/// How many rows match, as far as needs to be known, and how that is known.
fn matching(
    vector: &VectorStore,
    wish: &Wish<'_>,
    hidden: bool,
    total: f64,
    cutoff: i64,
) -> Result<(i64, String)> {
    if !hidden {
        let rows = whole(total);
        return Ok((rows, format!("the table has about {rows} rows,")));
    }
    let estimated = estimate(vector, wish.condition, wish.args)?;
    if estimated > CLEAR_FACTOR * count(cutoff) {
        let rows = whole(estimated);
        return Ok((rows, format!("about {rows} rows match by the planner's estimate,")));
    }
    if estimated <= count(cutoff) / 2.0 && estimable(vector, wish.condition)? {
        let rows = whole(estimated);
        return Ok((rows, format!("about {rows} rows match by the planner's estimate,")));
    }
    // The planner knows nothing of values inside jsonb, so a low estimate is worth a look.
    let counted: i64 = spi::scalar(
        &format!(
            "SELECT pg_catalog.count(*) FROM (SELECT FROM {} AS t WHERE {} LIMIT {}) s",
            vector.relation(),
            wish.condition,
            cutoff.saturating_add(1)
        ),
        wish.args,
    )?;
    let how = if counted > cutoff {
        format!("at least {counted} rows match,")
    } else {
        format!("{counted} rows match,")
    };
    Ok((counted, how))
}

/// Whether the planner has grounds for its estimate: the table was analysed (as far as the current
/// user may know), and the condition is made of containment only, which is tried on sampled values.
fn estimable(vector: &VectorStore, condition: &str) -> Result<bool> {
    if condition.contains("->") {
        return Ok(false);
    }
    let Some(metadata) = vector.metadata.as_ref().filter(|column| column.is_jsonb()) else {
        return Ok(false);
    };
    Ok(spi::cached_one::<bool>(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_stats WHERE schemaname = $1::pg_catalog.name \
         AND tablename = $2::pg_catalog.name AND attname = $3::pg_catalog.name)",
        &[
            vector.relation().schema.as_str().into(),
            vector.relation().name.as_str().into(),
            metadata.name.as_str().into(),
        ],
    )?
    .unwrap_or(false))
}

/// Most matching rows for which a search is exact.
fn cutoff(k: i64, total: f64, hidden: bool) -> i64 {
    if let Some(fixed) = gucs::exact_cutoff() {
        return fixed;
    }
    let least = if hidden { MIN_CUTOFF } else { MIN_CUTOFF_WHOLE };
    whole((VISIT_COST * count(k) * total).sqrt()).max(least).max(k)
}

fn ef_search(wish: &Wish<'_>) -> Result<i32> {
    let most = i64::from(MAX_EF_SEARCH);
    let wanted = match wish.ef_search {
        Some(given) => i64::from(given),
        None => {
            let session = setting("hnsw.ef_search")?.and_then(|text| text.parse().ok());
            session.unwrap_or(0).max(i64::from(DEFAULT_EF_SEARCH))
        }
    };
    Ok(i32::try_from(wanted.max(wish.k).min(most)).unwrap_or(MAX_EF_SEARCH))
}

#[expect(clippy::cast_precision_loss, reason = "costs need no more than 53 bits")]
fn count(rows: i64) -> f64 {
    rows as f64
}

#[expect(clippy::cast_possible_truncation, reason = "saturates, which is what is meant")]
fn whole(rows: f64) -> i64 {
    rows.round() as i64
}

/// The planner's estimate of the rows that satisfy a condition.
fn estimate(vector: &VectorStore, condition: &str, args: &[DatumWithOid<'_>]) -> Result<f64> {
    let plan = spi::one::<pgrx::Json>(
        &format!("EXPLAIN (FORMAT JSON) SELECT FROM {} AS t WHERE {condition}", vector.relation()),
        args,
    )?;
    plan.and_then(|plan| plan.0.pointer("/0/Plan/Plan Rows").and_then(Value::as_f64))
        .ok_or_else(|| Error::internal("EXPLAIN shows no estimate"))
}

/// A setting's value; `None` where nothing in this session knows it.
fn setting(name: &str) -> Result<Option<String>> {
    spi::cached_one("SELECT pg_catalog.current_setting($1, true)", &[name.into()])
}

/// Makes sure that pgvector's library is loaded, which is what defines its settings: before that,
/// any name would do.
fn load_library(vector: &VectorStore) -> Result<()> {
    thread_local! { static LOADED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) } }
    if !LOADED.get() {
        let vector_type = vector.engine.object("vector");
        spi::execute(&format!("SELECT ('{{1}}'::pg_catalog.float4[])::{vector_type}"), &[])?;
        LOADED.set(true);
    }
    Ok(())
}
