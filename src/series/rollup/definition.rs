//! A rollup as registered, and the statements that follow from it.

use crate::error::{Error, Result};
use crate::names::{self, Relation};
use crate::regclass::RegClass;
use crate::spi;
use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::{PgSqlErrorCode, pg_sys};

/// What a rollup can hold, each with its expression over points `p` and over kept rows `m`.
const AGGREGATES: [(&str, &str); 7] = [
    ("avg", "m.sum / m.count"),
    ("min", "m.min"),
    ("max", "m.max"),
    ("sum", "m.sum"),
    ("count", "m.count"),
    ("first", "m.first"),
    ("last", "m.last"),
];

/// What is kept of a bucket.
pub const PARTS: &str = "bucket pg_catalog.timestamptz NOT NULL, series_id pg_catalog.int8 NOT NULL, \
     count pg_catalog.int8 NOT NULL, sum pg_catalog.float8 NOT NULL, min pg_catalog.float8 NOT NULL, \
     max pg_catalog.float8 NOT NULL, first pg_catalog.float8 NOT NULL, last pg_catalog.float8 NOT NULL, \
     PRIMARY KEY (bucket, series_id)";

/// The parts of points `p`, without bucket and series.
const PARTS_OF_POINTS: &str = "pg_catalog.count(*) AS count, pg_catalog.sum(p.value) AS sum, \
     pg_catalog.min(p.value) AS min, pg_catalog.max(p.value) AS max, \
     lake.first(p.value, p.ts) AS first, lake.last(p.value, p.ts) AS last";

pub struct Rollup {
    pub id: i64,
    pub store: Relation,
    pub view: Relation,
    pub parts: Relation,
    pub bucket: Interval,
    pub timezone: String,
    pub refresh_lag: Interval,
    pub keep: Option<Interval>,
}

/// The rollup of this view. 42809 for what isn't one.
pub fn find(view: RegClass) -> Result<Rollup> {
    let relation = Relation::by_oid(view.0)?;
    read("view = $1::pg_catalog.regclass", view.0)?.into_iter().next().ok_or_else(|| {
        Error::new(PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE, format!("{relation} is not a rollup"))
            .hint("SELECT rollup FROM lake.rollups shows those there are.")
    })
}

/// Those of a store, oldest first.
pub fn of_store(store: pg_sys::Oid) -> Result<Vec<Rollup>> {
    read("relid = $1::pg_catalog.regclass", store)
}

/// Those that the worker's pass isn't through, each with how far it has come.
pub fn in_pass(store: pg_sys::Oid) -> Result<Vec<(Rollup, TimestampWithTimeZone)>> {
    let at = spi::rows(
        "SELECT rollup_id, pass FROM _lake.rollup WHERE relid = $1::pg_catalog.regclass AND pass < 'infinity'",
        &[store.into()],
        |row| Ok((spi::need::<i64>(row, 1)?, spi::need(row, 2)?)),
    )?;
    let found = of_store(store)?.into_iter().filter_map(|rollup| {
        let at = at.iter().find(|(id, _)| *id == rollup.id)?.1;
        Some((rollup, at))
    });
    Ok(found.collect())
}

fn read(condition: &str, oid: pg_sys::Oid) -> Result<Vec<Rollup>> {
    spi::rows(
        &format!(
            "SELECT rollup_id, relid::pg_catalog.oid, view::pg_catalog.oid, parts::pg_catalog.oid, \
                    bucket, timezone, refresh_lag, keep \
             FROM _lake.rollup WHERE {condition} ORDER BY rollup_id"
        ),
        &[oid.into()],
        |row| {
            Ok(Rollup {
                id: spi::need(row, 1)?,
                store: Relation::by_oid(spi::need(row, 2)?)?,
                view: Relation::by_oid(spi::need(row, 3)?)?,
                parts: Relation::by_oid(spi::need(row, 4)?)?,
                bucket: spi::need(row, 5)?,
                timezone: spi::need(row, 6)?,
                refresh_lag: spi::need(row, 7)?,
                keep: spi::get(row, 8)?,
            })
        },
    )
}

/// The aggregates asked for, each once. 0A000 for one that can't be kept.
pub fn checked(aggregates: Vec<String>) -> Result<Vec<String>> {
    let mut checked: Vec<String> = Vec::new();
    for aggregate in aggregates {
        if !AGGREGATES.iter().any(|(name, _)| *name == aggregate) {
            return Err(Error::unsupported(format!("a rollup can't hold \"{aggregate}\"")).hint(
                "It holds avg, min, max, sum, count, first and last; lake.series_query has others.",
            ));
        }
        if !checked.contains(&aggregate) {
            checked.push(aggregate);
        }
    }
    if checked.is_empty() {
        return Err(Error::invalid_parameter("aggregates must not be empty"));
    }
    Ok(checked)
}

/// Parts of the points between two parameters, `bucket` first.
pub fn parts_of(store: &Relation, width: &str, zone: &str, from: &str, to: &str) -> String {
    format!(
        "SELECT lake.bucket({width}, p.ts, {zone}) AS bucket, p.series_id, {PARTS_OF_POINTS} \
         FROM {store} p WHERE p.ts OPERATOR(pg_catalog.>=) {from} AND p.ts OPERATOR(pg_catalog.<) {to} \
         GROUP BY 1, 2"
    )
}

/// What the view says: kept buckets without an entry in the log, and the points of the others.
pub fn view(
    store: &Relation,
    parts: &str,
    id: i64,
    width: &str,
    zone: &str,
    aggregates: &[String],
) -> String {
    let columns: String = AGGREGATES
        .iter()
        .filter(|(name, _)| aggregates.iter().any(|asked| asked == name))
        .map(|(name, expression)| format!(", {expression} AS {}", names::ident(name)))
        .collect();
    let width = format!("{}::pg_catalog.interval", names::literal(width));
    let points = parts_of(store, &width, &names::literal(zone), "w.lo", "w.hi");
    format!(
        "SELECT m.bucket, m.series_id{columns} FROM {parts} m \
         WHERE NOT EXISTS (SELECT FROM _lake.rollup_log l WHERE l.rollup_id OPERATOR(pg_catalog.=) {id} \
             AND l.lo OPERATOR(pg_catalog.<=) m.bucket AND l.hi OPERATOR(pg_catalog.>) m.bucket) \
         UNION ALL \
         SELECT m.bucket, m.series_id{columns} \
         FROM (SELECT pg_catalog.lower(g.r) AS lo, pg_catalog.upper(g.r) AS hi \
               FROM (SELECT pg_catalog.unnest(pg_catalog.range_agg(pg_catalog.tstzrange(l.lo, l.hi))) AS r \
                     FROM _lake.rollup_log l WHERE l.rollup_id OPERATOR(pg_catalog.=) {id}) g) w \
         CROSS JOIN LATERAL ({points}) m"
    )
}
