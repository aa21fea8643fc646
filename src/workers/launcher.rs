//! The launcher: connected to no database, it starts a visit to each, a few at a time, and waits.
//!
//! One is started with the server where the library is preloaded, and looks after all databases.
//! `lake.start_worker()` starts one for a single database; that one ends when its database or the
//! extension in it is gone.

use crate::gucs;
use crate::workers::process;
use crate::workers::{LAUNCHER, LAUNCHER_OF, VISIT, databases};
use pgrx::bgworkers::{BackgroundWorker, BackgroundWorkerBuilder};
use pgrx::datum::IntoDatum;
use pgrx::{PgMemoryContexts, pg_guard, pg_sys};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long the postmaster waits before it starts a launcher again that ended by an error.
const RESTART: Duration = Duration::from_secs(5);
/// The shortest time between two rounds, however often somebody asks for one.
const BREATH: Duration = Duration::from_secs(1);
/// How soon a visit is tried again that found no free process: parallel queries take and free them all
/// the time.
const RETRY: Duration = Duration::from_millis(200);
/// After how many visits that found no extension the launcher of one database ends. More than one,
/// because it may have been started in the transaction that creates the extension.
const PATIENCE: u32 = 3;

/// A launcher of all databases, or of one.
pub fn builder(database: Option<pg_sys::Oid>) -> BackgroundWorkerBuilder {
    let kind = match database {
        None => LAUNCHER.to_owned(),
        Some(oid) => format!("{LAUNCHER_OF}{}", oid.to_u32()),
    };
    BackgroundWorkerBuilder::new(&kind)
        .set_type(&kind)
        .set_library("lake_stores")
        .set_function("lake_stores_launcher")
        .set_argument(database.unwrap_or(pg_sys::InvalidOid).into_datum())
        .set_restart_time(Some(RESTART))
        .enable_spi_access()
}

#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn lake_stores_launcher(argument: pg_sys::Datum) {
    // An OID, passed by value.
    let only = pg_sys::Oid::from(argument.value() as u32);
    let only = (only != pg_sys::InvalidOid).then_some(only);
    process::install_signals();
    BackgroundWorker::connect_worker_to_spi(None, None);
    process::name(LAUNCHER);
    Launcher {
        only,
        visits: Vec::new(),
        to_visit: VecDeque::new(),
        absent: 0,
        finds_no_process: false,
    }
    .run();
    // An orderly end: the postmaster forgets this worker.
}

struct Launcher {
    only: Option<pg_sys::Oid>,
    visits: Vec<Visit>,
    to_visit: VecDeque<pg_sys::Oid>,
    absent: u32,
    /// Where the last visit to be started was not.
    finds_no_process: bool,
}

/// A visit that is under way.
struct Visit {
    database: pg_sys::Oid,
    handle: *mut pg_sys::BackgroundWorkerHandle,
}

impl Launcher {
    fn run(&mut self) {
        let mut last_round = Instant::now();
        let mut next_round = last_round;
        loop {
            if process::reload_if_asked() {
                // Also how `nudge` says that a job was made due.
                next_round = next_round.min(last_round + BREATH);
            }
            self.reap();
            if process::asked_to_end() {
                self.absent += 1;
            }
            if self.only.is_some() && self.absent >= PATIENCE {
                return;
            }
            if Instant::now() >= next_round {
                last_round = Instant::now();
                next_round = last_round + naptime();
                if !self.plan_round() {
                    return;
                }
            }
            self.start_visits();
            let mut pause = next_round.saturating_duration_since(Instant::now());
            if self.finds_no_process && !self.to_visit.is_empty() {
                pause = pause.min(RETRY);
            }
            // Ends early when a visit ends, at SIGHUP and at SIGTERM, which doesn't come back.
            if !BackgroundWorker::wait_latch(Some(pause)) {
                return;
            }
        }
    }

    /// Notes which databases are to be visited; false where the only one is gone.
    fn plan_round(&mut self) -> bool {
        match databases::list() {
            Ok(mut found) => {
                if let Some(only) = self.only {
                    found.retain(|oid| *oid == only);
                    if found.is_empty() {
                        return false;
                    }
                }
                self.to_visit = found.into();
            }
            Err(failure) => process::log(&format!(
                "lake_stores can't read the list of databases: {}",
                failure.message
            )),
        }
        true
    }

    /// Starts visits while there are databases to visit and fewer than `lake_stores.max_visits`.
    fn start_visits(&mut self) {
        while self.visits.len() < gucs::max_visits() {
            let Some(database) = self.to_visit.pop_front() else { return };
            if self.visits.iter().any(|visit| visit.database == database) {
                continue;
            }
            match Visit::start(database) {
                Some(visit) => {
                    self.visits.push(visit);
                    self.finds_no_process = false;
                }
                None => {
                    self.to_visit.push_front(database);
                    // Said once, until it works again.
                    if !std::mem::replace(&mut self.finds_no_process, true) {
                        process::log(
                            "lake_stores finds no free background worker; raise max_worker_processes",
                        );
                    }
                    return;
                }
            }
        }
    }

    /// Forgets visits that have ended.
    fn reap(&mut self) {
        self.visits.retain(|visit| !visit.has_ended());
    }
}

impl Visit {
    fn start(database: pg_sys::Oid) -> Option<Self> {
        // SAFETY: reads this process' own id.
        let me = unsafe { pg_sys::MyProcPid };
        let builder = BackgroundWorkerBuilder::new(&format!("{VISIT} to {}", database.to_u32()))
            .set_type(VISIT)
            .set_library("lake_stores")
            .set_function("lake_stores_visit")
            .set_argument(database.into_datum())
            .set_extra(&me.to_string())
            .set_notify_pid(me)
            .enable_spi_access();
        let mut worker: pg_sys::BackgroundWorker = (&builder).into();
        let mut handle = std::ptr::null_mut();
        // SAFETY: both outlive the call, which sets the handle where it returns true, in memory that
        // lasts as long as the process.
        let started = unsafe {
            PgMemoryContexts::TopMemoryContext.switch_to(|_| {
                pg_sys::RegisterDynamicBackgroundWorker(&raw mut worker, &raw mut handle)
            })
        };
        // Lazily: a visit that never was has no handle to free.
        started.then(|| Self { database, handle })
    }

    fn has_ended(&self) -> bool {
        let mut pid = 0;
        // SAFETY: the handle lives until this value is dropped.
        let status = unsafe { pg_sys::GetBackgroundWorkerPid(self.handle, &raw mut pid) };
        status == pg_sys::BgwHandleStatus::BGWH_STOPPED
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        // SAFETY: allocated by RegisterDynamicBackgroundWorker for this value alone.
        unsafe { pg_sys::pfree(self.handle.cast()) }
    }
}

fn naptime() -> Duration {
    Duration::from_secs(u64::try_from(gucs::naptime_s()).unwrap_or(60))
}
