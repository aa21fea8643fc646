//! Jobs: what a store wants done in the background, how often, and when next.

use crate::access;
use crate::catalog::Store;
use crate::error::Result;
use crate::spi;
use crate::workers::nudge;
use pgrx::JsonB;
use serde_json::Value;

/// Makes or changes the store's job for `action`, due at once and then every `schedule` (an interval
/// as Postgres reads it). Returns the job's id. The current user must be owner of the store.
pub fn ensure(store: &Store, action: &str, schedule: &str, config: &Value) -> Result<i64> {
    nudge::at_commit();
    ensure_later(store, action, schedule, config, "0")
}

/// As [`ensure`], due only after `delay`.
pub fn ensure_later(
    store: &Store,
    action: &str,
    schedule: &str,
    config: &Value,
    delay: &str,
) -> Result<i64> {
    access::require_owner(&store.relation)?;
    access::as_extension_owner(|| {
        spi::scalar(
            "INSERT INTO _lake.job (relid, kind, action, schedule, config, next_run) \
             VALUES ($1::pg_catalog.regclass, $2, $3, $4::pg_catalog.interval, $5, \
                     pg_catalog.now() + $6::pg_catalog.interval) \
             ON CONFLICT (relid, kind, action) DO UPDATE \
             SET config = excluded.config, schedule = excluded.schedule, \
                 next_run = excluded.next_run, failures = 0 \
             RETURNING job_id",
            &[
                store.oid().into(),
                store.kind.as_str().into(),
                action.into(),
                schedule.into(),
                JsonB(config.clone()).into(),
                delay.into(),
            ],
        )
    })?
}

/// Replaces what the store's job for `action` keeps for its next run.
pub fn remember(store: &Store, action: &str, config: &Value) -> Result<()> {
    access::as_extension_owner(|| {
        spi::execute(
            "UPDATE _lake.job SET config = $4 \
             WHERE relid = $1::pg_catalog.regclass AND kind = $2 AND action = $3",
            &[
                store.oid().into(),
                store.kind.as_str().into(),
                action.into(),
                JsonB(config.clone()).into(),
            ],
        )
    })??;
    Ok(())
}

/// Makes the store's job for `action` due, where there is one.
pub fn hasten(store: &Store, action: &str) -> Result<()> {
    nudge::at_commit();
    access::as_extension_owner(|| {
        spi::execute(
            "UPDATE _lake.job SET next_run = pg_catalog.now() \
             WHERE relid = $1::pg_catalog.regclass AND kind = $2 AND action = $3 AND next_run > pg_catalog.now()",
            &[store.oid().into(), store.kind.as_str().into(), action.into()],
        )
    })??;
    Ok(())
}

/// The store's job for `action`.
pub fn find(store: &Store, action: &str) -> Result<Option<i64>> {
    spi::one(
        "SELECT job_id FROM _lake.job \
         WHERE relid = $1::pg_catalog.regclass AND kind = $2 AND action = $3",
        &[store.oid().into(), store.kind.as_str().into(), action.into()],
    )
}

/// Removes the store's job for `action`; false where there was none.
pub fn remove(store: &Store, action: &str) -> Result<bool> {
    access::require_owner(&store.relation)?;
    access::as_extension_owner(|| {
        spi::execute(
            "DELETE FROM _lake.job \
             WHERE relid = $1::pg_catalog.regclass AND kind = $2 AND action = $3",
            &[store.oid().into(), store.kind.as_str().into(), action.into()],
        )
    })?
    .map(|n| n > 0)
}
