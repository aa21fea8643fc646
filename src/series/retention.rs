//! What is due to go: whole chunks by age and size, rows by metric and tags. The plan that is shown is the
//! plan that is carried out.
//!
//! - [`detach`] — native chunks leave their table without stopping anybody, then they are dropped.
//! - [`rules`] — how long the points of single metrics stay; [`thin`] — deleting those past that.

mod detach;
mod rules;
mod thin;

pub use rules::set as set_metric;

use crate::access;
use crate::catalog::{Store, job};
use crate::error::{Error, Result};
use crate::gucs;
use crate::series::backend::{Backend, Chunk};
use crate::series::{options, rollup, time};
use crate::spi;
use crate::workers::actions::{Progress, Step};
use crate::workers::waits;
use lake_chunks::Micros;
use lake_chunks::retention::{self, Policy, Reason};
use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::pg_sys;
use serde_json::{Map, Value, json};

/// What the job is called.
pub const ACTION: &str = "retention";

/// What becomes of a chunk that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Drop,
    /// It stays, without the rows of some series.
    Delete,
}

impl What {
    /// As the plan shows it.
    pub const fn as_str(self) -> &'static str {
        match self {
            What::Drop => "drop chunk",
            What::Delete => "delete rows",
        }
    }
}

/// A chunk that is due.
pub struct Due {
    pub chunk: Chunk,
    pub what: What,
    pub reason: String,
    /// Why it stays all the same; it goes where there is nothing.
    pub blocked_by: Vec<String>,
}

/// Sets what is kept; both null ends retention.
pub fn set(store: &mut Store, keep: Option<Interval>, max_bytes: Option<i64>) -> Result<()> {
    access::require_owner(&store.relation)?;
    if keep.is_some_and(|keep| keep.as_micros() <= 0) {
        return Err(Error::invalid_parameter("keep must be positive")
            .hint("It is how long rows stay: '30 days'. Null for both limits keeps all."));
    }
    if max_bytes.is_some_and(|max| max <= 0) {
        return Err(Error::invalid_parameter("max_bytes must be positive"));
    }
    let mut all = store.options.as_object().cloned().unwrap_or_default();
    all.remove("retention");
    if keep.is_none() && max_bytes.is_none() {
        store.set_options(Value::Object(all))?;
        return follow(store);
    }
    let mut policy = Map::new();
    if let Some(keep) = keep {
        policy.insert("keep".into(), json!(options::interval_text(keep)?));
    }
    if let Some(max) = max_bytes {
        policy.insert("max_bytes".into(), json!(max));
    }
    all.insert("retention".into(), Value::Object(policy));
    store.set_options(Value::Object(all))?;
    follow(store)
}

/// The job is there while anything is to be looked for.
fn follow(store: &Store) -> Result<()> {
    if store.options.get("retention").is_some() || !rules::of(store)?.is_empty() {
        job::ensure(store, ACTION, "1 hour", &json!({}))?;
    } else {
        job::remove(store, ACTION)?;
    }
    Ok(())
}

/// What is due at `now`: chunks to be dropped, oldest first, then those that lose some of their rows.
pub fn plan(store: &Store, now: TimestampWithTimeZone) -> Result<Vec<Due>> {
    let chunks = Backend::of(store)?.chunks(&store.relation)?;
    let mut due = to_drop(store, &chunks, now)?;
    let going: Vec<pg_sys::Oid> = due.iter().map(|due| due.chunk.relation.oid).collect();
    let staying = chunks.iter().filter(|chunk| !going.contains(&chunk.relation.oid));
    for found in thin::due(store, staying, now)? {
        if found.has_rows()? {
            let blocked_by = blocked_by(store, &found.chunk, What::Delete)?;
            due.push(Due {
                what: What::Delete,
                blocked_by,
                reason: found.reason,
                chunk: found.chunk,
            });
        }
    }
    Ok(due)
}

/// The chunks to be dropped as a whole. Nothing where no retention is set.
fn to_drop(store: &Store, chunks: &[Chunk], now: TimestampWithTimeZone) -> Result<Vec<Due>> {
    let Some(set) = store.options.get("retention") else { return Ok(Vec::new()) };
    let keep = set.get("keep").and_then(Value::as_str);
    let max_bytes = set.get("max_bytes").and_then(Value::as_i64);
    let keep_from = keep.map(|keep| before(now, keep)).transpose()?;
    let policy = Policy { keep_from, max_bytes, now: time::from_pg(now) };
    let seen: Vec<retention::Chunk> = chunks
        .iter()
        .map(|chunk| retention::Chunk { range: chunk.range(), bytes: chunk.bytes })
        .collect();
    retention::plan(&seen, &policy)
        .into_iter()
        .map(|(position, reason)| {
            let chunk = chunks[position].clone();
            let reason = match reason {
                Reason::TooOld => format!("older than {}", keep.unwrap_or_default()),
                Reason::OverBudget => {
                    format!("store is over {} bytes", max_bytes.unwrap_or_default())
                }
            };
            let blocked_by = blocked_by(store, &chunk, What::Drop)?;
            Ok(Due { blocked_by, what: What::Drop, chunk, reason })
        })
        .collect()
}

/// The instant that lies an interval before another.
fn before(now: TimestampWithTimeZone, interval: &str) -> Result<Micros> {
    Ok(time::from_pg(spi::scalar(
        "SELECT $1::pg_catalog.timestamptz - $2::pg_catalog.interval",
        &[now.into(), interval.into()],
    )?))
}

/// What keeps rows of a due chunk from going; each check adds its reasons.
fn blocked_by(store: &Store, chunk: &Chunk, what: What) -> Result<Vec<String>> {
    let mut reasons = other_owner(store, chunk)?;
    if what == What::Drop {
        reasons.extend(readers(chunk)?);
        reasons.extend(rollup::needs(store, chunk)?);
    }
    Ok(reasons)
}

/// The chunk is somebody else's, and not the store's owner's to drop.
fn other_owner(store: &Store, chunk: &Chunk) -> Result<Vec<String>> {
    spi::rows(
        "SELECT pg_catalog.format('chunk is owned by %I', pg_catalog.pg_get_userbyid($1)) \
         WHERE NOT pg_catalog.pg_has_role((SELECT relowner FROM pg_catalog.pg_class WHERE oid = $2), $1, 'USAGE')",
        &[chunk.owner.into(), store.oid().into()],
        |row| spi::need(row, 1),
    )
}

/// Views were built on the chunk itself.
fn readers(chunk: &Chunk) -> Result<Vec<String>> {
    spi::rows(
        "SELECT DISTINCT pg_catalog.format('view %s reads the chunk', v.oid::pg_catalog.regclass) \
         FROM pg_catalog.pg_depend d \
         JOIN pg_catalog.pg_rewrite r ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.oid = d.objid \
         JOIN pg_catalog.pg_class v ON v.oid = r.ev_class \
         WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = $1 AND d.deptype = 'n' \
         ORDER BY 1",
        &[chunk.relation.oid.into()],
        |row| spi::need(row, 1),
    )
}

/// The next step: what was begun is finished first, then the first that is due and not blocked goes.
/// The current user must be the owner.
pub fn next(store: &Store, now: TimestampWithTimeZone) -> Result<Step> {
    let settings = spi::LocalSettings::new();
    settings.set("lock_timeout", &gucs::worker_lock_timeout_ms().to_string());
    let backend = Backend::of(store)?;
    if backend == Backend::Native
        && let Some(step) = detach::unfinished(store)?
    {
        return Ok(step);
    }
    let chunks = backend.chunks(&store.relation)?;
    let due = to_drop(store, &chunks, now)?;
    if let Some(due) = due.iter().find(|due| due.blocked_by.is_empty()) {
        return match backend {
            Backend::Native => detach::begin(store, &due.chunk, now),
            Backend::Hypertable => {
                rollup::freeze(store, &due.chunk)?;
                drop_now(store, backend, &due.chunk)
            }
        };
    }
    let going: Vec<pg_sys::Oid> = due.iter().map(|due| due.chunk.relation.oid).collect();
    let staying = chunks.iter().filter(|chunk| !going.contains(&chunk.relation.oid));
    for found in thin::due(store, staying, now)? {
        if blocked_by(store, &found.chunk, What::Delete)?.is_empty()
            && let Some(progress) = thin::delete(store, &found)?
        {
            return Ok(Step::Done(progress));
        }
    }
    Ok(Step::Idle)
}

/// Drops a chunk in this transaction.
fn drop_now(store: &Store, backend: Backend, chunk: &Chunk) -> Result<Step> {
    waits::lock(&chunk.relation)?;
    backend.drop_chunk(&store.relation, chunk)?;
    Ok(Step::Done(gone(chunk)))
}

fn gone(chunk: &Chunk) -> Progress {
    Progress {
        subject: chunk.relation.to_string(),
        rows: chunk.rows.unwrap_or(0),
        bytes_before: chunk.bytes,
        bytes_after: 0,
    }
}

/// Where a chunk stands at `now`.
pub fn state(chunk: &Chunk, now: Micros) -> &'static str {
    let range = chunk.range();
    if range.start > now {
        "ahead"
    } else if chunk.compressed.is_some() {
        "compressed"
    } else if range.end > now {
        "open"
    } else {
        "closed"
    }
}
