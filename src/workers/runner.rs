//! One job: begun, taken step by step as the owner of its store, ended. In a worker each of these is
//! a transaction of its own; [`run_now`] does the same in the caller's.

use crate::access;
use crate::catalog::Store;
use crate::catalog::run::{self, Failure, Run, Totals};
use crate::error::{Error, Result};
use crate::regclass::RegClass;
use crate::spi::{self, LocalSettings};
use crate::workers::actions::{self, Action, Progress, Statement, Step};
use crate::workers::clock::Clock;
use crate::workers::lock::{self, JobLock};
use crate::workers::{last_words, process, statement, transaction, waits};
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

    let attempts = actions::find(run.kind, &run.action).and_then(|action| action.attempts);
    let mut totals = Totals::default();
    waits::take();
    let outcome = loop {
        // Failures rest by themselves; crashes were counted, but by nobody who could act on it.
        if attempts.is_some_and(|most| run.failures_before() >= most) {
            break Err(given_up(&run));
        }
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
            Ok(Some((_, Step::Idle))) => break Ok(false),
            Ok(Some((_, Step::Done(progress)))) => totals.add(progress),
            Ok(Some((_, Step::Last(progress)))) => {
                totals.add(progress);
                break Ok(false);
            }
            Ok(Some((_, Step::Finished(progress)))) => {
                totals.add(progress);
                break Ok(true);
            }
            Ok(Some((owner, Step::Statement(next)))) => match run_statement(&run, &next, owner) {
                Ok(()) => {
                    next.progress.into_iter().for_each(|progress| totals.add(progress));
                    if next.last {
                        break Ok(false);
                    }
                }
                Err(failure) => break Err(failure),
            },
            Err(failure) => break Err(failure),
        }
    };
    if outcome.is_err() {
        clean_up(&run);
    }
    totals.lock_wait = waits::take();

    transaction::run(|| {
        if !lock::hold_extension(true)? {
            return Ok(());
        }
        match &outcome {
            Ok(true) => run::finish(&run, &totals, clock.now()),
            Ok(false) => run::succeed(&run, &totals, clock.now()),
            Err(failure) => {
                process::log(&format!(
                    "lake_stores job {} ({}) failed: {} {}",
                    run.job_id, run.action, failure.sqlstate, failure.message
                ));
                run::fail(&run, &totals, failure, attempts, clock.now())
            }
        }
    })
}

/// A statement at the top level, and what is to be written down after it.
fn run_statement(run: &Run, next: &Statement, owner: pg_sys::Oid) -> Result<(), Failure> {
    let waiting = next.waits.then(waits::Wait::begin);
    statement::run(next, owner)?;
    drop(waiting);
    let Some(done) = &next.done else { return Ok(()) };
    transaction::run(|| {
        if lock::hold_extension(true)? {
            as_owner(run, |store| (done.note)(store, done.relation))?;
        }
        Ok(())
    })
}

fn given_up(run: &Run) -> Failure {
    Failure {
        sqlstate: "55000".into(),
        message: format!("given up: the last {} runs failed or crashed", run.failures_before()),
        detail: None,
        hint: Some(
            "lake.job_runs says how; lake.alter_job(…, paused => false) tries again.".into(),
        ),
    }
}

/// Removes what a failed run left behind. What can't be removed now is by the next run.
fn clean_up(run: &Run) {
    let found = transaction::run(|| {
        let clean_up = actions::find(run.kind, &run.action).and_then(|action| action.clean_up);
        let (Some(clean_up), true) = (clean_up, lock::hold_extension(true)?) else {
            return Ok(None);
        };
        let (owner, statement) = as_owner(run, |store| clean_up(store, &run.config))?;
        Ok(statement.map(|statement| (owner, statement)))
    });
    let done = match found {
        Ok(Some((owner, statement))) => statement::run(&statement, owner),
        Ok(None) => Ok(()),
        Err(failure) => Err(failure),
    };
    if let Err(failure) = done {
        process::log(&format!(
            "lake_stores job {} couldn't clean up: {}",
            run.job_id, failure.message
        ));
    }
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
    waits::take();
    let finished = loop {
        pgrx::check_for_interrupts!();
        match step_as_owner(&run, clock)? {
            (_, Step::Idle) => break false,
            (_, Step::Done(progress)) => totals.add(progress),
            (_, Step::Last(progress)) => {
                totals.add(progress);
                break false;
            }
            (_, Step::Finished(progress)) => {
                totals.add(progress);
                break true;
            }
            (_, Step::Statement(next)) => {
                as_owner(&run, |store| in_transaction(store, &next))?;
                next.progress.into_iter().for_each(|progress| totals.add(progress));
                if next.last {
                    break false;
                }
            }
        }
    };
    totals.lock_wait = waits::take();
    if finished {
        run::finish(&run, &totals, clock.now())?;
    } else {
        run::succeed(&run, &totals, clock.now())?;
    }
    Ok((run.run_id, totals))
}

/// What a statement does, in the caller's transaction.
pub fn in_transaction(store: &Store, statement: &Statement) -> Result<()> {
    let settings = LocalSettings::new();
    for (name, value) in &statement.settings {
        settings.set(name, value);
    }
    spi::execute(&statement.in_transaction, &[])?;
    if let Some(done) = &statement.done {
        (done.note)(store, done.relation)?;
    }
    Ok(())
}

/// One step, with the role it was done as.
fn step_as_owner(run: &Run, clock: &dyn Clock) -> Result<(pg_sys::Oid, Step)> {
    let action = find_action(run)?;
    as_owner(run, |store| (action.step)(store, &run.config, clock.now()))
}

/// Something done with the rights of the store's owner and nothing more. What the owner's functions
/// set (triggers, index expressions) ends with it.
fn as_owner<T>(run: &Run, f: impl FnOnce(&Store) -> Result<T>) -> Result<(pg_sys::Oid, T)> {
    let store = Store::find(RegClass(run.relid), run.kind)?;
    let owner = access::owner_of(&store.relation)?;
    // SAFETY: opens a level of settings, closed below, or by the abort that follows an error.
    let level = unsafe { pg_sys::NewGUCNestLevel() };
    let done = access::as_role(owner, || f(&store));
    // SAFETY: closes the level above and rolls back every setting made in it.
    unsafe { pg_sys::AtEOXact_GUC(false, level) };
    Ok((owner, done?))
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
