//! What jobs can do: a table of actions. An action is taken in steps, each one transaction of its
//! own (one chunk, one index), so that nothing waits behind a long job and a cancelled one loses one
//! step at most. The SQL functions call the same capabilities.

use crate::catalog::{Store, StoreKind};
use crate::error::Result;
use crate::series;
use crate::spi;
use pgrx::datum::TimestampWithTimeZone;
use serde_json::Value;

/// What one step did.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// The chunk, index … that was worked on, as quoted SQL.
    pub subject: String,
    pub rows: i64,
    pub bytes_before: i64,
    pub bytes_after: i64,
}

/// The outcome of a step.
#[derive(Debug, Clone)]
pub enum Step {
    /// There was nothing (more) to do: the run ends.
    Idle,
    /// One unit was done: commit, then call again.
    Done(Progress),
    /// The last unit was done: commit, and the run ends.
    Last(Progress),
}

/// One kind of job.
pub struct Action {
    pub name: &'static str,
    pub kind: StoreKind,
    /// Does the next unit of work that is due at the given time. Runs as the owner of the store.
    pub step: fn(&Store, &Value, TimestampWithTimeZone) -> Result<Step>,
}

/// Every action there is.
pub static ACTIONS: &[Action] = &[
    Action { name: "analyze", kind: StoreKind::Vector, step: analyze },
    Action { name: "analyze", kind: StoreKind::Series, step: analyze },
    Action { name: "analyze", kind: StoreKind::Geo, step: analyze },
    Action { name: "make_chunks", kind: StoreKind::Series, step: series::jobs::make_chunks },
    Action { name: "retention", kind: StoreKind::Series, step: series::jobs::retention },
];

/// Statistics of the whole store. Autovacuum never analyses a partitioned table as a whole, so that
/// plans across chunks are made blind; this does.
fn analyze(store: &Store, _config: &Value, _now: TimestampWithTimeZone) -> Result<Step> {
    let relation = &store.relation;
    spi::execute(&format!("ANALYZE {relation}"), &[])?;
    let rows = spi::one::<f32>(
        "SELECT reltuples FROM pg_catalog.pg_class WHERE oid = $1",
        &[relation.oid.into()],
    )?;
    Ok(Step::Last(Progress {
        subject: relation.to_string(),
        rows: rows.unwrap_or(0.0).max(0.0) as i64,
        ..Progress::default()
    }))
}

/// The action of a job; `None` for one that this version doesn't know.
pub fn find(kind: StoreKind, name: &str) -> Option<&'static Action> {
    ACTIONS.iter().find(|a| a.kind == kind && a.name == name)
}
