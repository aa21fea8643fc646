//! A visit to one database: look whether anything is to be done, do what is due, leave.

use crate::catalog::run::Failure;
use crate::catalog::{dropped, run, version};
use crate::error::Result;
use crate::workers::clock::{Clock, SystemClock};
use crate::workers::{VISIT, actions, builder, last_words, lock, process, runner, transaction};
use crate::{gucs, spi};
use pgrx::bgworkers::BackgroundWorker;
use pgrx::{pg_guard, pg_sys};

#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn lake_stores_visit(argument: pg_sys::Datum) {
    process::install_signals();
    // An OID, passed by value. The role is the bootstrap superuser; jobs run as owners of stores.
    let database = pg_sys::Oid::from(argument.value() as u32);
    BackgroundWorker::connect_worker_to_spi_by_oid(Some(database), None);
    settle_in(VISIT);
    last_words::register();
    match visit(&SystemClock) {
        Ok(Found::NoExtension) => {
            process::ask_to_end(BackgroundWorker::get_extra().parse().unwrap_or(0));
        }
        Ok(_) => {}
        Err(failure) => process::log(&format!(
            "lake_stores couldn't look after database {}: {}",
            database.to_u32(),
            failure.message
        )),
    }
}

/// Settings of a process that does jobs: nothing that the database's owner has set for its sessions may lead
/// statements of the superuser astray, or make a job wait for ever.
pub fn settle_in(name: &str) {
    process::name(name);
    process::set("search_path", "pg_catalog, pg_temp");
    process::set("session_replication_role", "origin");
    process::set("default_transaction_read_only", "off");
    process::set("default_transaction_isolation", "read committed");
    process::set("statement_timeout", "0");
    process::set("idle_in_transaction_session_timeout", "0");
    // From 17 on.
    if process::setting("transaction_timeout").is_some() {
        process::set("transaction_timeout", "0");
    }
    process::set("standard_conforming_strings", "on");
    process::set("row_security", "on");
    process::set_default("max_parallel_workers_per_gather", "0");
    process::set_default("synchronous_commit", "local");
    process::set_default("lock_timeout", &format!("{}ms", gucs::worker_lock_timeout_ms()));
}

/// What a visit found.
#[derive(Debug)]
enum Found {
    NoExtension,
    /// In recovery, switched off, being dropped, or another version's catalogue.
    NotNow,
    /// These jobs are due.
    Due(Vec<run::Due>),
}

fn visit(clock: &dyn Clock) -> Result<Found, Failure> {
    process::report(Some("lake_stores: looking for due jobs"));
    let found = transaction::run(|| look(clock))?;
    if let Found::Due(jobs) = &found {
        let long = |job: &&run::Due| actions::is_long(job.kind, &job.action);
        if jobs.iter().any(|job| long(&job)) && builder_is_free()? {
            builder::start();
        }
        for job in jobs.iter().filter(|job| !long(job)) {
            process::reload_if_asked();
            if gucs::jobs() {
                runner::run(job.job_id, clock)?;
            }
        }
    }
    process::report(None);
    Ok(found)
}

fn builder_is_free() -> Result<bool, Failure> {
    transaction::run(|| Ok(lock::hold_extension(false)? && lock::try_take_builder()?.is_some()))
}

/// Tidies the catalogue and says what is due.
fn look(clock: &dyn Clock) -> Result<Found> {
    // SAFETY: reads shared state.
    if unsafe { pg_sys::RecoveryInProgress() } {
        return Ok(Found::NotNow);
    }
    if !lock::is_installed() {
        return Ok(Found::NoExtension);
    }
    if !lock::hold_extension(false)? {
        return Ok(Found::NotNow);
    }
    if let Err(error) = version::check() {
        process::log(&format!("lake_stores rests: {error}"));
        return Ok(Found::NotNow);
    }
    if !gucs::jobs() {
        return Ok(Found::NotNow);
    }
    let now = clock.now();
    let forgotten = dropped::prune()?;
    if forgotten > 0 {
        process::log(&format!("lake_stores forgot {forgotten} stores whose tables are gone"));
    }
    run::settle_crashed(lock::is_held, now)?;
    run::prune(now)?;
    spi::execute(
        "UPDATE _lake.visit SET pid = pg_catalog.pg_backend_pid(), visited_at = $1",
        &[now.into()],
    )?;
    Ok(Found::Due(run::due(now)?))
}
