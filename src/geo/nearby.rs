//! Near and nearest: distances on the WGS 84 ellipsoid, found by index, in order.
//!
//! PostGIS' own `<->` on geography orders by distance on a sphere, which puts about one list of ten
//! in ten into another order than the ellipsoid does. So the nearest are found in two steps of one
//! statement: the k nearest in the plane of longitude and latitude (by the geometry index, from the
//! place itself and from its double beyond the antimeridian) give a distance within which the true k
//! nearest must lie; all within that distance (by the geography index, which knows neither seam nor
//! poles) are then put in order exactly.

use super::measure;
use super::rows::{Conditions, Place};
use super::store::Places;
use crate::error::{Error, Result};
use crate::jsonb::JsonbText;
use crate::spi;
use lake_geojson::{Geometry, Position};

/// A place found, and how to get there.
pub struct Hit {
    pub place: Place,
    pub distance_m: f64,
    /// `None` where the geometry isn't a point, or is where one stands.
    pub bearing_deg: Option<f64>,
}

/// Metres to the other side of the Earth, and a little more.
const EVERYWHERE_M: f64 = 20_100_000.0;

/// Checks a place; 22023 for one that isn't on Earth.
pub fn position(lon: f64, lat: f64) -> Result<Position> {
    if !(-180.0..=180.0).contains(&lon) {
        return Err(Error::invalid_parameter(format!("lon {lon} is outside -180 to 180")));
    }
    if !(-90.0..=90.0).contains(&lat) {
        let error = Error::invalid_parameter(format!("lat {lat} is outside -90 to 90"));
        return Err(if lon.abs() <= 90.0 && lat.abs() <= 180.0 {
            error.hint("Longitude comes first.")
        } else {
            error
        });
    }
    Ok(Position::new(lon, lat))
}

/// Checks a distance; 22023 for one that is negative or no number.
pub fn metres(name: &str, value: f64) -> Result<f64> {
    if value.is_nan() || value < 0.0 {
        return Err(Error::invalid_parameter(format!("{name} can't be {value}"))
            .hint("It is in metres, from 0 on."));
    }
    Ok(value.min(EVERYWHERE_M))
}

/// All within `radius_m`, nearest first, ties by id.
pub fn near(
    places: &Places,
    from: Position,
    radius_m: f64,
    limit: Option<i64>,
    filter: Option<&JsonbText>,
) -> Result<Vec<Hit>> {
    let mut conditions =
        Conditions::new(vec![from.x.into(), from.y.into(), metres("radius_m", radius_m)?.into()]);
    conditions.filter(places, filter)?;
    let sql = near_sql(places, &conditions.sql(), limit);
    hits(&sql, &conditions, from)
}

/// The `k` nearest, nearest first, ties by id; fewer only where there are no more (within
/// `max_distance_m`, where given).
pub fn nearest(
    places: &Places,
    from: Position,
    k: i64,
    filter: Option<&JsonbText>,
    max_distance_m: Option<f64>,
) -> Result<Vec<Hit>> {
    let max = match max_distance_m {
        Some(max) => metres("max_distance_m", max)?,
        None => EVERYWHERE_M,
    };
    let mut conditions = Conditions::new(vec![from.x.into(), from.y.into(), max.into()]);
    conditions.filter(places, filter)?;
    let sql = nearest_sql(places, &conditions.sql(), k);
    hits(&sql, &conditions, from)
}

fn point(places: &Places, lon: &str) -> String {
    format!("{}({}({lon}, $2), 4326)", places.pg("st_setsrid"), places.pg("st_makepoint"))
}

/// Selects what [`hits`] reads from rows that are within `bound` (SQL, metres) and within `$3`.
///
/// The index is asked with `bound`, which is a little more than is needed; who is in is decided by the
/// distance that is shown (PostGIS rounds that to 10 nm, and doesn't round in `ST_DWithin`).
fn within(places: &Places, condition: &str, bound: &str, limit: Option<i64>) -> String {
    let from = format!("{}::{}", point(places, "$1"), places.pg("geography"));
    let geography = places.geography();
    let limit = limit.map(|n| format!(" LIMIT {n}")).unwrap_or_default();
    format!(
        "SELECT s.id::pg_catalog.text, {ewkb}(s.geometry), s.properties::pg_catalog.text, s.distance FROM \
         (SELECT t.{id} AS id, t.{geom} AS geometry, {properties} AS properties, \
                 {distance}({geography}, {from}) AS distance FROM {relation} t \
          WHERE {dwithin}({geography}, {from}, {bound}) AND {condition} OFFSET 0) s \
         WHERE s.distance OPERATOR(pg_catalog.<=) $3 ORDER BY s.distance, s.id{limit}",
        ewkb = places.pg("st_asewkb"),
        geom = places.table.geometry,
        properties = places.properties(),
        distance = places.pg("st_distance"),
        dwithin = places.pg("st_dwithin"),
        relation = places.store.relation,
        id = places.table.id,
    )
}

fn near_sql(places: &Places, condition: &str, limit: Option<i64>) -> String {
    within(places, condition, &with_slack("$3"), limit)
}

/// A little more than a distance (SQL), so that rounding loses nobody.
fn with_slack(distance: &str) -> String {
    format!(
        "{distance} OPERATOR(pg_catalog.*) 1.000001::pg_catalog.float8 OPERATOR(pg_catalog.+) 0.01::pg_catalog.float8"
    )
}

/// `$1` longitude, `$2` latitude, `$3` greatest distance.
fn nearest_sql(places: &Places, condition: &str, k: i64) -> String {
    let id = &places.table.id;
    let geom = &places.table.geometry;
    let from = format!("{}::{}", point(places, "$1"), places.pg("geography"));
    let probe = |lon: &str| {
        format!(
            "(SELECT t.{id} AS id, {}({}, {from}) AS distance FROM {} t WHERE t.{geom} IS NOT NULL AND {condition} \
             ORDER BY t.{geom} {} {} LIMIT {k})",
            places.pg("st_distance"),
            places.geography(),
            places.store.relation,
            places.postgis.operator("<->"),
            point(places, lon),
        )
    };
    let bound = format!(
        "SELECT CASE WHEN pg_catalog.count(*) OPERATOR(pg_catalog.<) {k} THEN {all} \
                ELSE LEAST({all}, {nearest}) END \
         FROM (SELECT DISTINCT p.id, p.distance FROM ({here} UNION ALL {beyond}) p \
               WHERE p.distance IS NOT NULL ORDER BY p.distance LIMIT {k}) b",
        all = with_slack("$3"),
        nearest = with_slack("pg_catalog.max(b.distance)"),
        here = probe("$1"),
        beyond = probe(
            "$1 OPERATOR(pg_catalog.-) pg_catalog.sign($1) OPERATOR(pg_catalog.*) 360::pg_catalog.float8"
        ),
    );
    within(places, condition, &format!("({bound})"), Some(k))
}

fn hits(sql: &str, conditions: &Conditions, from: Position) -> Result<Vec<Hit>> {
    spi::cached_rows(sql, &conditions.args, |row| {
        let place = Place::read(row)?;
        let distance_m: f64 = spi::need(row, 4)?;
        let bearing_deg = match &place.geometry {
            Some(Geometry::Point(Some(to))) => measure::bearing(&from, to),
            _ => None,
        };
        Ok(Hit { place, distance_m, bearing_deg })
    })
}

#[cfg(any(test, feature = "pg_test"))]
pub mod for_tests {
    //! The statements themselves, to be explained.
    use super::*;

    pub fn near(places: &Places) -> String {
        near_sql(places, "true", None)
    }

    pub fn nearest(places: &Places, k: i64) -> String {
        nearest_sql(places, "true", k)
    }
}
