//! `lake.health()`: what needs somebody's attention, each with what to do about it.

use crate::access;
use crate::catalog::version;
use crate::common::engines::{faults_of, state};
use crate::error::Result;
use crate::geo;
use crate::gucs;
use crate::series;
use crate::spi;
use crate::vector;
use crate::workers::{is_preloaded, status};
use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

/// One row.
struct Finding {
    severity: &'static str,
    subject: String,
    finding: String,
    remedy: String,
}

const ERROR: &str = "error";
pub const WARNING: &str = "warning";
pub const INFO: &str = "info";

/// Rows worth attention, the gravest first; none where all is well. `severity` is `error` (answers or
/// data may be wrong, or nothing runs), `warning` (will become one) or `info`.
#[pg_extern(schema = "lake", volatile, parallel_unsafe)]
#[allow(clippy::type_complexity)]
pub fn health() -> Result<
    TableIterator<
        'static,
        (
            name!(severity, String),
            name!(subject, String),
            name!(finding, String),
            name!(remedy, String),
        ),
    >,
    ErrorReport,
> {
    let mut found = Vec::new();
    catalogue(&mut found)?;
    engines(&mut found)?;
    worker(&mut found)?;
    // SAFETY: reads who calls, before the checks act as somebody else.
    let caller = unsafe { pg_sys::GetUserId() };
    let of_timescaledb = series::health::of_timescaledb()?;
    let by_query = access::as_extension_owner(|| {
        CHECKS
            .iter()
            .chain(&vector::health::CHECKS)
            .chain(&series::health::CHECKS)
            .chain(&geo::health::CHECKS)
            .chain(of_timescaledb)
            .map(|check| run(check, caller))
            .collect::<Result<Vec<_>>>()
    })??;
    found.extend(by_query.into_iter().flatten());
    found.sort_by_key(|f| {
        ([ERROR, WARNING, INFO].iter().position(|s| *s == f.severity), f.subject.clone())
    });
    Ok(TableIterator::new(
        found.into_iter().map(|f| (f.severity.to_owned(), f.subject, f.finding, f.remedy)),
    ))
}

fn catalogue(found: &mut Vec<Finding>) -> Result<()> {
    if let Err(error) = version::check() {
        found.push(Finding {
            severity: ERROR,
            subject: "lake_stores".into(),
            finding: error.message,
            remedy: error.hint.unwrap_or_default(),
        });
    }
    Ok(())
}

fn engines(found: &mut Vec<Finding>) -> Result<()> {
    let Some(version) = state("vector")?.installed else { return Ok(()) };
    let indexes = access::as_extension_owner(|| {
        spi::scalar::<i64>(
            "SELECT count(*) FROM pg_class i JOIN pg_am a ON a.oid = i.relam \
             WHERE i.relkind = 'i' AND a.amname = 'hnsw'",
            &[],
        )
    })??;
    for fault in faults_of("vector", &version) {
        let used = indexes > 0 && fault.finding.contains("HNSW");
        found.push(Finding {
            severity: match (fault.corrupts, used) {
                (true, true) => ERROR,
                (true, false) => WARNING,
                (false, _) => INFO,
            },
            subject: format!("vector {version}"),
            finding: match used {
                true => format!("{}; {indexes} HNSW indexes here", fault.finding),
                false => fault.finding.to_owned(),
            },
            remedy: format!(
                "Install pgvector {} or newer, ALTER EXTENSION vector UPDATE{}.",
                fault.fixed_in,
                if used { ", then REINDEX the HNSW indexes" } else { "" }
            ),
        });
    }
    Ok(())
}

fn worker(found: &mut Vec<Finding>) -> Result<()> {
    let jobs =
        spi::scalar::<i64>("SELECT pg_catalog.count(*) FROM _lake.job WHERE NOT paused", &[])?;
    let severity = if jobs > 0 { ERROR } else { INFO };
    // SAFETY: reads shared state.
    if unsafe { pg_sys::RecoveryInProgress() } {
        return Ok(());
    }
    if !gucs::jobs() {
        found.push(Finding {
            severity: WARNING,
            subject: "worker".into(),
            finding: "lake_stores.jobs is off in this database".into(),
            remedy: "ALTER DATABASE ... RESET lake_stores.jobs;".into(),
        });
    } else if status::launcher_pid()?.is_none() {
        found.push(Finding {
            severity,
            subject: "worker".into(),
            finding: format!("no background worker looks after this database ({jobs} jobs wait)"),
            remedy: if is_preloaded() {
                "The server's log says why it ended; it starts again by itself.".into()
            } else {
                "SELECT lake.start_worker(); and add lake_stores to shared_preload_libraries."
                    .into()
            },
        });
    } else if !is_preloaded() {
        found.push(Finding {
            severity: INFO,
            subject: "worker".into(),
            finding: "the background worker was started by hand and ends with the server".into(),
            remedy: "Add lake_stores to shared_preload_libraries and restart the server.".into(),
        });
    }
    Ok(())
}

/// A query that finds what is in trouble: it returns the subject, the finding, and what stands for
/// `{}` in the remedy. `$1` is the role that asks, for what not everybody may see.
pub struct Check {
    pub severity: &'static str,
    pub sql: &'static str,
    pub remedy: &'static str,
}

static CHECKS: [Check; 8] = [
    Check {
        severity: ERROR,
        sql: "SELECT format('job %s', j.job_id), \
                  format('%s of %s has failed %s times in a row%s', j.action, j.relid, j.failures, \
                         CASE WHEN pg_has_role($1, c.relowner, 'USAGE') \
                                OR pg_has_role($1, 'pg_monitor', 'USAGE') \
                         THEN ': ' || coalesce(concat_ws(' ', last.sqlstate, last.message), 'not recorded') \
                         END), \
                  j.job_id::text \
              FROM _lake.job j JOIN pg_class c ON c.oid = j.relid \
              LEFT JOIN LATERAL ( \
                  SELECT r.sqlstate, r.message FROM _lake.job_run r \
                  WHERE r.job_id = j.job_id AND r.outcome IN ('failure', 'crash') \
                  ORDER BY r.run_id DESC LIMIT 1) last ON true \
              WHERE j.failures > 0 AND NOT j.paused \
              AND NOT EXISTS (SELECT FROM _lake.job_run r WHERE r.job_id = j.job_id \
                                AND r.outcome = 'running' AND j.failures = 1)",
        remedy: "SELECT * FROM lake.job_runs WHERE job_id = {} ORDER BY run_id DESC; mend the cause, then SELECT lake.run_job({}); or wait.",
    },
    // A visit comes every lake_stores.naptime, at most an hour; what is in trouble is told by others.
    Check {
        severity: WARNING,
        sql: "SELECT format('job %s', j.job_id), \
                  format('%s of %s is late: due since %s', j.action, j.relid, date_trunc('second', j.next_run)), '' \
              FROM _lake.job j JOIN pg_class c ON c.oid = j.relid \
              WHERE NOT j.paused AND j.failures = 0 \
              AND j.next_run < now() - greatest(interval '15 minutes', \
                      3 * current_setting('lake_stores.naptime')::interval) \
              AND NOT EXISTS (SELECT FROM _lake.job_run r WHERE r.job_id = j.job_id AND r.outcome = 'running')",
        remedy: "SELECT * FROM lake.worker_status; what runs long is in lake.job_runs WHERE outcome = 'running'. More lake_stores.max_visits help where there are many databases.",
    },
    Check {
        severity: WARNING,
        sql: "SELECT s.relid::text, 'the series store has no chunk', '' FROM _lake.store s \
              JOIN pg_class c ON c.oid = s.relid \
              WHERE s.kind = 'series' AND c.relkind = 'p' \
              AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = s.relid)",
        remedy: "Run the job that makes chunks (lake.jobs), or insert through lake.series_ingest.",
    },
    Check {
        severity: WARNING,
        sql: "SELECT s.relid::text, 'the series store has no chunk for the present', s.relid::text FROM _lake.store s \
              WHERE s.kind = 'series' AND s.engine = 'native' AND s.options ? 'chunk_interval' \
              AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = s.relid) \
              AND NOT EXISTS (SELECT FROM _lake.chunks() k WHERE k.store = s.relid \
                                AND coalesce(k.range_start, '-infinity') <= now() \
                                AND coalesce(k.range_end, 'infinity') > now())",
        remedy: "SELECT lake.run_job(job_id) FROM lake.jobs WHERE store = '{}'::regclass AND action = 'make_chunks'; and see that the worker runs.",
    },
    Check {
        severity: WARNING,
        sql: "WITH RECURSIVE tree (oid) AS ( \
                  SELECT s.relid::oid FROM _lake.store s \
                  UNION SELECT i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.oid) \
              SELECT x.indexrelid::regclass::text, \
                  format('an index on %s is invalid: it costs writes and serves nobody', x.indrelid::regclass), x.indexrelid::regclass::text \
              FROM pg_index x JOIN tree ON tree.oid = x.indrelid WHERE NOT x.indisvalid \
              AND NOT EXISTS (SELECT FROM _lake.job j WHERE j.relid = x.indrelid AND j.action = 'build_index') \
              AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = x.indexrelid)",
        remedy: "DROP INDEX CONCURRENTLY {}; and build it again.",
    },
    Check {
        severity: WARNING,
        sql: "SELECT format('store %s', s.relid), 'the table of this store is gone', '' FROM _lake.store s \
              WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = s.relid)",
        remedy: "The next visit of the worker forgets it.",
    },
    Check {
        severity: WARNING,
        sql: "SELECT l.relid::text, \
                  format('a load began at %s and hasn''t ended: %s vector indexes are missing, and searches are slow', \
                         date_trunc('second', l.begun_at), jsonb_array_length(l.indexes)), quote_literal(l.relid::text) \
              FROM _lake.vector_load l JOIN pg_class c ON c.oid = l.relid \
              WHERE l.begun_at < now() - interval '1 hour' AND jsonb_array_length(l.indexes) > 0",
        remedy: "SELECT lake.vector_end_load({}); unless it still goes on.",
    },
    Check {
        severity: INFO,
        sql: "SELECT l.relid::text, format('a load began at %s', date_trunc('second', l.begun_at)), quote_literal(l.relid::text) \
              FROM _lake.vector_load l JOIN pg_class c ON c.oid = l.relid \
              WHERE l.begun_at >= now() - interval '1 hour' OR jsonb_array_length(l.indexes) = 0",
        remedy: "SELECT lake.vector_end_load({}); at its end.",
    },
];

fn run(check: &Check, caller: pg_sys::Oid) -> Result<Vec<Finding>> {
    spi::rows(check.sql, &[caller.into()], |row| {
        Ok(Finding {
            severity: check.severity,
            subject: spi::need(row, 1)?,
            finding: spi::need(row, 2)?,
            remedy: check.remedy.replace("{}", &spi::need::<String>(row, 3)?),
        })
    })
}
