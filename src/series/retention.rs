//! Which chunks are due to go, and dropping the next one. The plan that is shown is the plan that is
//! carried out.

use crate::access;
use crate::catalog::{Store, job};
use crate::error::{Error, Result};
use crate::gucs;
use crate::series::backend::{Backend, Chunk};
use crate::series::{options, rollup, time};
use crate::spi;
use lake_chunks::Micros;
use lake_chunks::retention::{self, Policy, Reason};
use pgrx::datum::{Interval, TimestampWithTimeZone};
use serde_json::{Map, Value, json};

/// What the job is called.
pub const ACTION: &str = "retention";

/// A chunk that is due.
pub struct Due {
    pub chunk: Chunk,
    pub reason: String,
    /// Why it stays all the same.
    pub blocked_by: Option<String>,
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
        job::remove(store, ACTION)?;
        return Ok(());
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
    job::ensure(store, ACTION, "1 hour", &json!({}))?;
    Ok(())
}

/// The chunks that are due at `now`, oldest first. Nothing where no retention is set.
pub fn plan(store: &Store, now: TimestampWithTimeZone) -> Result<Vec<Due>> {
    let Some(set) = store.options.get("retention") else { return Ok(Vec::new()) };
    let keep = set.get("keep").and_then(Value::as_str);
    let max_bytes = set.get("max_bytes").and_then(Value::as_i64);
    let keep_from = match keep {
        Some(keep) => Some(time::from_pg(spi::scalar(
            "SELECT $1::pg_catalog.timestamptz - $2::pg_catalog.interval",
            &[now.into(), keep.into()],
        )?)),
        None => None,
    };
    let policy = Policy { keep_from, max_bytes, now: time::from_pg(now) };
    let chunks = Backend::of(store)?.chunks(&store.relation)?;
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
            Ok(Due { blocked_by: blocked_by(store, &chunk)?, chunk, reason })
        })
        .collect()
}

/// What keeps a due chunk from being dropped: another owner, or something that was built on it.
fn blocked_by(store: &Store, chunk: &Chunk) -> Result<Option<String>> {
    let found = spi::rows(
        "SELECT pg_catalog.format('chunk is owned by %I', pg_catalog.pg_get_userbyid($2)) \
         WHERE NOT pg_catalog.pg_has_role((SELECT relowner FROM pg_catalog.pg_class WHERE oid = $3), $2, 'USAGE') \
         UNION ALL \
         SELECT pg_catalog.format('view %s reads the chunk', v.oid::pg_catalog.regclass) \
         FROM pg_catalog.pg_depend d \
         JOIN pg_catalog.pg_rewrite r ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.oid = d.objid \
         JOIN pg_catalog.pg_class v ON v.oid = r.ev_class \
         WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = $1 AND d.deptype = 'n' \
         LIMIT 1",
        &[chunk.relation.oid.into(), chunk.owner.into(), store.oid().into()],
        |row| spi::need::<String>(row, 1),
    )?;
    match found.into_iter().next() {
        Some(reason) => Ok(Some(reason)),
        None => rollup_needs(store, chunk),
    }
}

fn rollup_needs(store: &Store, chunk: &Chunk) -> Result<Option<String>> {
    let to_pg = |edge: Option<Micros>| edge.map(time::to_pg).transpose();
    rollup::needs(store, to_pg(chunk.start)?, to_pg(chunk.end)?)
}

/// Drops the oldest chunk that is due and not blocked; `None` where there is none. Waits for locks
/// no longer than `lake_stores.worker_lock_timeout`. The current user must be the owner.
pub fn drop_next(store: &Store, now: TimestampWithTimeZone) -> Result<Option<Due>> {
    let Some(due) = plan(store, now)?.into_iter().find(|due| due.blocked_by.is_none()) else {
        return Ok(None);
    };
    let settings = spi::LocalSettings::new();
    settings.set("lock_timeout", &gucs::worker_lock_timeout_ms().to_string());
    // Late points may have come since the plan was made; under the lock none can.
    if rollup::any(store)? {
        spi::execute(&format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", store.relation), &[])?;
        if rollup_needs(store, &due.chunk)?.is_some() {
            return Ok(None);
        }
    }
    Backend::of(store)?.drop_chunk(&store.relation, &due.chunk)?;
    Ok(Some(due))
}

/// Where a chunk stands at `now`.
pub fn state(chunk: &Chunk, now: Micros) -> &'static str {
    let range = chunk.range();
    if range.start > now {
        "ahead"
    } else if range.end > now {
        "open"
    } else {
        "closed"
    }
}
