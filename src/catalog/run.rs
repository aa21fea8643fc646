//! Runs of jobs: begun, ended, found crashed, pruned. Each function is one transaction's worth, so
//! that a worker can commit between them and a foreground call can do without; time comes in as an
//! argument.

use crate::access;
use crate::catalog::StoreKind;
use crate::error::{Error, Result};
use crate::{gucs, spi};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::{JsonB, pg_sys};
use serde_json::{Value, json};
use std::time::Duration;

/// First pause after a failure; it doubles with each further one.
const FIRST_PAUSE_S: f64 = 30.0;
/// Longest pause, unless the job's own schedule is longer.
const LONGEST_PAUSE_S: f64 = 3_600.0;
/// Shortest pause after a crash: time for somebody to pause a job that takes the server down.
const CRASH_PAUSE_S: f64 = 300.0;
/// Longest text of a notification, in bytes.
const MAX_PAYLOAD: usize = 7_900;
/// Most runs kept for one job.
const KEEP_RUNS: i64 = 1_000;

/// A run that has begun.
#[derive(Debug, Clone)]
pub struct Run {
    pub run_id: i64,
    pub job_id: i64,
    pub relid: pg_sys::Oid,
    pub kind: StoreKind,
    pub action: String,
    pub config: Value,
    /// When the job was due; where its schedule goes on from.
    due_at: TimestampWithTimeZone,
    /// What `next_run` was set to for the case of a crash. Another value at the end means that
    /// somebody rescheduled the job meanwhile, which stands.
    pushed_to: TimestampWithTimeZone,
    failures_before: i32,
    schedule_s: f64,
}

impl Run {
    /// Runs in a row that failed or crashed before this one.
    pub fn failures_before(&self) -> i32 {
        self.failures_before
    }
}

/// What a run has done so far.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    pub steps: i64,
    pub rows: i64,
    pub bytes_before: i64,
    pub bytes_after: i64,
    pub subjects: Vec<String>,
    /// Time that went by until locks were there, and older transactions gone.
    pub lock_wait: Duration,
}

/// Why a run failed.
#[derive(Debug, Clone)]
pub struct Failure {
    pub sqlstate: String,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
}

/// The pause after the `failures`th failure in a row, in seconds: 30 s, 1 min, 2 min … up to an hour
/// or the job's schedule, whichever is longer.
pub fn pause_s(failures: i32, schedule_s: f64) -> f64 {
    let doublings = f64::from(failures.clamp(1, 32) - 1);
    (FIRST_PAUSE_S * doublings.exp2()).min(schedule_s.max(LONGEST_PAUSE_S))
}

/// A job that is due.
#[derive(Debug)]
pub struct Due {
    pub job_id: i64,
    pub kind: StoreKind,
    pub action: String,
}

/// Jobs that are due, those waiting longest first.
pub fn due(now: TimestampWithTimeZone) -> Result<Vec<Due>> {
    spi::rows(
        "SELECT job_id, kind, action FROM _lake.job WHERE NOT paused AND next_run <= $1 \
         ORDER BY next_run, job_id",
        &[now.into()],
        |row| {
            Ok(Due {
                job_id: spi::need(row, 1)?,
                kind: StoreKind::parse(&spi::need::<String>(row, 2)?)?,
                action: spi::need(row, 3)?,
            })
        },
    )
}

/// Begins a run: counts it as a failure in advance, so that a crash is counted whatever happens, and
/// writes its row. `None` where the job is gone, or (with `only_if_due`) isn't due after all.
pub fn begin(job_id: i64, only_if_due: bool, now: TimestampWithTimeZone) -> Result<Option<Run>> {
    access::as_extension_owner(|| {
        let found = spi::rows(
            "SELECT relid::pg_catalog.oid, kind, action, config, next_run, failures, \
                    pg_catalog.date_part('epoch', schedule) \
             FROM _lake.job WHERE job_id = $1 AND (NOT $2 OR (NOT paused AND next_run <= $3)) \
             FOR UPDATE",
            &[job_id.into(), only_if_due.into(), now.into()],
            |row| {
                Ok(Run {
                    run_id: 0,
                    job_id,
                    relid: spi::need(row, 1)?,
                    kind: StoreKind::parse(&spi::need::<String>(row, 2)?)?,
                    action: spi::need(row, 3)?,
                    config: spi::need::<JsonB>(row, 4)?.0,
                    due_at: spi::need(row, 5)?,
                    pushed_to: now,
                    failures_before: spi::need(row, 6)?,
                    schedule_s: spi::need(row, 7)?,
                })
            },
        )?;
        let Some(mut run) = found.into_iter().next() else { return Ok(None) };
        let failures = run.failures_before.saturating_add(1);
        let pause = pause_s(failures, run.schedule_s).max(CRASH_PAUSE_S);
        run.pushed_to = spi::scalar(
            "UPDATE _lake.job SET failures = $2, \
                    next_run = $3::pg_catalog.timestamptz + pg_catalog.make_interval(secs => $4) \
             WHERE job_id = $1 RETURNING next_run",
            &[job_id.into(), failures.into(), now.into(), pause.into()],
        )?;
        run.run_id = spi::scalar(
            "INSERT INTO _lake.job_run (job_id, relid, action, pid, started_at) \
             VALUES ($1, $2::pg_catalog.regclass, $3, pg_catalog.pg_backend_pid(), $4) RETURNING run_id",
            &[job_id.into(), run.relid.into(), run.action.as_str().into(), now.into()],
        )?;
        Ok(Some(run))
    })?
}

/// Ends a run well: no failures any more, and the next run where the schedule goes on.
pub fn succeed(run: &Run, totals: &Totals, now: TimestampWithTimeZone) -> Result<()> {
    access::as_extension_owner(|| {
        spi::execute(
            "UPDATE _lake.job SET failures = 0, next_run = CASE \
                 WHEN next_run <> $2 THEN next_run \
                 WHEN $3::pg_catalog.timestamptz > $4 THEN $3 \
                 WHEN $3::pg_catalog.timestamptz + schedule > $4 THEN $3 + schedule \
                 ELSE $4::pg_catalog.timestamptz + schedule END \
             WHERE job_id = $1",
            &[run.job_id.into(), run.pushed_to.into(), run.due_at.into(), now.into()],
        )?;
        end(run, "success", totals, None, now)
    })?
}

/// Ends the run of a job that is done for good, which goes, unless somebody has asked for it again.
pub fn finish(run: &Run, totals: &Totals, now: TimestampWithTimeZone) -> Result<()> {
    access::as_extension_owner(|| {
        spi::execute(
            "UPDATE _lake.job SET failures = 0 WHERE job_id = $1 AND next_run <> $2",
            &[run.job_id.into(), run.pushed_to.into()],
        )?;
        spi::execute(
            "DELETE FROM _lake.job WHERE job_id = $1 AND next_run = $2",
            &[run.job_id.into(), run.pushed_to.into()],
        )?;
        end(run, "success", totals, None, now)
    })?
}

/// Ends a run that failed: recorded with its SQLSTATE, tried again after a growing pause,
/// or paused after `attempts` failures in a row.
pub fn fail(
    run: &Run,
    totals: &Totals,
    failure: &Failure,
    attempts: Option<i32>,
    now: TimestampWithTimeZone,
) -> Result<()> {
    access::as_extension_owner(|| {
        let pause = pause_s(run.failures_before.saturating_add(1), run.schedule_s);
        spi::execute(
            "UPDATE _lake.job SET paused = paused OR coalesce(failures >= $5, false), \
                 next_run = CASE WHEN next_run <> $2 THEN next_run \
                 ELSE $3::pg_catalog.timestamptz + pg_catalog.make_interval(secs => $4) END \
             WHERE job_id = $1",
            &[run.job_id.into(), run.pushed_to.into(), now.into(), pause.into(), attempts.into()],
        )?;
        end(run, "failure", totals, Some(failure), now)?;
        notify(run, failure)
    })?
}

/// Tells whoever listens to `lake_jobs` of a failure. The server takes less than 8000 bytes.
fn notify(run: &Run, failure: &Failure) -> Result<()> {
    let store = spi::scalar::<String>(
        "SELECT $1::pg_catalog.regclass::pg_catalog.text",
        &[run.relid.into()],
    )?;
    let payload = |message: &str| {
        json!({
            "job": run.job_id,
            "store": store,
            "action": run.action,
            "sqlstate": failure.sqlstate,
            "message": message,
        })
        .to_string()
    };
    let mut message = failure.message.as_str();
    // In JSON a character takes up to six bytes for each of its own.
    while payload(message).len() > MAX_PAYLOAD {
        message = lake_chunks::range::cut(message, message.len() / 2);
    }
    spi::execute("SELECT pg_catalog.pg_notify('lake_jobs', $1)", &[payload(message).into()])?;
    Ok(())
}

/// Notes that a run was stopped from outside (server stopped, worker terminated): not the job's fault,
/// so it isn't counted, and it is tried again soon. For the last moment of a process, where a lock
/// can't be waited for: rows that somebody else holds stay as they are and will count as a crash.
pub fn stopped(run: &Run, now: TimestampWithTimeZone) -> Result<()> {
    access::as_extension_owner(|| {
        let free = spi::one::<i64>(
            "SELECT r.run_id FROM _lake.job j JOIN _lake.job_run r USING (job_id) \
             WHERE j.job_id = $1 AND r.run_id = $2 FOR UPDATE SKIP LOCKED",
            &[run.job_id.into(), run.run_id.into()],
        )?;
        if free.is_none() {
            return Ok(());
        }
        spi::execute(
            "UPDATE _lake.job SET failures = $4, next_run = CASE WHEN next_run <> $2 THEN next_run \
                 ELSE $3::pg_catalog.timestamptz + pg_catalog.make_interval(secs => $5) END \
             WHERE job_id = $1",
            &[
                run.job_id.into(),
                run.pushed_to.into(),
                now.into(),
                run.failures_before.into(),
                FIRST_PAUSE_S.into(),
            ],
        )?;
        let failure = Failure {
            sqlstate: "57P01".into(),
            message: "the worker was terminated".into(),
            detail: None,
            hint: None,
        };
        end(run, "failure", &Totals::default(), Some(&failure), now)
    })?
}

fn end(
    run: &Run,
    outcome: &str,
    totals: &Totals,
    failure: Option<&Failure>,
    now: TimestampWithTimeZone,
) -> Result<()> {
    let mut detail = json!({});
    if !totals.subjects.is_empty() {
        detail["subjects"] = json!(totals.subjects);
    }
    if let Some(failure) = failure {
        if let Some(text) = &failure.detail {
            detail["detail"] = json!(text);
        }
        if let Some(text) = &failure.hint {
            detail["hint"] = json!(text);
        }
    }
    spi::execute(
        "UPDATE _lake.job_run SET outcome = $2, finished_at = $3, sqlstate = $4, message = $5, \
             steps = $6, rows = $7, bytes_before = $8, bytes_after = $9, detail = $10, \
             lock_wait = pg_catalog.make_interval(secs => $11) \
         WHERE run_id = $1",
        &[
            run.run_id.into(),
            outcome.into(),
            now.into(),
            failure.map(|f| f.sqlstate.clone()).into(),
            failure.map(|f| f.message.clone()).into(),
            totals.steps.into(),
            totals.rows.into(),
            (totals.steps > 0).then_some(totals.bytes_before).into(),
            (totals.steps > 0).then_some(totals.bytes_after).into(),
            JsonB(detail).into(),
            totals.lock_wait.as_secs_f64().into(),
        ],
    )?;
    Ok(())
}

/// Marks runs that nobody works on any more: their process died. They were counted as failures when
/// they began. `is_running` says whether somebody holds the job.
pub fn settle_crashed(
    mut is_running: impl FnMut(i64) -> Result<bool>,
    now: TimestampWithTimeZone,
) -> Result<u64> {
    let open = spi::rows(
        "SELECT run_id, job_id FROM _lake.job_run WHERE outcome = 'running' ORDER BY run_id",
        &[],
        |row| Ok((spi::need::<i64>(row, 1)?, spi::need::<i64>(row, 2)?)),
    )?;
    let mut crashed = 0;
    for (run_id, job_id) in open {
        if is_running(job_id)? {
            continue;
        }
        crashed += access::as_extension_owner(|| {
            spi::execute(
                "UPDATE _lake.job_run SET outcome = 'crash', finished_at = $2, \
                     message = 'the process of this run ended without a word: crash, kill or power failure' \
                 WHERE run_id = $1 AND outcome = 'running'",
                &[run_id.into(), now.into()],
            )
        })??;
    }
    Ok(crashed)
}

/// Forgets old runs, but never the last one of a job.
pub fn prune(now: TimestampWithTimeZone) -> Result<u64> {
    access::as_extension_owner(|| {
        spi::execute(
            "DELETE FROM _lake.job_run r USING ( \
                 SELECT run_id, pg_catalog.row_number() OVER (PARTITION BY job_id ORDER BY run_id DESC) AS age \
                 FROM _lake.job_run) n \
             WHERE r.run_id = n.run_id AND n.age > 1 AND r.outcome <> 'running' \
               AND (n.age > $2 OR r.started_at < $1 - pg_catalog.make_interval(days => $3))",
            &[now.into(), KEEP_RUNS.into(), gucs::history_days().into()],
        )
    })?
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            sqlstate: sqlstate(error.code as i32),
            message: error.message,
            detail: error.detail,
            hint: error.hint,
        }
    }
}

/// Five characters from Postgres' packed form, six bits each (`MAKE_SQLSTATE` in `elog.h`).
pub fn sqlstate(code: i32) -> String {
    (0..5).map(|i| char::from(b'0' + ((code >> (6 * i)) & 0x3f) as u8)).collect()
}
