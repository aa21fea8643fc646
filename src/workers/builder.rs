//! The process that does the long jobs of a database (index builds, measurements), one after the other, so
//! that its short ones go on meanwhile. A visit starts it; it leaves when it is through.

use crate::workers::clock::SystemClock;
use crate::workers::{BUILDER, actions, last_words, lock, process, runner, transaction, visit};
use crate::{catalog::run, gucs};
use pgrx::bgworkers::{BackgroundWorker, BackgroundWorkerBuilder};
use pgrx::datum::IntoDatum;
use pgrx::{pg_guard, pg_sys};

/// Starts one for this database; the next visit tries again where no process is free.
pub fn start() {
    // SAFETY: set at start-up of every process that is connected to a database.
    let database = unsafe { pg_sys::MyDatabaseId };
    let started = BackgroundWorkerBuilder::new(&format!("{BUILDER} of {}", database.to_u32()))
        .set_type(BUILDER)
        .set_library("lake_stores")
        .set_function("lake_stores_builder")
        .set_argument(database.into_datum())
        .enable_spi_access()
        .load_dynamic();
    if started.is_err() {
        process::log(
            "lake_stores finds no free background worker for long jobs; raise max_worker_processes",
        );
    }
}

#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn lake_stores_builder(argument: pg_sys::Datum) {
    process::install_signals();
    // An OID, passed by value. The role is the bootstrap superuser; jobs run as owners of stores.
    let database = pg_sys::Oid::from(argument.value() as u32);
    BackgroundWorker::connect_worker_to_spi_by_oid(Some(database), None);
    visit::settle_in(BUILDER);
    last_words::register();
    if let Err(failure) = work() {
        process::log(&format!(
            "lake_stores couldn't do the long jobs of database {}: {}",
            database.to_u32(),
            failure.message
        ));
    }
}

fn work() -> Result<(), run::Failure> {
    let clock = SystemClock;
    let begun = transaction::run(|| {
        if !lock::hold_extension(false)? {
            return Ok(None);
        }
        let Some(slot) = lock::try_take_builder()? else { return Ok(None) };
        Ok(Some((slot, run::due(crate::workers::clock::Clock::now(&clock))?)))
    })?;
    let Some((_slot, due)) = begun else { return Ok(()) };
    for job in due.iter().filter(|job| actions::is_long(job.kind, &job.action)) {
        process::reload_if_asked();
        if gucs::jobs() {
            runner::run(job.job_id, &clock)?;
        }
    }
    Ok(())
}
