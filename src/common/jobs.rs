//! `lake.run_job` and `lake.alter_job`.

use crate::access;
use crate::catalog::version;
use crate::error::{Error, Result, SqlResult};
use crate::names::Relation;
use crate::spi;
use crate::workers::clock::SystemClock;
use crate::workers::runner;
use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::{JsonB, pg_sys};

/// Does a job now, in this transaction, as the owner of its store; the record says so too. Paused
/// jobs can be run like this. For members of the owner's role.
#[pg_extern(schema = "lake", volatile, parallel_unsafe)]
#[allow(clippy::type_complexity)]
pub fn run_job(
    job_id: Option<i64>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(run_id, i64),
            name!(steps, i64),
            name!(rows, i64),
            name!(bytes_before, i64),
            name!(bytes_after, i64),
        ),
    >,
    ErrorReport,
> {
    let job_id = owned_job(job_id)?;
    let (run_id, totals) = runner::run_now(job_id, &SystemClock)?;
    Ok(TableIterator::once((
        run_id,
        totals.steps,
        totals.rows,
        totals.bytes_before,
        totals.bytes_after,
    )))
}

/// Changes a job: what is null stays as it is. Resuming a job (`paused => false`) forgets its
/// failures. For members of the owner's role.
#[pg_extern(schema = "lake", volatile, parallel_unsafe)]
pub fn alter_job(
    job_id: Option<i64>,
    schedule: default!(Option<Interval>, "NULL"),
    next_run: default!(Option<TimestampWithTimeZone>, "NULL"),
    paused: default!(Option<bool>, "NULL"),
    config: default!(Option<JsonB>, "NULL"),
) -> SqlResult<()> {
    let job_id = owned_job(job_id)?;
    if let Some(schedule) = schedule {
        // As Postgres compares intervals: a month is 30 days.
        if schedule.as_micros() < 1_000_000 {
            return Err(Error::invalid_parameter("schedule must be a second or more")
                .hint("paused => true stops a job.")
                .into());
        }
    }
    if let Some(JsonB(config)) = &config
        && !config.is_object()
    {
        return Err(Error::invalid_parameter("config must be a JSON object").into());
    }
    access::as_extension_owner(|| {
        spi::execute(
            "UPDATE _lake.job SET schedule = coalesce($2, schedule), \
                 next_run = coalesce($3, next_run), paused = coalesce($4, paused), \
                 config = coalesce($5, config), \
                 failures = CASE WHEN $4 IS FALSE THEN 0 ELSE failures END \
             WHERE job_id = $1",
            &[job_id.into(), schedule.into(), next_run.into(), paused.into(), config.into()],
        )
    })
    .and_then(|done| done)?;
    Ok(())
}

/// A job whose store the current user owns.
fn owned_job(job_id: Option<i64>) -> Result<i64> {
    version::check()?;
    let job_id = job_id.ok_or_else(|| Error::null_value("job_id must not be null"))?;
    let relid = spi::one::<pg_sys::Oid>(
        "SELECT relid::pg_catalog.oid FROM _lake.job WHERE job_id OPERATOR(pg_catalog.=) $1",
        &[job_id.into()],
    )?
    .ok_or_else(|| {
        Error::undefined_object(format!("job {job_id} does not exist"))
            .hint("SELECT job_id, store, action FROM lake.jobs shows those there are.")
    })?;
    let relation = Relation::by_oid(relid)?;
    access::require_owner(&relation)?;
    Ok(job_id)
}
