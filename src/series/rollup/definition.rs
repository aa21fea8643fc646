//! A rollup as registered.

use super::parts;
use super::shape::{Points, Shape, Source};
use crate::catalog::Store;
use crate::error::{Error, Result};
use crate::names::{self, Relation};
use crate::regclass::RegClass;
use crate::series::options;
use crate::spi;
use pgrx::datum::{DatumWithOid, Interval, TimestampWithTimeZone};
use pgrx::{PgSqlErrorCode, pg_sys};

pub struct Rollup {
    pub store: Relation,
    pub view: Relation,
    pub parts: Relation,
    pub timezone: String,
    pub refresh_lag: Interval,
    pub keep: Option<Interval>,
    pub shape: Shape,
}

/// Width and time zone of buckets, as literals.
pub fn literals(bucket: Interval, timezone: &str) -> Result<(String, String)> {
    let width = names::literal(&options::interval_text(bucket)?);
    Ok((format!("{width}::pg_catalog.interval"), names::literal(timezone)))
}

/// The rollup of this view; `None` for anything else.
pub fn of_view(view: RegClass) -> Result<Option<Rollup>> {
    Ok(read("view = $1::pg_catalog.regclass", view.0.into())?.into_iter().next())
}

/// As [`of_view`]. 42809 for what isn't one.
pub fn find(view: RegClass) -> Result<Rollup> {
    let relation = Relation::by_oid(view.0)?;
    of_view(view)?.ok_or_else(|| {
        Error::new(PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE, format!("{relation} is not a rollup"))
            .hint("SELECT rollup FROM lake.rollups shows those there are.")
    })
}

/// Those of a store, oldest first: a rollup before those that are made of it.
pub fn of_store(store: pg_sys::Oid) -> Result<Vec<Rollup>> {
    read("relid = $1::pg_catalog.regclass", store.into())
}

/// Those that the worker's pass isn't through, each with how far it has come.
pub fn in_pass(store: pg_sys::Oid) -> Result<Vec<(Rollup, TimestampWithTimeZone)>> {
    let at = spi::rows(
        "SELECT rollup_id, pass FROM _lake.rollup WHERE relid = $1::pg_catalog.regclass AND pass < 'infinity'",
        &[store.into()],
        |row| Ok((spi::need::<i64>(row, 1)?, spi::need(row, 2)?)),
    )?;
    let found = of_store(store)?.into_iter().filter_map(|rollup| {
        let at = at.iter().find(|(id, _)| *id == rollup.shape.id)?.1;
        Some((rollup, at))
    });
    Ok(found.collect())
}

/// Those that are made of this one.
pub fn uppers(rollup: &Rollup) -> Result<Vec<Rollup>> {
    read("lower_id = $1", rollup.shape.id.into())
}

fn read(condition: &str, argument: DatumWithOid<'_>) -> Result<Vec<Rollup>> {
    spi::rows(
        &format!(
            "SELECT rollup_id, relid::pg_catalog.oid, view::pg_catalog.oid, parts::pg_catalog.oid, \
                    bucket, timezone, refresh_lag, keep, aggregates, lower_id, time_column, value_column, keys \
             FROM _lake.rollup WHERE {condition} ORDER BY rollup_id"
        ),
        &[argument],
        |row| {
            let store = Relation::by_oid(spi::need(row, 2)?)?;
            let parts = Relation::by_oid(spi::need(row, 4)?)?;
            let timezone: String = spi::need(row, 6)?;
            let bucket: Interval = spi::need(row, 5)?;
            let (width, zone) = literals(bucket, &timezone)?;
            let source = match spi::get::<i64>(row, 10)? {
                Some(lower) => Source::Lower(Box::new(by_id(lower)?.shape)),
                None => Source::Points(Points {
                    table: store.clone(),
                    time: names::ident(&spi::need::<String>(row, 11)?),
                    value: names::ident(&spi::need::<String>(row, 12)?),
                    keys: quoted(&spi::need::<Vec<String>>(row, 13)?),
                }),
            };
            let aggregates: Vec<String> = spi::need(row, 9)?;
            let shape = Shape {
                id: spi::need(row, 1)?,
                parts: parts.to_string(),
                bucket,
                width,
                zone,
                sketch: aggregates.iter().any(|aggregate| parts::of_sketch(aggregate)),
                source,
            };
            Ok(Rollup {
                store,
                view: Relation::by_oid(spi::need(row, 3)?)?,
                parts,
                timezone,
                refresh_lag: spi::need(row, 7)?,
                keep: spi::get(row, 8)?,
                shape,
            })
        },
    )
}

fn by_id(id: i64) -> Result<Rollup> {
    read("rollup_id = $1", id.into())?
        .into_iter()
        .next()
        .ok_or_else(|| Error::internal(format!("rollup {id} is missing")))
}

pub fn quoted(columns: &[String]) -> Vec<String> {
    columns.iter().map(|column| names::ident(column)).collect()
}

/// The time column of a store, unquoted.
pub fn time_column(store: &Store) -> Result<&str> {
    store
        .option_str("time_column")
        .ok_or_else(|| Error::internal(format!("{} has no time column", store.relation)))
}
