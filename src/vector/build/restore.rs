//! Indexes made again after a load, as they were, by the job that builds indexes: one after the other, each
//! concurrently.

use super::step::{drop, parallel_settings};
use super::{ACTION, memory, record};
use crate::catalog::job;
use crate::error::{Error, Result};
use crate::names;
use crate::spi;
use crate::vector::store::VectorStore;
use crate::vector::{cost, recall, sample};
use crate::workers::actions::{Progress, Statement, Step};
use pgrx::PgSqlErrorCode;
use pgrx::datum::TimestampWithTimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What it takes to make an index again on a table that may have been renamed since.
#[derive(Debug, Serialize, Deserialize)]
pub struct Kept {
    pub name: String,
    /// What follows `CREATE INDEX … ON …` in Postgres' own words, from `USING` on.
    pub using: String,
    pub tablespace: Option<String>,
    pub comment: Option<String>,
}

impl Kept {
    pub fn create(&self, vector: &VectorStore, concurrently: bool) -> String {
        let concurrently = if concurrently { "CONCURRENTLY " } else { "" };
        let name = names::ident(&self.name);
        format!("CREATE INDEX {concurrently}{name} ON {} {}", vector.relation(), self.using)
    }

    /// Puts the comment back, where there was one.
    pub fn remark(&self, vector: &VectorStore) -> Result<()> {
        if let Some(comment) = &self.comment {
            let index = vector.relation().sibling(&self.name);
            let comment = names::literal(comment);
            spi::execute(&format!("COMMENT ON INDEX {index} IS {comment}"), &[])?;
        }
        Ok(())
    }
}

/// Leaves it to the job.
pub fn submit(vector: &VectorStore, kept: &[Kept]) -> Result<i64> {
    job::ensure(&vector.store, ACTION, "1 day", &json!({ "restore": kept }))
}

/// What a job is to make again; `None` for one that builds an index that was planned.
pub fn wanted(config: &Value) -> Result<Option<Vec<Kept>>> {
    match config.get("restore") {
        Some(kept) => serde_json::from_value(kept.clone())
            .map(Some)
            .map_err(|error| Error::internal(format!("the job's config: {error}"))),
        None => Ok(None),
    }
}

/// The next thing to do.
pub fn step(vector: &VectorStore, kept: &[Kept], now: TimestampWithTimeZone) -> Result<Step> {
    let relid = vector.store.oid();
    let unfinished = record::unfinished(relid)?;
    for index in kept {
        match state(vector, &index.name)? {
            State::Missing => {
                let rows = sample::size(vector, i64::MAX)?;
                let memory_kb = memory::grant_kb(memory::limit());
                record::begin(relid, &index.name, "restored", (memory_kb, rows), now)?;
                return Ok(Step::Statement(create(vector, index, memory_kb, rows)));
            }
            State::Building => {
                return Err(Error::new(
                    PgSqlErrorCode::ERRCODE_OBJECT_IN_USE,
                    format!("somebody else is building {}", names::ident(&index.name)),
                ));
            }
            State::Invalid => {
                return Ok(Step::Statement(drop(&vector.relation().schema, &index.name)));
            }
            State::Valid if unfinished.contains(&index.name) => {
                let rows = sample::size(vector, i64::MAX)?;
                record::finish(relid, &index.name, rows, None, now)?;
                index.remark(vector)?;
                recall::portrait::keep(vector, &index.name)?;
                return Ok(Step::Done(Progress::default()));
            }
            State::Valid => {}
        }
    }
    if vector.index()?.is_some() {
        cost::calibrate(vector)?;
        job::hasten(&vector.store, recall::ACTION)?;
    }
    Ok(Step::Finished(Progress::default()))
}

/// The drop of one that a failed run left behind.
pub fn clean_up(vector: &VectorStore, kept: &[Kept]) -> Result<Option<Statement>> {
    for index in kept {
        if matches!(state(vector, &index.name)?, State::Invalid) {
            return Ok(Some(drop(&vector.relation().schema, &index.name)));
        }
    }
    Ok(None)
}

enum State {
    Missing,
    Building,
    /// Left behind by a build that failed.
    Invalid,
    Valid,
}

fn state(vector: &VectorStore, name: &str) -> Result<State> {
    let found = spi::rows(
        "SELECT i.indisvalid AND i.indisready, \
                EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p \
                        WHERE p.index_relid = i.indexrelid) \
         FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
         WHERE i.indrelid = $1 AND c.relname = $2::pg_catalog.text",
        &[vector.store.oid().into(), name.into()],
        |row| Ok((spi::need::<bool>(row, 1)?, spi::need::<bool>(row, 2)?)),
    )?;
    Ok(match found.first() {
        None => State::Missing,
        Some((true, _)) => State::Valid,
        Some((false, true)) => State::Building,
        Some((false, false)) => State::Invalid,
    })
}

fn create(vector: &VectorStore, index: &Kept, memory_kb: i32, rows: f64) -> Statement {
    let mut settings = parallel_settings(vector, memory_kb);
    settings.push(("default_tablespace", index.tablespace.clone().unwrap_or_default()));
    Statement::new(
        index.create(vector, true),
        index.create(vector, false),
        settings,
        Progress {
            subject: vector.relation().sibling(&index.name),
            #[expect(clippy::cast_possible_truncation, reason = "a size")]
            rows: rows as i64,
            ..Progress::default()
        },
    )
}
