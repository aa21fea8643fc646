//! An index on a partitioned table, of which Postgres builds none concurrently: one on the table alone, which is
//! there at once and not valid; one concurrently on each partition; and each attached, until the whole is valid.
//! A partition that comes meanwhile brings its own. What is next follows from what is there.

use super::record;
use super::request::Plan;
use super::step::parallel_settings;
use crate::catalog::{Store, job};
use crate::error::{Error, Result};
use crate::names::{self, Relation};
use crate::spi;
use crate::vector::store::VectorStore;
use crate::workers::actions::{Progress, Statement, Step};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys;

/// A partition, of any level.
struct Part {
    relation: Relation,
    /// Rows are in it; else in partitions of its own.
    leaf: bool,
    rows: f64,
    /// The index of the table above that this one's belongs to.
    above: Option<String>,
    /// Of the index by the name that the build gives: valid; `None` where there is none.
    valid: Option<bool>,
    attached: bool,
}

/// Rows of the largest partition: one is built at a time. 0A000 for a partition on another server.
pub fn largest(vector: &VectorStore) -> Result<f64> {
    let leaves = spi::rows(
        "SELECT c.relkind::pg_catalog.text, GREATEST(c.reltuples, 0)::pg_catalog.float8, \
                c.oid::pg_catalog.regclass::pg_catalog.text \
         FROM pg_catalog.pg_partition_tree($1::pg_catalog.oid::pg_catalog.regclass) t \
         JOIN pg_catalog.pg_class c ON c.oid = t.relid WHERE t.isleaf AND c.oid <> $1",
        &[vector.store.oid().into()],
        |row| {
            let (kind, rows) = (spi::need::<String>(row, 1)?, spi::need::<f64>(row, 2)?);
            Ok((kind, rows, spi::need::<String>(row, 3)?))
        },
    )?;
    if let Some((_, _, name)) = leaves.iter().find(|(kind, ..)| kind != "r") {
        return Err(Error::unsupported(format!(
            "partition {name} of {} is not a table here, so the whole can have no index",
            vector.relation()
        ))
        .hint("Make an index on each of the other partitions by hand."));
    }
    Ok(leaves.into_iter().map(|(_, rows, _)| rows).fold(0.0, f64::max))
}

/// What the index on a partition is called: of the same name in every run.
fn part_name(name: &str, part: pg_sys::Oid) -> String {
    let tail = format!("_{}", part.to_u32());
    let mut head = name.to_owned();
    while head.len() + tail.len() > names::MAX_IDENT {
        head.pop();
    }
    head + &tail
}

/// The next thing to do; `None` once the index is whole, or where it isn't begun.
pub fn step(
    vector: &VectorStore,
    plan: &Plan,
    name: &str,
    now: TimestampWithTimeZone,
) -> Result<Option<Step>> {
    let table = vector.relation();
    let done = |subject: String| Some(Step::Done(Progress { subject, ..Progress::default() }));
    let Some(whole) = valid(vector, name)? else {
        record::begin(table.oid, name, &plan.kind(), (plan.memory_kb, plan.rows), now)?;
        let only = format!("ONLY {table}");
        spi::execute(&plan.definition.create_on(vector, &only, name, false), &[])?;
        return Ok(done(table.sibling(name)));
    };
    if whole {
        return Ok(None);
    }
    for part in parts(vector, name)? {
        pgrx::check_for_interrupts!();
        let (relation, own) = (&part.relation, part_name(name, part.relation.oid));
        match (part.attached, part.valid) {
            (true, _) => {}
            (false, Some(valid)) if valid || !part.leaf => {
                attach(&part, &own)?;
                return Ok(done(relation.sibling(&own)));
            }
            (false, Some(_)) => {
                return Ok(Some(Step::Statement(super::step::drop(&relation.schema, &own))));
            }
            (false, None) if part.leaf => {
                return Ok(Some(Step::Statement(create(vector, plan, &part, &own))));
            }
            (false, None) => {
                let only = format!("ONLY {relation}");
                spi::execute(&plan.definition.create_on(vector, &only, &own, false), &[])?;
                attach(&part, &own)?;
                return Ok(done(relation.sibling(&own)));
            }
        }
    }
    Err(Error::internal(format!(
        "every partition of {table} has its index, and the whole is not valid"
    )))
}

fn create(vector: &VectorStore, plan: &Plan, part: &Part, own: &str) -> Statement {
    let on = part.relation.to_string();
    Statement::new(
        plan.definition.create_on(vector, &on, own, true),
        plan.definition.create_on(vector, &on, own, false),
        parallel_settings(vector, plan.memory_kb),
        Progress {
            subject: part.relation.sibling(own),
            #[expect(clippy::cast_possible_truncation, reason = "a size")]
            rows: part.rows as i64,
            ..Progress::default()
        },
    )
}

fn attach(part: &Part, own: &str) -> Result<()> {
    let above = part.above.as_deref().ok_or_else(|| {
        Error::internal(format!("the table above {} has no index", part.relation))
    })?;
    let own = part.relation.sibling(own);
    spi::execute(&format!("ALTER INDEX {above} ATTACH PARTITION {own}"), &[])?;
    Ok(())
}

/// Whether the index on the table itself is valid; `None` where it isn't there.
fn valid(vector: &VectorStore, name: &str) -> Result<Option<bool>> {
    spi::one(
        "SELECT i.indisvalid FROM pg_catalog.pg_index i \
         JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
         WHERE i.indrelid = $1 AND c.relname = $2::pg_catalog.text",
        &[vector.store.oid().into(), name.into()],
    )
}

/// The partitions, those of an upper level first.
fn parts(vector: &VectorStore, name: &str) -> Result<Vec<Part>> {
    let root = vector.store.oid();
    let tree = spi::rows(
        "SELECT t.relid::pg_catalog.oid, t.parentrelid::pg_catalog.oid, t.isleaf, \
                GREATEST(c.reltuples, 0)::pg_catalog.float8 \
         FROM pg_catalog.pg_partition_tree($1::pg_catalog.oid::pg_catalog.regclass) t \
         JOIN pg_catalog.pg_class c ON c.oid = t.relid WHERE t.level > 0 ORDER BY t.level, t.relid",
        &[root.into()],
        |row| {
            let oid: pg_sys::Oid = spi::need(row, 1)?;
            let above: pg_sys::Oid = spi::need(row, 2)?;
            Ok((oid, above, spi::need::<bool>(row, 3)?, spi::need::<f64>(row, 4)?))
        },
    )?;
    tree.into_iter()
        .map(|(oid, above, leaf, rows)| {
            let upper = if above == root { name.to_owned() } else { part_name(name, above) };
            let found = spi::rows(
                "WITH upper AS ( \
                     SELECT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname) AS name \
                     FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
                     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                     WHERE i.indrelid = $2 AND c.relname = $4::pg_catalog.text) \
                 SELECT (SELECT name FROM upper), \
                        (SELECT i.indisvalid FROM pg_catalog.pg_index i \
                         JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
                         WHERE i.indrelid = $1 AND c.relname = $3::pg_catalog.text), \
                        EXISTS (SELECT FROM pg_catalog.pg_index i \
                                JOIN pg_catalog.pg_inherits h ON h.inhrelid = i.indexrelid \
                                JOIN upper ON upper.oid = h.inhparent WHERE i.indrelid = $1)",
                &[oid.into(), above.into(), part_name(name, oid).into(), upper.into()],
                |row| {
                    Ok((
                        spi::get::<String>(row, 1)?,
                        spi::get::<bool>(row, 2)?,
                        spi::need::<bool>(row, 3)?,
                    ))
                },
            )?;
            let (above, valid, attached) = found.into_iter().next().unwrap_or_default();
            Ok(Part { relation: Relation::by_oid(oid)?, leaf, rows, above, valid, attached })
        })
        .collect()
}

/// Drops an index with all its parts, and what was not attached yet. It locks the table, for a moment; in a
/// worker it doesn't wait for that, but is tried again.
pub fn remove(vector: &VectorStore, name: &str) -> Result<()> {
    for part in parts(vector, name)? {
        if !part.attached && part.valid.is_some() {
            let own = part.relation.sibling(&part_name(name, part.relation.oid));
            spi::execute(&format!("DROP INDEX {own}"), &[])?;
        }
    }
    let whole = vector.relation().sibling(name);
    spi::execute(&format!("DROP INDEX IF EXISTS {whole}"), &[])?;
    record::forget(vector.store.oid(), name)
}

/// After a run that failed: the part that it was at. After a build that was cancelled: all of it.
pub fn clean_up(store: &Store, vector: &VectorStore, name: &str) -> Result<Option<Statement>> {
    if job::find(store, super::ACTION)?.is_none() {
        remove(vector, name)?;
        return Ok(None);
    }
    let broken = parts(vector, name)?
        .into_iter()
        .find(|part| part.leaf && !part.attached && part.valid == Some(false));
    Ok(broken
        .map(|part| super::step::drop(&part.relation.schema, &part_name(name, part.relation.oid))))
}
