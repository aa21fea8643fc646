//! Settings, all under the reserved prefix `lake_stores.`, each with what it does and why its default.

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use pgrx::pg_sys;
use std::time::Duration;

/// How often the launcher looks for databases with due jobs. A minute is as fine as job schedules
/// are allowed to be; more often would only cost start-ups of visiting workers.
static NAPTIME_S: GucSetting<i32> = GucSetting::<i32>::new(60);

/// Rows that one call may carry. A batch is held in memory as a whole, so this is what keeps one
/// call from taking the server's memory; 1,000,000 is far past the size where batches stop paying.
static MAX_BATCH_ROWS: GucSetting<i32> = GucSetting::<i32>::new(1_000_000);

/// How long a worker waits for a lock before it gives way and tries again later.
static WORKER_LOCK_TIMEOUT_MS: GucSetting<i32> = GucSetting::<i32>::new(1_000);

/// Matching rows up to which a vector search is exact; -1 leaves it to the formula in `vector::plan`,
/// which grows with the size of the store and with `k`.
static EXACT_CUTOFF: GucSetting<i32> = GucSetting::<i32>::new(-1);

/// The cut-off as set; `None` leaves it to the formula.
pub fn exact_cutoff() -> Option<i64> {
    let rows = EXACT_CUTOFF.get();
    (rows >= 0).then_some(i64::from(rows))
}

/// Whether workers do jobs here. Per database (`ALTER DATABASE … SET`), so that a restore can load
/// tables and jobs in any order before the first job touches a table.
static JOBS: GucSetting<bool> = GucSetting::<bool>::new(true);

/// How many databases are looked after at a time. Two, so that one long job doesn't hold up every
/// other database, and most of `max_worker_processes` (8 by default) stays free for others.
static MAX_VISITS: GucSetting<i32> = GucSetting::<i32>::new(2);

/// How long finished runs stay in `lake.job_runs`: long enough to see what happened last month.
static HISTORY_DAYS: GucSetting<i32> = GucSetting::<i32>::new(30);

/// Whether stores whose policy says so get their index by themselves.
static AUTO_INDEX: GucSetting<bool> = GucSetting::<bool>::new(true);

/// Most memory that one index build in the background takes, in kB. A gigabyte holds the graph of some
/// 450,000 rows of 384 dimensions; there is one build at a time in a database.
static INDEX_BUILD_MEMORY_KB: GucSetting<i32> = GucSetting::<i32>::new(1_048_576);

pub fn auto_index() -> bool {
    AUTO_INDEX.get()
}

pub fn index_build_memory_kb() -> i32 {
    INDEX_BUILD_MEMORY_KB.get()
}

pub fn jobs() -> bool {
    JOBS.get()
}

pub fn max_visits() -> usize {
    usize::try_from(MAX_VISITS.get()).unwrap_or(1)
}

pub fn history_days() -> i32 {
    HISTORY_DAYS.get()
}

pub fn naptime_s() -> i32 {
    NAPTIME_S.get()
}

pub fn max_batch_rows() -> usize {
    usize::try_from(MAX_BATCH_ROWS.get()).unwrap_or(usize::MAX)
}

pub fn worker_lock_timeout_ms() -> i32 {
    WORKER_LOCK_TIMEOUT_MS.get()
}

pub fn worker_lock_timeout() -> Duration {
    Duration::from_millis(WORKER_LOCK_TIMEOUT_MS.get().unsigned_abs().into())
}

pub fn init() {
    GucRegistry::define_int_guc(
        c"lake_stores.naptime",
        c"Time between two looks of the launcher for due jobs.",
        c"Jobs become due at their own schedule; this is how late they may start.",
        &NAPTIME_S,
        1,
        3_600,
        GucContext::Sighup,
        GucFlags::UNIT_S,
    );
    GucRegistry::define_int_guc(
        c"lake_stores.max_batch_rows",
        c"Rows that one call of an upsert or ingest function may carry.",
        c"A batch is held in memory as a whole; larger loads go in several calls.",
        &MAX_BATCH_ROWS,
        1,
        i32::MAX,
        GucContext::Userset,
        GucFlags::empty(),
    );
    GucRegistry::define_int_guc(
        c"lake_stores.worker_lock_timeout",
        c"How long a background job waits for a lock before it gives way.",
        c"The job is tried again later, with growing pauses; nobody queues behind it for longer. Ten times as long where nobody queues.",
        &WORKER_LOCK_TIMEOUT_MS,
        1,
        600_000,
        GucContext::Sighup,
        GucFlags::UNIT_MS,
    );
    GucRegistry::define_int_guc(
        c"lake_stores.exact_cutoff",
        c"Matching rows up to which a vector search is exact.",
        c"-1 chooses by the size of the store and k; lake.vector_explain shows the choice.",
        &EXACT_CUTOFF,
        -1,
        i32::MAX,
        GucContext::Userset,
        GucFlags::empty(),
    );
    GucRegistry::define_bool_guc(
        c"lake_stores.jobs",
        c"Whether background workers do the jobs of this database.",
        c"Switch off with ALTER DATABASE ... SET while a dump is restored into it.",
        &JOBS,
        GucContext::Suset,
        GucFlags::empty(),
    );
    GucRegistry::define_bool_guc(
        c"lake_stores.auto_index",
        c"Whether vector stores whose policy says so get their index in the background.",
        c"lake.vector_set_index_policy says so for one store.",
        &AUTO_INDEX,
        GucContext::Suset,
        GucFlags::empty(),
    );
    GucRegistry::define_int_guc(
        c"lake_stores.index_build_memory",
        c"Most memory that an index build in the background takes.",
        c"Half of the machine's free memory is a limit too; maintenance_work_mem is taken where it is more.",
        &INDEX_BUILD_MEMORY_KB,
        1_024,
        i32::MAX,
        GucContext::Suset,
        GucFlags::UNIT_KB,
    );
    GucRegistry::define_int_guc(
        c"lake_stores.max_visits",
        c"How many databases are looked after at the same time.",
        c"Each takes one of max_worker_processes while it has jobs that are due.",
        &MAX_VISITS,
        1,
        64,
        GucContext::Sighup,
        GucFlags::empty(),
    );
    GucRegistry::define_int_guc(
        c"lake_stores.history_days",
        c"How many days finished runs stay in lake.job_runs.",
        c"The newest 1000 runs of a job are kept at most; the last run of each job always stays.",
        &HISTORY_DAYS,
        1,
        36_500,
        GucContext::Sighup,
        GucFlags::empty(),
    );
    // SAFETY: a constant, NUL-terminated prefix; called once, after all settings are defined.
    unsafe { pg_sys::MarkGUCPrefixReserved(c"lake_stores".as_ptr()) }
}
