//! How long this process has waited for locks in the course of a job, for `lake.job_runs`.

use crate::error::Result;
use crate::gucs;
use crate::names::Relation;
use crate::spi::{self, LocalSettings};
use pgrx::pg_sys;
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

/// How many times `lake_stores.worker_lock_timeout` a lock against everybody is waited for while nobody
/// waits behind.
pub const PATIENCE: u32 = 10;

/// How long others may wait behind after that: not so long that somebody notices.
const QUEUE: Duration = Duration::from_millis(30);

/// Between two looks whether a lock has become free.
const PAUSE: Duration = Duration::from_millis(5);

/// Locks a table against everybody to the end of the transaction, for a job, which can come again; 55P03
/// where it isn't free. What follows needs the lock anyway: here its wait is counted.
pub fn lock(table: &Relation) -> Result<()> {
    lock_within(table, gucs::worker_lock_timeout() * PATIENCE, QUEUE)
}

/// The same within `patience`, in which nobody waits behind, and then `queue`.
pub fn lock_within(table: &Relation, patience: Duration, queue: Duration) -> Result<()> {
    let _wait = Wait::begin();
    let begun = Instant::now();
    while begun.elapsed() < patience {
        // SAFETY: asks for a lock by the number of a table, which need not exist.
        if unsafe {
            pg_sys::ConditionalLockRelationOid(table.oid, pg_sys::AccessExclusiveLock as i32)
        } {
            return Ok(());
        }
        pgrx::check_for_interrupts!();
        std::thread::sleep(PAUSE);
    }
    let settings = LocalSettings::new();
    settings.set("lock_timeout", &format!("{}ms", queue.as_millis()));
    spi::execute(&format!("LOCK TABLE ONLY {table} IN ACCESS EXCLUSIVE MODE"), &[])?;
    Ok(())
}
