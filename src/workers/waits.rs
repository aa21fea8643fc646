//! Waiting for locks in the course of a job: how, so that others hardly notice, and for how long, for
//! `lake.job_runs`.

use crate::attempt::attempt_catching;
use crate::error::Result;
use crate::gucs;
use crate::names::Relation;
use crate::spi::{self, LocalSettings};
use pgrx::{PgSqlErrorCode, pg_sys};
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

/// How many times `lake_stores.worker_lock_timeout` a lock against everybody is tried for.
pub const PATIENCE: u32 = 10;

/// How long others may wait behind at a time: not so long that somebody notices.
const QUEUE: Duration = Duration::from_millis(30);

/// How long, between two such times, the lock is only looked for, and nobody waits behind.
const LOOK: Duration = Duration::from_millis(200);

/// Between two looks whether a lock has become free: less than a client takes between two statements.
const PAUSE: Duration = Duration::from_millis(1);

/// Locks a table against everybody to the end of the transaction, for a job, which can come again; 55P03
/// where it isn't free. What follows needs the lock anyway: here its wait is counted.
pub fn lock(table: &Relation) -> Result<()> {
    lock_within(table, gucs::worker_lock_timeout() * PATIENCE, QUEUE)
}

/// The same within `patience`, in which others wait behind for moments only, and then `last`, in which
/// they wait.
///
/// Looking alone would never find a table free whose readers overlap; waiting in line has every later
/// statement wait as long as the oldest one runs. So both take turns.
pub fn lock_within(table: &Relation, patience: Duration, last: Duration) -> Result<()> {
    let _wait = Wait::begin();
    let begun = Instant::now();
    while begun.elapsed() < patience {
        if look(table) {
            return Ok(());
        }
        if attempt_catching(is_not_free, || queue(table, QUEUE)).is_ok() {
            return Ok(());
        }
    }
    queue(table, last)
}

fn is_not_free(code: PgSqlErrorCode) -> bool {
    code == PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE
}

/// Whether the table was free at some moment of [`LOOK`]; it is locked then.
fn look(table: &Relation) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < LOOK {
        // SAFETY: asks for a lock by the number of a table, which need not exist.
        if unsafe {
            pg_sys::ConditionalLockRelationOid(table.oid, pg_sys::AccessExclusiveLock as i32)
        } {
            return true;
        }
        pgrx::check_for_interrupts!();
        std::thread::sleep(PAUSE);
    }
    false
}

fn queue(table: &Relation, longest: Duration) -> Result<()> {
    let settings = LocalSettings::new();
    settings.set("lock_timeout", &format!("{}ms", longest.as_millis()));
    spi::execute(&format!("LOCK TABLE ONLY {table} IN ACCESS EXCLUSIVE MODE"), &[])?;
    Ok(())
}
