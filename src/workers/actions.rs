//! What jobs can do: a table of actions. An action is taken in steps, each one transaction of its
//! own (one chunk, one index), so that nothing waits behind a long job and a cancelled one loses one
//! step at most. The SQL functions call the same capabilities.

use crate::catalog::{Store, StoreKind};
use crate::error::Result;
use crate::geo;
use crate::series;
use crate::spi;
use crate::vector;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys;
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

/// A statement that can't be run inside a transaction block.
#[derive(Debug, Clone)]
pub struct Statement {
    pub sql: String,
    /// What does the same inside a transaction: for `lake.run_job`.
    pub in_transaction: String,
    /// Settings while it runs.
    pub settings: Vec<(&'static str, String)>,
    /// Its time goes by with waiting for locks and older transactions, and is counted as that.
    pub waits: bool,
    /// The run ends with it.
    pub last: bool,
    /// What it is counted as once it is done; nothing where another step is still to come.
    pub progress: Option<Progress>,
    /// What is to be written down right after it.
    pub done: Option<Done>,
}

impl Statement {
    /// One whose time is its own, after which the run goes on.
    pub fn new(
        sql: String,
        in_transaction: String,
        settings: Vec<(&'static str, String)>,
        progress: Progress,
    ) -> Self {
        Self {
            sql,
            in_transaction,
            settings,
            waits: false,
            last: false,
            progress: Some(progress),
            done: None,
        }
    }
}

/// Called in a transaction of its own, by the process that ran the statement, once it went well.
#[derive(Debug, Clone)]
pub struct Done {
    pub note: fn(&Store, pg_sys::Oid) -> Result<()>,
    pub relation: pg_sys::Oid,
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
    /// As [`Step::Last`]; the job will never have anything to do again, and goes.
    Finished(Progress),
    /// Commit, run this as the owner of the store, then call again unless it is the last.
    Statement(Statement),
}

/// One kind of job.
pub struct Action {
    pub name: &'static str,
    pub kind: StoreKind,
    /// Does the next unit of work that is due at the given time. Runs as the owner of the store.
    pub step: fn(&Store, &Value, TimestampWithTimeZone) -> Result<Step>,
    /// May take long: done by a process of its own, so that other jobs of the database don't wait.
    pub long: bool,
    /// After so many failures in a row the job is paused.
    pub attempts: Option<i32>,
    /// What a failed run leaves behind is removed by this, also as the owner.
    pub clean_up: Option<fn(&Store, &Value) -> Result<Option<Statement>>>,
}

impl Action {
    const fn new(
        name: &'static str,
        kind: StoreKind,
        step: fn(&Store, &Value, TimestampWithTimeZone) -> Result<Step>,
    ) -> Self {
        Self { name, kind, step, long: false, attempts: None, clean_up: None }
    }
}

/// Every action there is.
pub static ACTIONS: &[Action] = &[
    Action::new("analyze", StoreKind::Vector, analyze),
    Action::new("analyze", StoreKind::Series, analyze),
    Action::new("analyze", StoreKind::Geo, analyze),
    Action::new(geo::watch::ACTION, StoreKind::Geo, geo::watch::step),
    Action::new("make_chunks", StoreKind::Series, series::jobs::make_chunks),
    Action::new("retention", StoreKind::Series, series::jobs::retention),
    Action {
        long: true,
        ..Action::new(series::compression::ACTION, StoreKind::Series, series::compression::step)
    },
    Action::new(series::rollup::ACTION, StoreKind::Series, series::rollup::step),
    Action {
        long: true,
        attempts: Some(vector::build::ATTEMPTS),
        clean_up: Some(vector::build::clean_up),
        ..Action::new(vector::build::ACTION, StoreKind::Vector, vector::build::next)
    },
    Action::new(vector::build::POLICY, StoreKind::Vector, vector::build::check_policy),
    Action {
        long: true,
        ..Action::new(vector::recall::ACTION, StoreKind::Vector, vector::recall::step)
    },
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

/// Whether the action is done by the builder.
pub fn is_long(kind: StoreKind, name: &str) -> bool {
    find(kind, name).is_some_and(|action| action.long)
}
