//! Making and dropping rollups.

use super::below::{self, Columns};
use super::definition::{self, Rollup};
use super::refresh::ACTION;
use super::shape::{Shape, Source};
use super::{extent, parts, triggers};
use crate::access;
use crate::catalog::{Store, job};
use crate::error::{Error, Result};
use crate::names::{self, MAX_IDENT, NewName, Relation};
use crate::series::zone;
use crate::spi;
use pgrx::datum::Interval;
use pgrx::{PgSqlErrorCode, pg_sys};
use serde_json::json;

/// A rollup as the caller asks for it.
pub struct Wanted<'a> {
    pub name: &'a str,
    pub bucket: Interval,
    pub aggregates: Vec<String>,
    pub refresh_lag: Interval,
    pub keep: Option<Interval>,
    pub timezone: &'a str,
    pub value_column: Option<&'a str>,
}

/// Makes it, of points or of another rollup, in the name of the store's owner; what is there waits for
/// the first refresh.
pub fn create(store: &Store, lower: Option<Rollup>, wanted: Wanted<'_>) -> Result<pg_sys::Oid> {
    access::require_owner(&store.relation)?;
    below::refuse_hidden_rows(store)?;
    below::refuse_dropped_columns(store)?;
    let aggregates = parts::checked(wanted.aggregates)?;
    let sketch = aggregates.iter().any(|aggregate| parts::of_sketch(aggregate));
    zone::buckets(&wanted.bucket, zone::Zone::named(wanted.timezone)?, None)?;
    if wanted.refresh_lag.as_micros() < 0 {
        return Err(Error::invalid_parameter("refresh_lag can't be negative"));
    }
    if wanted.keep.is_some_and(|keep| keep.as_micros() <= 0) {
        return Err(Error::invalid_parameter("keep must be positive")
            .hint("It is how long buckets stay: '2 years'. Null keeps all."));
    }
    let lower_id = lower.as_ref().map(|lower| lower.shape.id);
    let lower_view = lower.as_ref().map(|lower| lower.view.clone());
    let (source, columns) = match lower {
        Some(lower) => {
            access::require_owner(&lower.view)?;
            let value = wanted.value_column;
            below::fits(&lower, &wanted.bucket, wanted.timezone, sketch, value)?;
            (Source::Lower(Box::new(lower.shape)), None)
        }
        None => {
            let columns = below::columns(store, wanted.value_column)?;
            (columns.source(store), Some(columns))
        }
    };
    let name = NewName::parse(wanted.name)?;
    let parts_name = lake_chunks::range::chunk_name(&name.name, "parts", MAX_IDENT);
    let id = access::as_extension_owner(|| {
        spi::scalar::<i64>(
            "SELECT pg_catalog.nextval('_lake.rollup_rollup_id_seq'::pg_catalog.regclass)",
            &[],
        )
    })??;
    let (width, zone) = definition::literals(wanted.bucket, wanted.timezone)?;
    let parts = names::qualified(&name.schema, &parts_name);
    let shape = Shape { id, parts, bucket: wanted.bucket, width, zone, sketch, source };
    let owner = access::owner_of(&store.relation)?;
    access::as_role(owner, || {
        make(store, &shape, &name.to_string(), &aggregates, lower_view.as_ref())?;
        // Waits for those who write now, so that what they wrote is seen by the first refresh.
        triggers::ensure(store)
    })?;
    let (view, parts) = (oid_of(&name.to_string())?, oid_of(&shape.parts)?);
    let Columns { time, value, keys } = match columns {
        Some(columns) => columns,
        None => Columns { time: String::new(), value: String::new(), keys: Vec::new() },
    };
    access::as_extension_owner(|| {
        spi::execute(
            "INSERT INTO _lake.rollup (rollup_id, relid, lower_id, view, parts, bucket, timezone, aggregates, \
                                       refresh_lag, keep, time_column, value_column, keys) \
             VALUES ($1, $2::pg_catalog.regclass, $3, $4::pg_catalog.regclass, $5::pg_catalog.regclass, \
                     $6, $7, $8, $9, $10, NULLIF($11, ''), NULLIF($12, ''), $13)",
            &[
                id.into(),
                store.oid().into(),
                lower_id.into(),
                view.into(),
                parts.into(),
                wanted.bucket.into(),
                wanted.timezone.into(),
                aggregates.into(),
                wanted.refresh_lag.into(),
                wanted.keep.into(),
                time.into(),
                value.into(),
                keys.into(),
            ],
        )
    })??;
    for (start, end) in extent::to_compute(store, &shape)? {
        access::as_extension_owner(|| {
            spi::execute(
                "INSERT INTO _lake.rollup_log (rollup_id, lo, hi) \
                 SELECT $1, lake.bucket(r.bucket, $2, r.timezone), _lake.bucket_end(r.bucket, $3, r.timezone) \
                 FROM _lake.rollup r WHERE r.rollup_id = $1",
                &[id.into(), start.into(), end.into()],
            )
        })??;
    }
    job::ensure(store, ACTION, "1 minute", &json!({}))?;
    Ok(view)
}

/// The table of kept rows, empty, and the view.
fn make(
    store: &Store,
    shape: &Shape,
    view: &str,
    aggregates: &[String],
    lower: Option<&Relation>,
) -> Result<()> {
    let parts = &shape.parts;
    let (first, last) =
        ("'-infinity'::pg_catalog.timestamptz", "'infinity'::pg_catalog.timestamptz");
    let rows = shape.computed(first, last);
    spi::execute(&format!("CREATE TABLE {parts} AS {rows} WITH NO DATA"), &[])?;
    spi::execute(
        &match store.companion {
            Some(_) => format!("ALTER TABLE {parts} ADD PRIMARY KEY (bucket, series_id)"),
            None => format!("CREATE INDEX ON {parts} (bucket)"),
        },
        &[],
    )?;
    spi::execute(&format!("CREATE VIEW {view} AS {}", shape.view(aggregates, lower)), &[])?;
    Ok(())
}

fn oid_of(qualified: &str) -> Result<pg_sys::Oid> {
    spi::scalar("SELECT pg_catalog.to_regclass($1)::pg_catalog.oid", &[qualified.into()])
}

/// Drops a rollup with its rows. With the last one of a store its triggers go; the job stays, idle.
pub fn drop(rollup: &Rollup) -> Result<()> {
    access::require_owner(&rollup.store)?;
    access::require_owner(&rollup.view)?;
    if let Some(upper) = definition::uppers(rollup)?.first() {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST,
            format!("rollup {} is made of rollup {}", upper.view, rollup.view),
        )
        .hint(format!(
            "SELECT lake.series_drop_rollup({}); first.",
            names::literal(&upper.view.to_string())
        )));
    }
    // The event trigger on drops takes the rows of the catalogue.
    spi::execute(&format!("DROP VIEW {}", rollup.view), &[])?;
    spi::execute(&format!("DROP TABLE {}", rollup.parts), &[])?;
    if definition::of_store(rollup.store.oid)?.is_empty() {
        triggers::drop(&rollup.store)?;
    }
    Ok(())
}

/// Drops every rollup of a store, before the store itself goes; those made of others first.
pub fn drop_all(store: pg_sys::Oid) -> Result<()> {
    for rollup in definition::of_store(store)?.iter().rev() {
        drop(rollup)?;
    }
    Ok(())
}
