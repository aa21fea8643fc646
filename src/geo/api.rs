//! SQL functions on stores of places. They check arguments and hand over to the capabilities.

use super::area::{self, Bbox, Relation};
use super::create;
use super::nearby::{self, Hit};
use super::rows::{self, Conditions, Place};
use super::store::{Columns, Places};
use super::upsert;
use crate::catalog::reject::OnError;
use crate::error::{Error, Result, SqlResult};
use crate::jsonb::JsonbText;
use crate::regclass::RegClass;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

/// 22004 for an argument that is null.
pub(super) fn given<T>(argument: Option<T>, name: &str) -> Result<T> {
    argument.ok_or_else(|| Error::null_value(format!("{name} is null")))
}

pub(super) fn places(store: Option<RegClass>) -> Result<Places> {
    Places::find(given(store, "store")?)
}

/// 22023 for a limit below `least`.
fn at_least(name: &str, value: i64, least: i64) -> Result<i64> {
    if value < least {
        return Err(Error::invalid_parameter(format!("{name} can't be {value}"))
            .hint(format!("It is {least} or more.")));
    }
    Ok(value)
}

fn limit_of(limit: Option<i64>) -> Result<Option<i64>> {
    limit.map(|n| at_least("limit", n, 0)).transpose()
}

#[pg_extern(schema = "lake")]
pub fn geo_create(
    name: Option<&str>,
    geometry_type: default!(Option<&str>, "'Geometry'"),
    srid: default!(Option<i32>, "4326"),
    id_type: default!(Option<&str>, "'text'"),
    options: default!(Option<JsonbText>, "'{}'"),
) -> SqlResult<RegClass> {
    Ok(create::create(
        given(name, "name")?,
        given(geometry_type, "geometry_type")?,
        given(srid, "srid")?,
        given(id_type, "id_type")?,
        &given(options, "options")?.parse("options")?,
    )?)
}

#[pg_extern(schema = "lake")]
pub fn geo_adopt(
    tbl: Option<RegClass>,
    id_column: default!(Option<&str>, "'id'"),
    geometry_column: default!(Option<&str>, "'geom'"),
    properties_column: default!(Option<&str>, "'properties'"),
) -> SqlResult<RegClass> {
    let columns = Columns {
        id: given(id_column, "id_column")?.to_owned(),
        geometry: given(geometry_column, "geometry_column")?.to_owned(),
        properties: properties_column.map(str::to_owned),
    };
    Ok(create::adopt(given(tbl, "tbl")?, &columns)?)
}

#[pg_extern(schema = "lake")]
pub fn geo_upsert(store: Option<RegClass>, feature: Option<JsonbText>) -> SqlResult<String> {
    let places = places(store)?;
    let feature = given(feature, "feature")?;
    Ok(upsert::one(&places, &feature.0)?.as_str().to_owned())
}

fn upsert_many(
    store: Option<RegClass>,
    collection: &str,
    on_error: Option<&str>,
    repair: Option<bool>,
) -> Result<(i64, i64, i64, i64)> {
    let places = places(store)?;
    let on_error = OnError::parse(given(on_error, "on_error")?)?;
    Ok(upsert::many(&places, collection, on_error, given(repair, "repair")?)?.columns())
}

#[pg_extern(schema = "lake")]
pub fn geo_upsert_many(
    store: Option<RegClass>,
    collection: Option<&str>,
    on_error: default!(Option<&str>, "'raise'"),
    repair: default!(Option<bool>, "false"),
) -> std::result::Result<
    TableIterator<
        'static,
        (name!(inserted, i64), name!(updated, i64), name!(unchanged, i64), name!(rejected, i64)),
    >,
    ErrorReport,
> {
    let collection = given(collection, "collection")?;
    Ok(TableIterator::once(upsert_many(store, collection, on_error, repair)?))
}

#[pg_extern(schema = "lake", name = "geo_upsert_many")]
pub fn geo_upsert_many_jsonb(
    store: Option<RegClass>,
    collection: Option<JsonbText>,
    on_error: default!(Option<&str>, "'raise'"),
    repair: default!(Option<bool>, "false"),
) -> std::result::Result<
    TableIterator<
        'static,
        (name!(inserted, i64), name!(updated, i64), name!(unchanged, i64), name!(rejected, i64)),
    >,
    ErrorReport,
> {
    let collection = given(collection, "collection")?;
    Ok(TableIterator::once(upsert_many(store, &collection.0, on_error, repair)?))
}

type HitRow = (String, f64, Option<f64>, Option<JsonbText>, JsonbText);

fn hit_row(hit: Hit) -> HitRow {
    let geometry = hit.place.geometry_json();
    (hit.place.id, hit.distance_m, hit.bearing_deg, geometry, JsonbText(hit.place.properties))
}

#[pg_extern(schema = "lake", stable)]
pub fn geo_near(
    store: Option<RegClass>,
    lon: Option<f64>,
    lat: Option<f64>,
    radius_m: Option<f64>,
    limit: default!(Option<i64>, "NULL"),
    filter: default!(Option<JsonbText>, "NULL"),
) -> std::result::Result<
    TableIterator<
        'static,
        (
            name!(id, String),
            name!(distance_m, f64),
            name!(bearing_deg, Option<f64>),
            name!(geometry, Option<JsonbText>),
            name!(properties, JsonbText),
        ),
    >,
    ErrorReport,
> {
    let places = places(store)?;
    let from = nearby::position(given(lon, "lon")?, given(lat, "lat")?)?;
    let hits = nearby::near(
        &places,
        from,
        given(radius_m, "radius_m")?,
        limit_of(limit)?,
        filter.as_ref(),
    )?;
    Ok(TableIterator::new(hits.into_iter().map(hit_row)))
}

#[pg_extern(schema = "lake", stable)]
pub fn geo_nearest(
    store: Option<RegClass>,
    lon: Option<f64>,
    lat: Option<f64>,
    k: default!(Option<i32>, "10"),
    filter: default!(Option<JsonbText>, "NULL"),
    max_distance_m: default!(Option<f64>, "NULL"),
) -> std::result::Result<
    TableIterator<
        'static,
        (
            name!(id, String),
            name!(distance_m, f64),
            name!(bearing_deg, Option<f64>),
            name!(geometry, Option<JsonbText>),
            name!(properties, JsonbText),
        ),
    >,
    ErrorReport,
> {
    let places = places(store)?;
    let from = nearby::position(given(lon, "lon")?, given(lat, "lat")?)?;
    let k = at_least("k", given(k, "k")?.into(), 1)?;
    let hits = nearby::nearest(&places, from, k, filter.as_ref(), max_distance_m)?;
    Ok(TableIterator::new(hits.into_iter().map(hit_row)))
}

#[pg_extern(schema = "lake", stable)]
pub fn geo_within(
    store: Option<RegClass>,
    area: Option<JsonbText>,
    filter: default!(Option<JsonbText>, "NULL"),
    limit: default!(Option<i64>, "NULL"),
) -> std::result::Result<
    TableIterator<
        'static,
        (name!(id, String), name!(geometry, Option<JsonbText>), name!(properties, JsonbText)),
    >,
    ErrorReport,
> {
    let places = places(store)?;
    let area = given(area, "area")?;
    let found = area::find(&places, &area, Relation::Within, filter.as_ref(), limit_of(limit)?)?;
    Ok(TableIterator::new(found.into_iter().map(Place::into_columns)))
}

#[pg_extern(schema = "lake", stable)]
pub fn geo_intersects(
    store: Option<RegClass>,
    area: Option<JsonbText>,
    filter: default!(Option<JsonbText>, "NULL"),
    limit: default!(Option<i64>, "NULL"),
) -> std::result::Result<
    TableIterator<
        'static,
        (name!(id, String), name!(geometry, Option<JsonbText>), name!(properties, JsonbText)),
    >,
    ErrorReport,
> {
    let places = places(store)?;
    let area = given(area, "area")?;
    let found =
        area::find(&places, &area, Relation::Intersects, filter.as_ref(), limit_of(limit)?)?;
    Ok(TableIterator::new(found.into_iter().map(Place::into_columns)))
}

#[pg_extern(schema = "lake", stable)]
pub fn geo_in_bbox(
    store: Option<RegClass>,
    west: Option<f64>,
    south: Option<f64>,
    east: Option<f64>,
    north: Option<f64>,
    filter: default!(Option<JsonbText>, "NULL"),
    limit: default!(Option<i64>, "NULL"),
) -> std::result::Result<
    TableIterator<
        'static,
        (name!(id, String), name!(geometry, Option<JsonbText>), name!(properties, JsonbText)),
    >,
    ErrorReport,
> {
    let places = places(store)?;
    let bbox = Bbox::new(
        given(west, "west")?,
        given(south, "south")?,
        given(east, "east")?,
        given(north, "north")?,
    )?;
    let found = area::in_bbox(&places, bbox, filter.as_ref(), limit_of(limit)?)?;
    Ok(TableIterator::new(found.into_iter().map(Place::into_columns)))
}

#[pg_extern(schema = "lake", stable)]
pub fn geo_feature_collection(
    store: Option<RegClass>,
    filter: default!(Option<JsonbText>, "NULL"),
    bbox: default!(Option<Vec<Option<f64>>>, "NULL"),
    limit: default!(Option<i64>, "NULL"),
) -> SqlResult<String> {
    let places = places(store)?;
    let mut conditions = Conditions::new(Vec::new());
    if let Some(bbox) = bbox {
        Bbox::from_array(&bbox)?.condition(&places, &mut conditions);
    }
    conditions.filter(&places, filter.as_ref())?;
    Ok(rows::feature_collection(&places, &conditions, limit_of(limit)?)?)
}

/// 22004 where neither ids nor a filter say which rows are meant.
fn some_choice(ids: bool, filter: bool) -> Result<()> {
    if ids || filter {
        return Ok(());
    }
    Err(Error::null_value("neither ids nor a filter is given")
        .hint("All rows are meant by filter => '{}'."))
}

fn chosen(
    places: &Places,
    ids: Option<&[Option<String>]>,
    filter: Option<&JsonbText>,
) -> Result<Conditions> {
    let mut conditions = Conditions::new(Vec::new());
    conditions.ids(places, ids);
    conditions.filter(places, filter)?;
    Ok(conditions)
}

#[pg_extern(schema = "lake", stable)]
pub fn geo_get(
    store: Option<RegClass>,
    ids: default!(Option<Vec<Option<String>>>, "NULL"),
    filter: default!(Option<JsonbText>, "NULL"),
    limit: default!(Option<i64>, "NULL"),
) -> std::result::Result<
    TableIterator<
        'static,
        (name!(id, String), name!(geometry, Option<JsonbText>), name!(properties, JsonbText)),
    >,
    ErrorReport,
> {
    let places = places(store)?;
    some_choice(ids.is_some(), filter.is_some())?;
    let conditions = chosen(&places, ids.as_deref(), filter.as_ref())?;
    let found = rows::select(&places, &conditions, limit_of(limit)?)?;
    Ok(TableIterator::new(found.into_iter().map(Place::into_columns)))
}

#[pg_extern(schema = "lake")]
pub fn geo_delete(
    store: Option<RegClass>,
    ids: default!(Option<Vec<Option<String>>>, "NULL"),
    filter: default!(Option<JsonbText>, "NULL"),
) -> SqlResult<i64> {
    let places = places(store)?;
    some_choice(ids.is_some(), filter.is_some())?;
    let conditions = chosen(&places, ids.as_deref(), filter.as_ref())?;
    Ok(rows::delete(&places, &conditions)?)
}

#[pg_extern(schema = "lake", stable)]
pub fn geo_count(
    store: Option<RegClass>,
    filter: default!(Option<JsonbText>, "NULL"),
    ids: default!(Option<Vec<Option<String>>>, "NULL"),
) -> SqlResult<i64> {
    let places = places(store)?;
    let conditions = chosen(&places, ids.as_deref(), filter.as_ref())?;
    Ok(rows::count(&places, &conditions)?)
}
