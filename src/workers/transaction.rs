//! A transaction of a worker, with errors caught outside of it.
//!
//! pgrx's own `BackgroundWorker::transaction` commits what was written before a caught error. Here the
//! handler stands around the whole transaction: whatever goes wrong, at commit too, aborts it.

use crate::catalog::run::{Failure, sqlstate};
use crate::error::Result;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::{PgTryBuilder, pg_sys};
use std::panic::AssertUnwindSafe;

/// Runs `body` in a transaction of its own and commits; rolls back where it fails or raises.
pub fn run<T>(body: impl FnOnce() -> Result<T>) -> Result<T, Failure> {
    catch(|| {
        // SAFETY: called outside of any transaction; ended below or by the abort that follows.
        unsafe {
            pg_sys::SetCurrentStatementStartTimestamp();
            pg_sys::StartTransactionCommand();
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        }
        let value = body()?;
        // SAFETY: ends the transaction begun above, whose snapshot is on top.
        unsafe {
            pg_sys::PopActiveSnapshot();
            pg_sys::CommitTransactionCommand();
        }
        Ok(value)
    })
}

/// Runs `body`, which begins and commits transactions itself; rolls back the open one where it fails
/// or raises.
pub fn catch<T>(body: impl FnOnce() -> Result<T>) -> Result<T, Failure> {
    let attempt = AssertUnwindSafe(|| {
        body().map_err(|error| {
            abort();
            Failure::from(error)
        })
    });
    let outcome = PgTryBuilder::new(attempt)
        .catch_others(|caught| {
            abort();
            Err(describe(&caught))
        })
        .catch_rust_panic(|caught| {
            abort();
            Err(describe(&caught))
        })
        .execute();
    // SAFETY: outside of a transaction, as it must be.
    unsafe { pg_sys::pgstat_report_stat(true) };
    outcome
}

fn abort() {
    // SAFETY: may be called in any state; leaves none.
    unsafe { pg_sys::AbortOutOfAnyTransaction() }
}

fn describe(caught: &CaughtError) -> Failure {
    let (CaughtError::PostgresError(report)
    | CaughtError::ErrorReport(report)
    | CaughtError::RustPanic { ereport: report, .. }) = caught;
    Failure {
        sqlstate: sqlstate(report.sql_error_code() as i32),
        message: report.message().to_owned(),
        detail: report.detail().map(str::to_owned),
        hint: report.hint().map(str::to_owned),
    }
}
