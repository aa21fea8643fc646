//! Doing something that may fail on its data, inside a subtransaction.

use crate::catalog::run::sqlstate;
use crate::error::{Error, Result};
use pgrx::pg_sys;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::{PgSqlErrorCode, PgTryBuilder};
use std::panic::AssertUnwindSafe;

/// Runs `f` in a subtransaction, which is undone when it fails. Only faults of the data come back as
/// an error (SQLSTATE classes 22 and 23, a failed check option, what a trigger raised, a value too
/// long for an index); anything else, a cancel above all, goes on up once the subtransaction is undone: whoever catches it there, such as
/// a block of PL/pgSQL, undoes the one that it began itself.
pub fn attempt<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    attempt_catching(is_fault_of_data, f)
}

/// The same, where the errors that `caught` fits come back.
pub fn attempt_catching<R>(
    caught: fn(PgSqlErrorCode) -> bool,
    f: impl FnOnce() -> Result<R>,
) -> Result<R> {
    // SAFETY: as PL/pgSQL does for a block with EXCEPTION: the context and the resource owner that
    // were current before are so again after, and exactly one of commit and rollback follows.
    unsafe {
        let context = pg_sys::CurrentMemoryContext;
        let owner = pg_sys::CurrentResourceOwner;
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::MemoryContextSwitchTo(context);
        let undo = || {
            pg_sys::RollbackAndReleaseCurrentSubTransaction();
            pg_sys::MemoryContextSwitchTo(context);
            pg_sys::CurrentResourceOwner = owner;
        };
        let result = PgTryBuilder::new(AssertUnwindSafe(f))
            .catch_others(|cause| match &cause {
                CaughtError::PostgresError(report) | CaughtError::ErrorReport(report)
                    if caught(report.sql_error_code()) =>
                {
                    let mut error = Error::new(report.sql_error_code(), report.message());
                    error.detail = report.detail().map(str::to_owned);
                    error.hint = report.hint().map(str::to_owned);
                    Err(error)
                }
                _ => {
                    undo();
                    cause.rethrow()
                }
            })
            .catch_rust_panic(|cause| {
                undo();
                cause.rethrow()
            })
            .execute();
        if result.is_err() {
            undo();
        } else {
            pg_sys::ReleaseCurrentSubTransaction();
            pg_sys::MemoryContextSwitchTo(context);
            pg_sys::CurrentResourceOwner = owner;
        }
        result
    }
}

fn is_fault_of_data(code: PgSqlErrorCode) -> bool {
    let state = sqlstate(code as i32);
    ["22", "23", "44", "P0"].contains(&&state[..2]) || state == "54000"
}
