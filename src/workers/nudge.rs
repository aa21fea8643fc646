//! Wakes the launcher when a job was made due, once that is committed; cancels a job likewise.

use crate::workers::{BUILDER, LAUNCHER, LAUNCHER_OF, process};
use pgrx::pg_sys;
use pgrx::{PgXactCallbackEvent, register_xact_callback};
use std::cell::Cell;

thread_local! {
    /// Whether this transaction will wake the launcher.
    static PENDING: Cell<bool> = const { Cell::new(false) };
}

/// At the end of this transaction, if it commits. Once, however often called.
pub fn at_commit() {
    if PENDING.replace(true) {
        return;
    }
    register_xact_callback(PgXactCallbackEvent::Commit, || {
        PENDING.set(false);
        wake();
    });
    register_xact_callback(PgXactCallbackEvent::Abort, || PENDING.set(false));
    // What is prepared is committed by somebody else, later; the naptime will do.
    register_xact_callback(PgXactCallbackEvent::Prepare, || PENDING.set(false));
}

/// Cancels what a builder of this database is at, once this transaction has committed.
pub fn cancel_at_commit(pid: i32) {
    register_xact_callback(PgXactCallbackEvent::Commit, move || {
        // SAFETY: set at start-up of every session.
        let database = unsafe { pg_sys::MyDatabaseId };
        if process::find(Some(database), |kind| kind == BUILDER).contains(&pid) {
            process::cancel(pid);
        }
    });
}

fn wake() {
    // SAFETY: set at start-up of every session.
    let mine = format!("{LAUNCHER_OF}{}", unsafe { pg_sys::MyDatabaseId }.to_u32());
    for launcher in process::find(None, |kind| kind == LAUNCHER || kind == mine) {
        process::wake(launcher);
    }
}
