//! A watch as registered.

use crate::error::{Error, Result};
use crate::names::{self, Relation};
use crate::regclass::RegClass;
use crate::spi;
use pgrx::datum::{DatumWithOid, Interval};
use pgrx::{PgSqlErrorCode, pg_sys};

#[derive(Debug, Clone)]
pub struct Watch {
    pub places: Side,
    pub fences: Side,
    pub events: Relation,
    /// The table of what is inside.
    pub inside: Relation,
    pub dwell: Option<Interval>,
    pub keep: Option<Interval>,
    pub channel: Option<String>,
}

/// One of the two stores.
#[derive(Debug, Clone)]
pub struct Side {
    pub table: Relation,
    /// Of the column of ids, as it is.
    pub id_name: String,
    /// The columns, quoted.
    pub id: String,
    pub geometry: String,
}

impl Side {
    fn new(table: Relation, id: String, geometry: &str) -> Self {
        Self { table, id: names::ident(&id), id_name: id, geometry: names::ident(geometry) }
    }
}

/// The watch that writes this table of events. 42809 for anything else.
pub fn find(events: RegClass) -> Result<Watch> {
    let relation = Relation::by_oid(events.0)?;
    read("events = $1::pg_catalog.regclass", events.0.into())?.into_iter().next().ok_or_else(|| {
        Error::new(
            PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE,
            format!("{relation} is not the table of events of a watch"),
        )
        .hint("SELECT events FROM lake.geo_watches shows those there are.")
    })
}

/// Those over the places of a store.
pub fn of_places(store: pg_sys::Oid) -> Result<Vec<Watch>> {
    read("relid = $1::pg_catalog.regclass", store.into())
}

/// Those that a table is on either side of, always in the same order, since they are locked one after
/// the other.
pub fn of_table(table: pg_sys::Oid) -> Result<Vec<Watch>> {
    read("(relid = $1::pg_catalog.regclass OR fences = $1::pg_catalog.regclass)", table.into())
}

/// With the newest snapshot: one that is older than a watch doesn't show it.
fn read(condition: &str, argument: DatumWithOid<'_>) -> Result<Vec<Watch>> {
    let _path = spi::LocalSettings::safe_search_path();
    spi::latest_rows(
        &format!(
            "SELECT relid::pg_catalog.oid, fences::pg_catalog.oid, events::pg_catalog.oid, inside::pg_catalog.oid, \
                    place_id, place_geom, fence_id, fence_geom, dwell, keep, channel \
             FROM _lake.geo_watch WHERE {condition} ORDER BY watch_id"
        ),
        &[argument],
        |row| {
            let relation = |n| Relation::by_oid(spi::need(row, n)?);
            let text = |n| spi::need::<String>(row, n);
            Ok(Watch {
                places: Side::new(relation(1)?, text(5)?, &text(6)?),
                fences: Side::new(relation(2)?, text(7)?, &text(8)?),
                events: relation(3)?,
                inside: relation(4)?,
                dwell: spi::get(row, 9)?,
                keep: spi::get(row, 10)?,
                channel: spi::get(row, 11)?,
            })
        },
    )
}
