//! Making and dropping rollups.

use super::definition::{self, PARTS, Rollup};
use super::refresh::ACTION;
use crate::access;
use crate::catalog::{Store, job};
use crate::error::{Error, Result};
use crate::names::{self, MAX_IDENT, NewName, Relation};
use crate::series::backend::Backend;
use crate::series::{options, time, zone};
use crate::spi;
use pgrx::datum::Interval;
use pgrx::pg_sys;
use serde_json::json;

/// A rollup as the caller asks for it.
pub struct Wanted<'a> {
    pub name: &'a str,
    pub bucket: Interval,
    pub aggregates: Vec<String>,
    pub refresh_lag: Interval,
    pub keep: Option<Interval>,
    pub timezone: &'a str,
}

/// Makes it, in the name of the store's owner; the points that are there wait for the first refresh.
pub fn create(store: &Store, wanted: Wanted<'_>) -> Result<pg_sys::Oid> {
    access::require_owner(&store.relation)?;
    if Backend::of(store)? != Backend::Native {
        return Err(Error::unsupported(format!(
            "{} is on TimescaleDB: rollups need a store of the engine native",
            store.relation
        ))
        .hint("Make it with engine => 'native', or use TimescaleDB's continuous aggregates."));
    }
    let aggregates = definition::checked(wanted.aggregates)?;
    zone::buckets(&wanted.bucket, zone::Zone::named(wanted.timezone)?, None)?;
    if wanted.refresh_lag.as_micros() < 0 {
        return Err(Error::invalid_parameter("refresh_lag can't be negative"));
    }
    if wanted.keep.is_some_and(|keep| keep.as_micros() <= 0) {
        return Err(Error::invalid_parameter("keep must be positive")
            .hint("It is how long buckets stay: '2 years'. Null keeps all."));
    }
    let name = NewName::parse(wanted.name)?;
    let parts_name = lake_chunks::range::chunk_name(&name.name, "parts", MAX_IDENT);
    let parts = names::qualified(&name.schema, &parts_name);
    let id = access::as_extension_owner(|| {
        spi::scalar::<i64>(
            "SELECT pg_catalog.nextval('_lake.rollup_rollup_id_seq'::pg_catalog.regclass)",
            &[],
        )
    })??;
    let width = options::interval_text(wanted.bucket)?;
    let view = definition::view(&store.relation, &parts, id, &width, wanted.timezone, &aggregates);
    let owner = access::owner_of(&store.relation)?;
    access::as_role(owner, || {
        spi::execute(&format!("CREATE TABLE {parts} ({PARTS})"), &[])?;
        spi::execute(&format!("CREATE VIEW {name} AS {view}"), &[])?;
        // Waits for those who write now, so that what they wrote is seen by the first refresh.
        ensure_triggers(&store.relation)
    })?;
    let oid_of = |qualified: &str| {
        spi::scalar::<pg_sys::Oid>(
            "SELECT pg_catalog.to_regclass($1)::pg_catalog.oid",
            &[qualified.into()],
        )
    };
    let (view, parts) = (oid_of(&name.to_string())?, oid_of(&parts)?);
    access::as_extension_owner(|| {
        spi::execute(
            "INSERT INTO _lake.rollup (rollup_id, relid, view, parts, bucket, timezone, aggregates, \
                                       refresh_lag, keep) \
             VALUES ($1, $2::pg_catalog.regclass, $3::pg_catalog.regclass, $4::pg_catalog.regclass, \
                     $5, $6, $7, $8, $9)",
            &[
                id.into(),
                store.oid().into(),
                view.into(),
                parts.into(),
                wanted.bucket.into(),
                wanted.timezone.into(),
                aggregates.into(),
                wanted.refresh_lag.into(),
                wanted.keep.into(),
            ],
        )
    })??;
    log_chunks(store, id)?;
    job::ensure(store, ACTION, "1 minute", &json!({}))?;
    Ok(view)
}

/// All there is waits for a refresh.
fn log_chunks(store: &Store, id: i64) -> Result<()> {
    for chunk in Backend::Native.chunks(&store.relation)? {
        let range = chunk.range();
        let (start, end) = (time::to_pg(range.start)?, time::to_pg(range.end)?);
        access::as_extension_owner(|| {
            spi::execute(
                "INSERT INTO _lake.rollup_log (rollup_id, lo, hi) \
                 SELECT $1, lake.bucket(r.bucket, $2, r.timezone), _lake.bucket_end(r.bucket, $3, r.timezone) \
                 FROM _lake.rollup r WHERE r.rollup_id = $1",
                &[id.into(), start.into(), end.into()],
            )
        })??;
    }
    Ok(())
}

/// The triggers that write the log; there once for all rollups of a store.
fn ensure_triggers(store: &Relation) -> Result<()> {
    let added = access::as_extension_owner(|| {
        spi::scalar::<String>(
            "SELECT c.system_identifier::pg_catalog.text || ':' || pg_catalog.pg_current_xact_id()::pg_catalog.text \
             FROM pg_catalog.pg_control_system() c",
            &[],
        )
    })??;
    for (name, event, tables) in [
        ("lake_rollup_insert", "INSERT", "REFERENCING NEW TABLE AS changed"),
        ("lake_rollup_delete", "DELETE", "REFERENCING OLD TABLE AS changed"),
        (
            "lake_rollup_update",
            "UPDATE",
            "REFERENCING NEW TABLE AS changed OLD TABLE AS changed_before",
        ),
        ("lake_rollup_truncate", "TRUNCATE", ""),
    ] {
        spi::execute(
            &format!(
                "CREATE OR REPLACE TRIGGER {name} AFTER {event} ON {store} {tables} \
                 FOR EACH STATEMENT EXECUTE FUNCTION _lake.rollup_changed({})",
                names::literal(&added)
            ),
            &[],
        )?;
    }
    Ok(())
}

/// Drops a rollup with its rows. With the last one of a store its triggers go; the job stays, idle.
pub fn drop(rollup: &Rollup) -> Result<()> {
    access::require_owner(&rollup.store)?;
    access::require_owner(&rollup.view)?;
    // The event trigger on drops takes the rows of the catalogue.
    spi::execute(&format!("DROP VIEW {}", rollup.view), &[])?;
    spi::execute(&format!("DROP TABLE {}", rollup.parts), &[])?;
    if definition::of_store(rollup.store.oid)?.is_empty() {
        for event in ["insert", "delete", "update", "truncate"] {
            let table = &rollup.store;
            spi::execute(&format!("DROP TRIGGER IF EXISTS lake_rollup_{event} ON {table}"), &[])?;
        }
    }
    Ok(())
}

/// Drops every rollup of a store, before the store itself goes.
pub fn drop_all(store: pg_sys::Oid) -> Result<()> {
    for rollup in definition::of_store(store)? {
        drop(&rollup)?;
    }
    Ok(())
}
