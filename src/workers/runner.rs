//! One job: begun, taken step by step as the owner of its store, ended. In a worker each of these is
//! a transaction of its own; [`run_now`] does the same in the caller's.

use crate::access;
use crate::catalog::Store;
use crate::catalog::run::{self, Failure, Run, Totals};
use crate::error::{Error, Result};
use crate::regclass::RegClass;
use crate::workers::actions::{self, Action, Progress, Step};
use crate::workers::clock::Clock;
use crate::workers::lock::{self, JobLock};
use crate::workers::{last_words, process, transaction};
use pgrx::{PgSqlErrorCode, pg_sys};

/// How many subjects (chunks, indexes) a run's record names.
const MAX_SUBJECTS: usize = 100;

/// Does a job that is due, if it still is and nobody else is at it. Errors are those of the record
/// itself; a failure of the job is recorded.
pub fn run(job_id: i64, clock: &dyn Clock) -> Result<(), Failure> {
    let begun = transaction::run(|| {
        if !lock::hold_extension(false)? {
            return Ok(None);
        }
        let Some(lock) = JobLock::try_take(job_id)? else { return Ok(None) };
        Ok(run::begin(job_id, true, clock.now())?.map(|run| (lock, run)))
    })?;
    let Some((_lock, run)) = begun else { return Ok(()) };
    let _unfinished = last_words::Unfinished::new(&run);
    process::report(Some(&format!("lake_stores job {}: {}", run.job_id, run.action)));

    let mut totals = Totals::default();
    let outcome = loop {
        process::reload_if_asked();
        pgrx::check_for_interrupts!();
        let step = transaction::run(|| {
            if !lock::hold_extension(true)? {
                return Ok(None);
            }
            step_as_owner(&run, clock).map(Some)
        });
        match step {
            // The extension was dropped, and the record of this run with it.
            Ok(None) => return Ok(()),
            Ok(Some(Step::Idle)) => break Ok(()),
            Ok(Some(Step::Done(progress))) => totals.add(progress),
            Ok(Some(Step::Last(progress))) => {
                totals.add(progress);
                break Ok(());
            }
            Err(failure) => break Err(failure),
        }
    };

    transaction::run(|| {
        if !lock::hold_extension(true)? {
            return Ok(());
        }
        match &outcome {
            Ok(()) => run::succeed(&run, &totals, clock.now()),
            Err(failure) => {
                process::log(&format!(
                    "lake_stores job {} ({}) failed: {} {}",
                    run.job_id, run.action, failure.sqlstate, failure.message
                ));
                run::fail(&run, &totals, failure, clock.now())
            }
        }
    })
}

/// Does a job now, due or not, in the caller's transaction; the caller's rights were checked. An
/// error undoes all of it, the record too. 55006 where the worker is at it.
pub fn run_now(job_id: i64, clock: &dyn Clock) -> Result<(i64, Totals)> {
    if !lock::take_for_transaction(job_id)? {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_OBJECT_IN_USE,
            format!("job {job_id} is running already"),
        )
        .hint("SELECT * FROM lake.job_runs WHERE outcome = 'running' shows since when."));
    }
    let run = run::begin(job_id, false, clock.now())?
        .ok_or_else(|| Error::undefined_object(format!("job {job_id} does not exist")))?;
    let mut totals = Totals::default();
    loop {
        pgrx::check_for_interrupts!();
        match step_as_owner(&run, clock)? {
            Step::Idle => break,
            Step::Done(progress) => totals.add(progress),
            Step::Last(progress) => {
                totals.add(progress);
                break;
            }
        }
    }
    run::succeed(&run, &totals, clock.now())?;
    Ok((run.run_id, totals))
}

/// One step with the rights of the store's owner and nothing more. What the owner's functions set
/// (triggers, index expressions) ends with the step.
fn step_as_owner(run: &Run, clock: &dyn Clock) -> Result<Step> {
    let store = Store::find(RegClass(run.relid), run.kind)?;
    let action = find_action(run)?;
    let owner = access::owner_of(&store.relation)?;
    // SAFETY: opens a level of settings, closed below, or by the abort that follows an error.
    let level = unsafe { pg_sys::NewGUCNestLevel() };
    let step = access::as_role(owner, || (action.step)(&store, &run.config, clock.now()));
    // SAFETY: closes the level above and rolls back every setting made in it.
    unsafe { pg_sys::AtEOXact_GUC(false, level) };
    step
}

fn find_action(run: &Run) -> Result<&'static Action> {
    actions::find(run.kind, &run.action).ok_or_else(|| {
        Error::undefined_object(format!("{} stores have no job \"{}\"", run.kind, run.action))
            .hint("The job was made by another version of lake_stores; remove it or update.")
    })
}

impl Totals {
    fn add(&mut self, progress: Progress) {
        self.steps += 1;
        self.rows += progress.rows;
        self.bytes_before += progress.bytes_before;
        self.bytes_after += progress.bytes_after;
        if !progress.subject.is_empty() && self.subjects.len() < MAX_SUBJECTS {
            self.subjects.push(progress.subject);
        }
    }
}
