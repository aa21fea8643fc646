//! What SQL sees of the workers, and how it starts one.

use crate::access;
use crate::error::{Error, Result, SqlResult};
use crate::workers::{BUILDER, LAUNCHER, LAUNCHER_OF, VISIT, launcher, lock};
use crate::{gucs, spi};
use pgrx::bgworkers::BackgroundWorkerStatus;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::{PgSqlErrorCode, pg_sys};

/// The process that looks after this database: the server's launcher or the database's own.
pub fn launcher_pid() -> Result<Option<i32>> {
    // SAFETY: forgets what this transaction has seen of other processes, so that it looks again.
    unsafe { pg_sys::pgstat_clear_backend_activity_snapshot() };
    access::as_extension_owner(|| {
        spi::one(
            "SELECT pid FROM pg_catalog.pg_stat_activity \
             WHERE backend_type = $1 \
                OR backend_type = $2 || (SELECT oid FROM pg_catalog.pg_database \
                                         WHERE datname = pg_catalog.current_database())::text \
             ORDER BY backend_type LIMIT 1",
            &[LAUNCHER.into(), LAUNCHER_OF.into()],
        )
    })?
}

/// The process of this type that is in this database now.
fn here(kind: &str) -> Result<Option<i32>> {
    access::as_extension_owner(|| {
        spi::one(
            "SELECT pid FROM pg_catalog.pg_stat_activity \
             WHERE backend_type = $1 AND datname = pg_catalog.current_database() LIMIT 1",
            &[kind.into()],
        )
    })?
}

/// Starts the background worker of this database and returns its process id; where one runs already,
/// says so and returns that one's. For the database's owner and owners of stores in it.
#[pg_extern(schema = "lake", volatile, parallel_unsafe)]
pub fn start_worker() -> SqlResult<i32> {
    crate::catalog::version::check()?;
    require_stake()?;
    // SAFETY: reads shared state.
    if unsafe { pg_sys::RecoveryInProgress() } {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_READ_ONLY_SQL_TRANSACTION,
            "a standby runs no background worker",
        )
        .hint("Jobs run on the primary; start the worker there.")
        .into());
    }
    lock::take_launcher()?;
    if let Some(pid) = launcher_pid()? {
        notice!("the background worker is running already (process {pid})");
        return Ok(pid);
    }
    // SAFETY: set at start-up of every session.
    let (database, me) = unsafe { (pg_sys::MyDatabaseId, pg_sys::MyProcPid) };
    let full = || {
        Error::new(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_RESOURCES,
            "no background worker process is free",
        )
        .hint("Raise max_worker_processes and restart the server.")
    };
    let worker =
        launcher::builder(Some(database)).set_notify_pid(me).load_dynamic().map_err(|_| full())?;
    match worker.wait_for_startup() {
        Ok(pid) => {
            wait_until_visible(pid)?;
            Ok(pid)
        }
        Err(BackgroundWorkerStatus::PostmasterDied) => {
            Err(Error::internal("the server is going down").into())
        }
        Err(_) => Err(Error::internal("the background worker ended at its start")
            .hint("The server's log says why.")
            .into()),
    }
}

/// A process shows in `pg_stat_activity` a moment after its start; until then, a second call would
/// start a second one.
fn wait_until_visible(pid: i32) -> Result<()> {
    for _ in 0..500 {
        if launcher_pid()? == Some(pid) {
            break;
        }
        pgrx::check_for_interrupts!();
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    Ok(())
}

/// 42501 unless the current user has a stake in the workers of this database.
fn require_stake() -> Result<()> {
    let stake = spi::one::<bool>(
        "SELECT pg_catalog.pg_has_role(d.datdba, 'USAGE') OR EXISTS ( \
             SELECT FROM _lake.store s JOIN pg_catalog.pg_class c \
                 ON c.oid OPERATOR(pg_catalog.=) s.relid::pg_catalog.oid \
             WHERE pg_catalog.pg_has_role(c.relowner, 'USAGE')) \
         FROM pg_catalog.pg_database d \
         WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()",
        &[],
    )?;
    if stake == Some(true) {
        return Ok(());
    }
    Err(Error::insufficient_privilege("permission denied to start the background worker")
        .hint("The database's owner, superusers and owners of stores in it may."))
}

/// What `lake.worker_status` shows.
#[pg_extern(schema = "_lake", volatile, parallel_restricted)]
#[allow(clippy::type_complexity)]
pub fn worker_status() -> Result<
    TableIterator<
        'static,
        (
            name!(preloaded, bool),
            name!(state, String),
            name!(launcher_pid, Option<i32>),
            name!(visit_pid, Option<i32>),
            name!(builder_pid, Option<i32>),
            name!(last_visit, Option<TimestampWithTimeZone>),
            name!(naptime, Interval),
            name!(jobs_enabled, bool),
        ),
    >,
    ErrorReport,
> {
    let (launcher, visit, builder) = (launcher_pid()?, here(VISIT)?, here(BUILDER)?);
    let state = match (launcher, visit.or(builder)) {
        (_, Some(_)) => "working",
        (Some(_), None) => "waiting",
        (None, None) => "not running",
    };
    let last = access::as_extension_owner(|| spi::one("SELECT visited_at FROM _lake.visit", &[]))??;
    Ok(TableIterator::once((
        super::is_preloaded(),
        state.to_owned(),
        launcher,
        visit,
        builder,
        last,
        Interval::from_seconds(f64::from(gucs::naptime_s())),
        gucs::jobs(),
    )))
}
