//! How long this process has waited for locks in the course of a job, for `lake.job_runs`.

use crate::error::Result;
use crate::gucs;
use crate::names::Relation;
use crate::spi::{self, LocalSettings};
use std::cell::Cell;
use std::time::{Duration, Instant};

thread_local! {
    static WAITED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Counts the time from here to its end, also where that is an error, as waiting.
pub struct Wait(Instant);

impl Wait {
    pub fn begin() -> Self {
        Self(Instant::now())
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        WAITED.set(WAITED.get() + self.0.elapsed());
    }
}

/// What was waited since the last call.
pub fn take() -> Duration {
    WAITED.take()
}

/// Locks a table against everybody to the end of the transaction; 55P03 after
/// `lake_stores.worker_lock_timeout`. What follows needs the lock anyway: here its wait is counted.
pub fn lock(table: &Relation) -> Result<()> {
    lock_in(table, "ACCESS EXCLUSIVE")
}

/// As [`lock`], in a mode of `LOCK TABLE`.
pub fn lock_in(table: &Relation, mode: &'static str) -> Result<()> {
    let settings = LocalSettings::new();
    settings.set("lock_timeout", &gucs::worker_lock_timeout_ms().to_string());
    let _wait = Wait::begin();
    spi::execute(&format!("LOCK TABLE ONLY {table} IN {mode} MODE"), &[])?;
    Ok(())
}
