//! What is inside now against what was: the difference is written down, and told.

use super::definition::Watch;
use crate::access;
use crate::engines::{self, Engine};
use crate::error::{Error, Result};
use crate::spi;
use pgrx::datum::{DatumWithOid, TimestampWithTimeZone};
use pgrx::pg_sys;

/// What may have changed.
pub enum Scope<'a> {
    /// Places, by the texts of their ids and the type that those are of.
    Places(&'a [String], &'a str),
    /// Areas, likewise.
    Fences(&'a [String], &'a str),
    All,
}

/// Who else may compare at the same time.
///
/// A place that moves is locked by who moves it, so that moves of different places can't meet. A change
/// of areas concerns places that others are moving, whose new positions it can't see, as they can't see
/// the new areas: it waits for those that move and they wait for it. Postgres' own locks on the table of
/// what is inside do that, until the transaction ends.
pub fn lock(watch: &Watch, scope: &Scope<'_>) {
    let mode = match scope {
        Scope::Places(..) => pg_sys::RowExclusiveLock,
        Scope::Fences(..) | Scope::All => pg_sys::ShareRowExclusiveLock,
    };
    // SAFETY: the table was there when the catalogue was read; a lock on one that is gone does no harm.
    unsafe { pg_sys::LockRelationOid(watch.inside.oid, mode as pg_sys::LOCKMODE) }
}

/// More than a payload of NOTIFY can have, in bytes.
const PAYLOAD_LIMIT: i32 = 8000;

/// Compares, and returns how many events that made; `silently` makes none. To be called after [`lock`].
pub fn compare(watch: &Watch, scope: &Scope<'_>, silently: bool) -> Result<i64> {
    let owner = access::owner_of(&watch.places.table)?;
    let postgis = engines::require("postgis", "geo")?;
    let covers = postgis.object("st_covers");
    access::as_role(owner, || {
        let ids = match scope {
            Scope::Places(ids, _) | Scope::Fences(ids, _) => Some(ids.to_vec()),
            Scope::All => None,
        };
        if !matches!(scope, Scope::Places(..)) {
            refuse_invalid(watch, scope, ids.clone(), &postgis)?;
        }
        let sql = statement(watch, scope, silently, &covers);
        // One instant for all of it, read under the lock: a place's events follow each other.
        let now =
            spi::cached_one::<TimestampWithTimeZone>("SELECT pg_catalog.clock_timestamp()", &[])?;
        let args: [DatumWithOid<'_>; 4] =
            [ids.into(), now.into(), watch.dwell.into(), watch.channel.as_deref().into()];
        let counts = spi::latest_rows(&sql, &args, |row| spi::need::<i64>(row, 1))?;
        Ok(counts.into_iter().sum())
    })
}

/// `$1` ids, `$2` now, `$3` dwell, `$4` channel.
fn statement(watch: &Watch, scope: &Scope<'_>, silently: bool, covers: &str) -> String {
    let Watch { places, fences, inside, .. } = watch;
    let named = |id: &str, of: &str| {
        format!("JOIN pg_catalog.unnest($1::pg_catalog.text[]::{of}[]) AS m (id) ON m.id = {id}")
    };
    let among = |id: &str, of: &str| format!("{id} = ANY ($1::pg_catalog.text[]::{of}[])");
    let (chosen, was) = match scope {
        Scope::Places(_, of) => (named(&format!("p.{}", places.id), of), among("w.place", of)),
        Scope::Fences(_, of) => (named(&format!("f.{}", fences.id), of), among("w.fence", of)),
        Scope::All => (String::new(), "true".to_owned()),
    };
    let found = format!(
        "SELECT p.{} AS place, f.{} AS fence FROM {} p JOIN {} f ON {covers}(f.{}, p.{}) {chosen}",
        places.id, fences.id, places.table, fences.table, fences.geometry, places.geometry
    );
    let noted = if silently {
        "SELECT 0 AS event_id WHERE false".to_owned()
    } else {
        format!(
            "INSERT INTO {events} (kind, at, place, fence, since) SELECT kind, at, place, fence, since FROM happened \
             ORDER BY turn, place, fence RETURNING event_id, kind, at, place, fence, since",
            events = watch.events
        )
    };
    let told = if silently || watch.channel.is_none() {
        String::new()
    } else {
        format!(", pg_catalog.count({})", tell("$4", &watch.events.to_string()))
    };
    format!(
        "WITH found AS MATERIALIZED ({found}), \
         gone AS (DELETE FROM {inside} w WHERE {was} \
             AND NOT EXISTS (SELECT FROM found i WHERE i.place = w.place AND i.fence = w.fence) \
             RETURNING w.place, w.fence, w.since, w.dwelt), \
         came AS (INSERT INTO {inside} (place, fence, since) SELECT place, fence, $2 FROM found \
             ON CONFLICT (place, fence) DO NOTHING RETURNING place, fence, since), \
         happened AS ( \
             SELECT 1 AS turn, 'dwell' AS kind, since + $3::pg_catalog.interval AS at, place, fence, since FROM gone \
             WHERE NOT dwelt AND since + $3::pg_catalog.interval <= $2 \
             UNION ALL SELECT 2, 'exit', $2, place, fence, since FROM gone \
             UNION ALL SELECT 3, 'enter', $2, place, fence, since FROM came), \
         noted AS ({noted}) \
         SELECT pg_catalog.count(*){told} FROM noted"
    )
}

/// 22023 for an area that isn't a valid geometry, as what is inside such a one isn't defined.
fn refuse_invalid(
    watch: &Watch,
    scope: &Scope<'_>,
    ids: Option<Vec<String>>,
    postgis: &Engine,
) -> Result<()> {
    let fences = &watch.fences;
    let chosen = match scope {
        Scope::Fences(_, of) => {
            format!("f.{} = ANY ($1::pg_catalog.text[]::{of}[])", fences.id)
        }
        _ => "true".to_owned(),
    };
    let wrong = spi::latest_rows(
        &format!(
            "SELECT id, reason FROM (SELECT f.{}::pg_catalog.text AS id, {}(f.{}) AS reason FROM {} f WHERE {chosen} OFFSET 0) r \
             WHERE reason <> 'Valid Geometry' ORDER BY id LIMIT 1",
            fences.id,
            postgis.object("st_isvalidreason"),
            fences.geometry,
            fences.table
        ),
        &[ids.into()],
        |row| Ok((spi::need::<String>(row, 1)?, spi::need::<String>(row, 2)?)),
    )?;
    match wrong.into_iter().next() {
        None => Ok(()),
        Some((id, reason)) => {
            Err(Error::invalid_parameter(format!("\"{id}\" of {} is no valid area", fences.table))
                .detail(format!("{reason}."))
                .hint("Rings must not cross themselves or each other; ST_MakeValid mends them."))
        }
    }
}

/// A call that tells who listens of a row of events: as JSON, of which only the number where it would be
/// too long.
pub fn tell(channel: &str, events: &str) -> String {
    let events = crate::names::literal(events);
    let part = |members: &str| {
        format!(
            "pg_catalog.json_build_object('events', {events}, 'event_id', event_id, 'kind', kind{members})::pg_catalog.text"
        )
    };
    let whole = part(", 'at', at, 'place', place, 'fence', fence, 'since', since");
    format!(
        "pg_catalog.pg_notify({channel}, CASE WHEN pg_catalog.octet_length({whole}) < {PAYLOAD_LIMIT} THEN {whole} ELSE {} END)",
        part("")
    )
}
