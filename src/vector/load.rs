//! Loading without vector indexes, which makes it several times as fast: their definitions are kept
//! in the catalogue while they are gone. Searches are exact meanwhile, and nothing builds an index.

use super::build;
use super::build::restore::{self, Kept};
use super::create::notice;
use super::store::VectorStore;
use crate::access;
use crate::catalog::{Store, job};
use crate::error::{Error, Result};
use crate::gucs;
use crate::names;
use crate::spi::{self, LocalSettings};
use crate::workers::status;
use pgrx::{JsonB, PgSqlErrorCode};

/// Whether a load of the store has begun and not ended.
pub fn begun(store: &Store) -> Result<bool> {
    access::as_extension_owner(|| {
        spi::scalar(
            "SELECT EXISTS (SELECT FROM _lake.vector_load WHERE relid = $1::pg_catalog.regclass)",
            &[store.oid().into()],
        )
    })?
}

/// Drops the vector indexes of the store, and returns how many there were. 42501 but for the owner,
/// 55000 where a load has begun already, 55006 while an index is being built.
pub fn begin(vector: &VectorStore) -> Result<i32> {
    let relation = vector.relation();
    access::require_owner(relation)?;
    if job::find(&vector.store, build::ACTION)?.is_some() {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_OBJECT_IN_USE,
            format!("an index on {relation} is being built, or about to be"),
        )
        .hint(format!(
            "SELECT lake.vector_cancel_build({}); ends that.",
            names::literal(&relation.to_string())
        )));
    }
    let _path = LocalSettings::safe_search_path();
    spi::execute(&format!("LOCK TABLE {relation} IN ACCESS EXCLUSIVE MODE"), &[])?;
    let indexes = spi::rows(
        "SELECT c.relname::text, pg_get_indexdef(c.oid), \
                format('CREATE INDEX %I ON %s%I.%I ', c.relname, \
                       CASE WHEN c.relkind = 'I' THEN 'ONLY ' ELSE '' END, n.nspname, t.relname), \
                s.spcname::text, obj_description(c.oid, 'pg_class'), format('%I.%I', n.nspname, c.relname) \
         FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid \
         JOIN pg_namespace n ON n.oid = t.relnamespace JOIN pg_am am ON am.oid = c.relam \
         LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace \
         WHERE i.indrelid = $1 AND NOT i.indisunique \
           AND am.amname IN ('hnsw', 'ivfflat', 'diskann', 'vchordrq', 'vchordg') ORDER BY c.oid",
        &[relation.oid.into()],
        |row| {
            let definition: String = spi::need(row, 2)?;
            let using =
                definition.strip_prefix(&spi::need::<String>(row, 3)?).ok_or_else(|| {
                    Error::internal(format!("can't read the definition {definition}"))
                })?;
            let kept = Kept {
                name: spi::need(row, 1)?,
                using: using.to_owned(),
                tablespace: spi::get(row, 4)?,
                comment: spi::get(row, 5)?,
            };
            Ok((spi::need::<String>(row, 6)?, kept))
        },
    )?;
    let (names, kept): (Vec<String>, Vec<Kept>) = indexes.into_iter().unzip();
    let json = serde_json::to_value(&kept).map_err(|error| Error::internal(error.to_string()))?;
    let begun = access::as_extension_owner(|| {
        spi::execute(
            "INSERT INTO _lake.vector_load (relid, begun_by, indexes) \
             VALUES ($1::regclass, session_user, $2) ON CONFLICT DO NOTHING",
            &[relation.oid.into(), JsonB(json).into()],
        )
    })??;
    if begun == 0 {
        return Err(Error::not_in_prerequisite_state(format!(
            "a load of {relation} has begun already"
        ))
        .hint(format!(
            "SELECT lake.vector_end_load({}); makes its indexes again.",
            names::literal(&relation.to_string())
        )));
    }
    for name in &names {
        spi::execute(&format!("DROP INDEX {name}"), &[])?;
    }
    Ok(i32::try_from(names.len()).unwrap_or(i32::MAX))
}

/// Makes the indexes again, or with `rebuild` false forgets them, and returns how many that is. Left to the
/// worker unless `concurrently` is false, no worker runs, or the table is partitioned, of which Postgres builds
/// none concurrently. 42501 but for the owner, 55000 where no load has begun.
pub fn end(vector: &VectorStore, rebuild: bool, concurrently: bool) -> Result<i32> {
    let relation = vector.relation();
    access::require_owner(relation)?;
    let kept = access::as_extension_owner(|| {
        spi::rows(
            "DELETE FROM _lake.vector_load WHERE relid = $1::regclass RETURNING indexes",
            &[relation.oid.into()],
            |row| Ok(spi::need::<JsonB>(row, 1)?.0),
        )
    })??;
    let Some(kept) = kept.into_iter().next() else {
        return Err(Error::not_in_prerequisite_state(format!("no load of {relation} has begun"))
            .hint(format!(
                "SELECT lake.vector_begin_load({}); comes first.",
                names::literal(&relation.to_string())
            )));
    };
    if !rebuild {
        return Ok(0);
    }
    let kept: Vec<Kept> =
        serde_json::from_value(kept).map_err(|error| Error::internal(error.to_string()))?;
    let count = i32::try_from(kept.len()).unwrap_or(i32::MAX);
    if concurrently && !kept.is_empty() && !vector.partitioned {
        if gucs::jobs() && status::launcher_pid()?.is_some() {
            restore::submit(vector, &kept)?;
            return Ok(count);
        }
        notice(
            "no background worker runs here, so the indexes are made now",
            "Writers wait. SELECT lake.start_worker() starts one, which builds without that.",
        );
    }
    let settings = LocalSettings::safe_search_path();
    for index in &kept {
        pgrx::check_for_interrupts!();
        settings.set("default_tablespace", index.tablespace.as_deref().unwrap_or(""));
        spi::execute(&index.create(vector, false), &[])?;
        index.remark(vector)?;
    }
    Ok(count)
}
