//! Background workers: a launcher, short visits to databases, and the jobs done in them.
//!
//! | state | where | leaves by |
//! |---|---|---|
//! | **waiting** | launcher, connected to no database | naptime over, or a job was made due: next round · SIGTERM: ends, started again after 5 s · its only database or the extension in it gone: ends for good |
//! | **starting a visit** | launcher | a free worker process: visit · none: the round ends, logged once |
//! | **looking** | visit, one transaction | no extension, in recovery, switched off, other version: leaves · else: forgets stores whose tables are gone, marks crashed runs, prunes history, notes what is due |
//! | **beginning a job** | visit, one transaction | somebody else has it, or it isn't due any more: next job · else a `running` row is written and counted as a failure |
//! | **long jobs are due** | visit | starts a builder for the database where none runs, which does them one after the other like a visit, and ends |
//! | **a step** | visit as the store's owner, a transaction each | done: next step · idle or last: ends well · error: rolled back, ends failed · SIGTERM: rolled back, recorded as stopped, ends · killed: found by the next visit |
//! | **a statement** | visit or builder, as the store's owner, outside of transaction blocks | done: next step · error: what it left behind is removed, ends failed · SIGTERM, killed: the next run removes it |
//! | **ending a job** | visit, one transaction | recorded; next job |
//! | **leaving** | visit | process ends; nothing stays connected |
//!
//! Because nobody stays, `DROP DATABASE` and `CREATE DATABASE … TEMPLATE` find the database free; a
//! visit that is at work makes way for them. While a transaction of ours is open it holds the lock
//! that `DROP EXTENSION` takes first; the next one finds the extension gone and leaves without a word.
//! A job is held by a lock that ends with the process, so that a `running` row without it is known to
//! be of a run that crashed.

pub mod actions;
mod builder;
pub mod clock;
mod databases;
mod last_words;
mod launcher;
pub mod lock;
mod make_way;
pub mod nudge;
pub mod process;
pub mod runner;
mod statement;
pub mod status;
mod transaction;
mod visit;
pub mod waits;

use pgrx::pg_sys;
use std::sync::atomic::{AtomicBool, Ordering};

/// `pg_stat_activity.backend_type` of the launcher that the server starts.
pub const LAUNCHER: &str = "lake_stores launcher";
/// The same of a launcher started for one database, whose OID follows.
pub const LAUNCHER_OF: &str = "lake_stores launcher of database ";
/// The same of a visit.
pub const VISIT: &str = "lake_stores visit";
/// The same of a process for long jobs of a database, one at a time.
pub const BUILDER: &str = "lake_stores builder";

/// Set in the postmaster and inherited by every process it forks.
static PRELOADED: AtomicBool = AtomicBool::new(false);

/// Whether the library came by `shared_preload_libraries`, so that the server runs a launcher.
pub fn is_preloaded() -> bool {
    PRELOADED.load(Ordering::Relaxed)
}

/// Registers the launcher where the library is being preloaded.
pub fn init() {
    // SAFETY: flags of this process, set before any library is loaded.
    let (preloading, upgrading) =
        unsafe { (pg_sys::process_shared_preload_libraries_in_progress, pg_sys::IsBinaryUpgrade) };
    if preloading && !upgrading {
        PRELOADED.store(true, Ordering::Relaxed);
        launcher::builder(None).load();
        make_way::install();
    }
}
