//! What jobs can do: a table of actions. An action is taken in steps, each one transaction of its
//! own (one chunk, one index), so that nothing waits behind a long job and a cancelled one loses one
//! step at most. The SQL functions call the same capabilities.

use crate::catalog::{Store, StoreKind};
use crate::error::Result;
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
}

/// One kind of job.
pub struct Action {
    pub name: &'static str,
    pub kind: StoreKind,
    /// Does the next unit of work that is due at the given time. Runs as the owner of the store.
    pub step: fn(&Store, &Value, TimestampWithTimeZone) -> Result<Step>,
}

/// Every action there is.
pub static ACTIONS: &[Action] = &[];

/// The action of a job; `None` for one that this version doesn't know.
pub fn find(kind: StoreKind, name: &str) -> Option<&'static Action> {
    ACTIONS.iter().find(|a| a.kind == kind && a.name == name)
}
