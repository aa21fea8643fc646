//! What a worker still writes when it is terminated in the middle of a job: that it was stopped, so
//! that the run isn't taken for a crash. A process that is killed says nothing.

use crate::catalog::run::{self, Run};
use crate::workers::clock::{Clock, SystemClock};
use crate::workers::{lock, transaction};
use pgrx::{pg_guard, pg_sys};
use std::cell::RefCell;
use std::ffi::c_int;

thread_local! {
    static UNFINISHED: RefCell<Option<Run>> = const { RefCell::new(None) };
}

/// While this lives, a run is under way.
pub struct Unfinished;

impl Unfinished {
    pub fn new(run: &Run) -> Self {
        UNFINISHED.set(Some(run.clone()));
        Unfinished
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        UNFINISHED.set(None);
    }
}

/// Called once in the life of a visit.
pub fn register() {
    // SAFETY: the callback lives as long as the library, which is never unloaded.
    unsafe { pg_sys::before_shmem_exit(Some(on_exit), pg_sys::Datum::from(0)) }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_exit(_code: c_int, _argument: pg_sys::Datum) {
    let Some(run) = UNFINISHED.take() else { return };
    // SAFETY: what was under way is lost; Postgres does the same before it drops temporary tables.
    // The user of a statement is the store's owner; what follows is the worker's own.
    unsafe {
        pg_sys::AbortOutOfAnyTransaction();
        pg_sys::SetUserIdAndSecContext(pg_sys::GetSessionUserId(), 0);
    }
    // An error here only ends the process, which is ending.
    let _ = transaction::run(|| {
        if lock::hold_extension(false)? {
            run::stopped(&run, SystemClock.now())?;
        }
        Ok(())
    });
}
