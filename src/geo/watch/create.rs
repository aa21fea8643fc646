//! Making and dropping watches.

use super::compare::{self, Scope};
use super::definition::{self, Watch};
use super::job;
use crate::access;
use crate::catalog::{self, Store, StoreKind};
use crate::error::{Error, Result};
use crate::geo::store::Places;
use crate::names::{self, MAX_IDENT, NewName, Relation};
use crate::regclass::RegClass;
use crate::spi;
use pgrx::datum::Interval;
use pgrx::pg_sys;

/// A watch as the caller asks for it.
pub struct Wanted<'a> {
    pub name: Option<&'a str>,
    pub dwell: Option<Interval>,
    pub channel: Option<&'a str>,
    pub keep: Option<Interval>,
}

/// What the triggers see of the statement.
const EVENTS: [(&str, &str); 4] = [
    ("insert", "REFERENCING NEW TABLE AS changed"),
    ("delete", "REFERENCING OLD TABLE AS changed"),
    ("update", "REFERENCING NEW TABLE AS changed OLD TABLE AS changed_before"),
    ("truncate", ""),
];

/// Makes it in the name of the store's owner. What is inside now is taken down, and makes no events.
pub fn create(places: &Places, fences: &Places, wanted: &Wanted<'_>) -> Result<pg_sys::Oid> {
    let (store, areas) = (&places.store, &fences.store);
    check(store, areas, wanted)?;
    let default = names::qualified(
        &store.relation.schema,
        &lake_chunks::range::chunk_name(
            &format!("{}_{}", store.relation.name, areas.relation.name),
            "events",
            MAX_IDENT,
        ),
    );
    let name = NewName::parse(wanted.name.unwrap_or(&default))?;
    let inside_name = lake_chunks::range::chunk_name(&name.name, "inside", MAX_IDENT);
    let inside = names::qualified(&name.schema, &inside_name);
    let owner = access::owner_of(&store.relation)?;
    access::as_role(owner, || {
        let columns = format!(
            "place {} NOT NULL, fence {} NOT NULL, since pg_catalog.timestamptz NOT NULL",
            places.table.id_type, fences.table.id_type
        );
        for sql in [
            format!(
                "CREATE TABLE {inside} ({columns}, dwelt pg_catalog.bool NOT NULL DEFAULT false, PRIMARY KEY (place, fence))"
            ),
            format!("CREATE INDEX ON {inside} (fence)"),
            format!(
                "CREATE TABLE {name} (event_id pg_catalog.int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \
                     kind pg_catalog.text NOT NULL CHECK (kind IN ('enter', 'exit', 'dwell')), \
                     at pg_catalog.timestamptz NOT NULL, {columns})"
            ),
            format!("CREATE INDEX ON {name} (place, at)"),
            format!("CREATE INDEX ON {name} (at)"),
        ] {
            spi::execute(&sql, &[])?;
        }
        if wanted.dwell.is_some() {
            spi::execute(&format!("CREATE INDEX ON {inside} (since) WHERE NOT dwelt"), &[])?;
        }
        Ok::<_, Error>(())
    })?;
    // Waits for those who write now, so that what they wrote is seen by the comparison below.
    for table in [&store.relation, &areas.relation] {
        for (event, tables) in EVENTS {
            spi::execute(
                &format!(
                    "CREATE OR REPLACE TRIGGER lake_watch_{event} AFTER {event} ON {table} {tables} \
                     FOR EACH STATEMENT EXECUTE FUNCTION _lake.geo_watch_changed()"
                ),
                &[],
            )?;
        }
    }
    let (events, inside) = (oid_of(&name.to_string())?, oid_of(&inside)?);
    register(store, areas, events, inside, wanted)?;
    let watch = definition::find(RegClass(events))?;
    compare::lock(&watch, &Scope::All);
    compare::compare(&watch, &Scope::All, true)?;
    job::ensure(store)?;
    Ok(events)
}

fn register(
    store: &Store,
    areas: &Store,
    events: pg_sys::Oid,
    inside: pg_sys::Oid,
    wanted: &Wanted<'_>,
) -> Result<()> {
    let column =
        |store: &Store, key, default: &str| store.option_str(key).unwrap_or(default).to_owned();
    access::as_extension_owner(|| {
        spi::execute(
            "INSERT INTO _lake.geo_watch (relid, fences, events, inside, place_id, place_geom, fence_id, fence_geom, \
                                          dwell, keep, channel) \
             VALUES ($1::pg_catalog.regclass, $2::pg_catalog.regclass, $3::pg_catalog.regclass, \
                     $4::pg_catalog.regclass, $5, $6, $7, $8, $9, $10, $11)",
            &[
                store.oid().into(),
                areas.oid().into(),
                events.into(),
                inside.into(),
                column(store, "id_column", "id").into(),
                column(store, "geometry_column", "geom").into(),
                column(areas, "id_column", "id").into(),
                column(areas, "geometry_column", "geom").into(),
                wanted.dwell.into(),
                wanted.keep.into(),
                wanted.channel.into(),
            ],
        )
    })??;
    Ok(())
}

/// What can't be watched, and options that make no sense.
fn check(store: &Store, areas: &Store, wanted: &Wanted<'_>) -> Result<()> {
    if store.oid() == areas.oid() {
        return Err(Error::invalid_parameter(format!(
            "{} can't be watched for its own areas",
            store.relation
        ))
        .hint("Keep the areas in a store of their own: lake.geo_create('fences', 'Polygon')."));
    }
    for (name, value) in [("dwell", &wanted.dwell), ("keep", &wanted.keep)] {
        if value.is_some_and(|interval| interval.as_micros() <= 0) {
            return Err(Error::invalid_parameter(format!("{name} must be positive")));
        }
    }
    if let Some(channel) = wanted.channel
        && !(1..=MAX_IDENT).contains(&channel.len())
    {
        return Err(Error::invalid_parameter(format!(
            "notify must be the name of a channel, of 1 to {MAX_IDENT} bytes"
        ))
        .hint("LISTEN to a channel of that name."));
    }
    for table in [&store.relation, &areas.relation] {
        access::require_owner(table)?;
        refuse_unwatchable(table)?;
    }
    let (owner, fences) = (access::owner_of(&store.relation)?, &areas.relation);
    let may_read = spi::scalar::<bool>(
        "SELECT pg_catalog.has_table_privilege($1, $2, 'SELECT')",
        &[owner.into(), fences.oid.into()],
    )?;
    if may_read {
        return Ok(());
    }
    Err(Error::insufficient_privilege(format!(
        "the owner of {} may not read {fences}, which it is compared with",
        store.relation
    ))
    .hint(format!("GRANT SELECT ON {fences} TO its owner.")))
}

/// 0A000 where statement triggers don't see every row, or the owner doesn't.
fn refuse_unwatchable(table: &Relation) -> Result<()> {
    let (spread, hidden) = spi::rows(
        "SELECT c.relkind <> 'r' OR c.relispartition \
                OR EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE c.oid IN (i.inhparent, i.inhrelid)), \
                c.relrowsecurity AND c.relforcerowsecurity \
         FROM pg_catalog.pg_class c WHERE c.oid = $1",
        &[table.oid.into()],
        |row| Ok((spi::need::<bool>(row, 1)?, spi::need::<bool>(row, 2)?)),
    )?
    .into_iter()
    .next()
    .unwrap_or_default();
    if spread {
        return Err(Error::unsupported(format!(
            "{table} has partitions or children, or is one: what is written to one of them goes by the triggers of the others"
        ))
        .hint("Only ordinary tables can be watched."));
    }
    if hidden {
        return Err(Error::unsupported(format!(
            "{table} forces row level security on its owner, who could not compare every row"
        ))
        .hint(format!("ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY;")));
    }
    Ok(())
}

fn oid_of(qualified: &str) -> Result<pg_sys::Oid> {
    spi::scalar("SELECT pg_catalog.to_regclass($1)::pg_catalog.oid", &[qualified.into()])
}

/// Ends a watch. With the last one of a table its triggers go.
pub fn drop(watch: &Watch, keep_events: bool) -> Result<()> {
    for table in [&watch.places.table, &watch.events] {
        access::require_owner(table)?;
    }
    access::as_extension_owner(|| {
        spi::execute(
            "DELETE FROM _lake.geo_watch WHERE events = $1::pg_catalog.regclass",
            &[watch.events.oid.into()],
        )
    })??;
    for table in [&watch.places.table, &watch.fences.table] {
        if definition::of_table(table.oid)?.is_empty() && access::is_owner(table)? {
            for (event, _) in EVENTS {
                spi::execute(
                    &format!("DROP TRIGGER IF EXISTS lake_watch_{event} ON {table}"),
                    &[],
                )?;
            }
        }
    }
    let store = Store::find(RegClass(watch.places.table.oid), StoreKind::Geo)?;
    if definition::of_places(store.oid())?.is_empty() {
        catalog::job::remove(&store, job::ACTION)?;
    }
    spi::execute(&format!("DROP TABLE {}", watch.inside), &[])?;
    if !keep_events {
        spi::execute(&format!("DROP TABLE {}", watch.events), &[])?;
    }
    Ok(())
}

/// Ends every watch of a store, before the store itself goes.
pub fn drop_all(store: pg_sys::Oid) -> Result<()> {
    definition::of_table(store)?.iter().try_for_each(|watch| drop(watch, false))
}
