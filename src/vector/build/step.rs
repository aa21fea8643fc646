//! The job that builds an index. What the next step is follows from what is there, so that a run that was
//! killed anywhere is taken up by the next one.

use super::request::{self, Plan, Wish};
use super::{check, partitioned, present, record, restore};
use crate::access;
use crate::catalog::version::parts;
use crate::catalog::{Store, job};
use crate::error::{Error, Result};
use crate::names;
use crate::regclass::RegClass;
use crate::spi;
use crate::vector::store::VectorStore;
use crate::vector::{cost, recall};
use crate::workers::actions::{Progress, Statement, Step};
use pgrx::datum::TimestampWithTimeZone;
use serde_json::Value;

/// From this version on pgvector builds graphs in several processes without overflowing a buffer.
const PARALLEL_SINCE: &str = "0.8.2";

/// The next thing to do.
pub fn step(store: &Store, config: &Value, now: TimestampWithTimeZone) -> Result<Step> {
    let vector = VectorStore::load(Some(RegClass(store.oid())))?;
    if let Some(kept) = restore::wanted(config)? {
        return restore::step(&vector, &kept, now);
    }
    let name = wanted(config)?;
    if vector.partitioned {
        for begun in record::unfinished(store.oid())?.iter().filter(|begun| *begun != name) {
            partitioned::remove(&vector, begun)?;
        }
    } else if let Some(statement) = leftover(&vector, name)? {
        return Ok(Step::Statement(statement));
    }
    let plan = request::plan(&vector, &Wish::from_json(config))?;
    if vector.partitioned
        && let Some(next) = partitioned::step(&vector, &plan, name, now)?
    {
        return Ok(next);
    }
    let finished = record::finished(store.oid())?.iter().any(|index| index == name);
    let present = present::all(&vector)?;
    let Some(index) = present.iter().find(|index| index.name == name) else {
        // Everybody who is to wait for the build has committed before it begins.
        record::begin(store.oid(), name, &plan.kind(), (plan.memory_kb, plan.rows), now)?;
        return Ok(Step::Statement(create(&vector, &plan, name)));
    };
    if !finished {
        let recall = check::check(&vector, &plan.definition, index.oid, name)?;
        record::finish(store.oid(), name, plan.rows, recall, now)?;
        recall::portrait::keep(&vector, name)?;
        cost::calibrate(&vector)?;
        return Ok(Step::Done(Progress::default()));
    }
    let replaced = config["replaces"].as_array().map_or(&[][..], Vec::as_slice);
    let old = present.iter().find(|index| {
        index.name != name && !index.building && replaced.iter().any(|old| *old == index.name)
    });
    if let Some(old) = old {
        if vector.partitioned {
            partitioned::remove(&vector, &old.name)?;
            return Ok(Step::Done(Progress { subject: old.qualified(), ..Progress::default() }));
        }
        record::forget(store.oid(), &old.name)?;
        return Ok(Step::Statement(drop(&old.schema, &old.name)));
    }
    job::hasten(store, recall::ACTION)?;
    Ok(Step::Finished(Progress::default()))
}

/// Removes what a failed run has left: an index that isn't complete, or that was found useless.
pub fn clean_up(store: &Store, config: &Value) -> Result<Option<Statement>> {
    let vector = VectorStore::load(Some(RegClass(store.oid())))?;
    if let Some(kept) = restore::wanted(config)? {
        return restore::clean_up(&vector, &kept);
    }
    let name = wanted(config)?;
    if vector.partitioned {
        return partitioned::clean_up(store, &vector, name);
    }
    let unfinished = record::unfinished(store.oid())?;
    let found = present::all(&vector)?.into_iter().find(|index| index.name == name);
    Ok(match found {
        Some(index) if unfinished.contains(&index.name) => Some(drop(&index.schema, &index.name)),
        _ => None,
    })
}

fn wanted(config: &Value) -> Result<&str> {
    config["name"]
        .as_str()
        .ok_or_else(|| Error::internal("the job of an index build doesn't say its name"))
}

/// The drop of an index that an earlier build left behind: not complete, or not the one wanted now.
fn leftover(vector: &VectorStore, name: &str) -> Result<Option<Statement>> {
    let relid = vector.store.oid();
    let present = present::all(vector)?;
    for begun in record::unfinished(relid)? {
        match present.iter().find(|index| index.name == begun) {
            Some(index) if !index.building && (!index.valid || index.name != name) => {
                return Ok(Some(drop(&index.schema, &index.name)));
            }
            None if begun != name => record::forget(relid, &begun)?,
            _ => {}
        }
    }
    Ok(None)
}

/// What a build runs with.
pub fn parallel_settings(vector: &VectorStore, memory_kb: i32) -> Vec<(&'static str, String)> {
    let mut settings = vec![("maintenance_work_mem", format!("{memory_kb}kB"))];
    if parts(&vector.engine.version) < parts(PARALLEL_SINCE) {
        settings.push(("max_parallel_maintenance_workers", "0".into()));
    }
    settings
}

fn create(vector: &VectorStore, plan: &Plan, name: &str) -> Statement {
    let settings = parallel_settings(vector, plan.memory_kb);
    Statement::new(
        plan.definition.create(vector, name, true),
        plan.definition.create(vector, name, false),
        settings,
        Progress {
            subject: names::qualified(&vector.relation().schema, name),
            #[expect(clippy::cast_possible_truncation, reason = "a size")]
            rows: plan.rows as i64,
            ..Progress::default()
        },
    )
}

/// The drop of an index.
pub fn drop(schema: &str, name: &str) -> Statement {
    let index = names::qualified(schema, name);
    Statement::new(
        format!("DROP INDEX CONCURRENTLY IF EXISTS {index}"),
        format!("DROP INDEX IF EXISTS {index}"),
        vec![],
        Progress { subject: format!("dropped {index}"), ..Progress::default() },
    )
}

/// Ends the build of a store: the job goes at once, what it was at is cancelled when this transaction
/// commits. False where there is none.
pub fn cancel(store: &Store) -> Result<bool> {
    access::require_owner(&store.relation)?;
    let running = access::as_extension_owner(|| {
        spi::one::<i32>(
            "SELECT r.pid FROM _lake.job j JOIN _lake.job_run r USING (job_id) \
             WHERE j.relid = $1::pg_catalog.regclass AND j.kind = 'vector' AND j.action = $2 \
               AND r.outcome = 'running' ORDER BY r.run_id DESC LIMIT 1",
            &[store.oid().into(), super::ACTION.into()],
        )
    })??;
    let removed = job::remove(store, super::ACTION)?;
    if let (Some(pid), true) = (running, removed) {
        crate::workers::nudge::cancel_at_commit(pid);
    }
    Ok(removed)
}
