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
    access::require_owner(&store.relation)?;
    nudge::at_commit();
    access::as_extension_owner(|| {
        spi::scalar(
            "INSERT INTO _lake.job (relid, kind, action, schedule, config) \
             VALUES ($1::pg_catalog.regclass, $2, $3, $4::pg_catalog.interval, $5) \
             ON CONFLICT (relid, kind, action) DO UPDATE \
             SET config = excluded.config, schedule = excluded.schedule, next_run = pg_catalog.now(), \
                 failures = 0 \
             RETURNING job_id",
            &[
                store.oid().into(),
                store.kind.as_str().into(),
                action.into(),
                schedule.into(),
                JsonB(config.clone()).into(),
            ],
        )
    })?
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
