//! SQL functions on GeoJSON documents. Each takes `text`, what was sent, and `jsonb`; none needs
//! PostGIS.

use super::document::{self, profile};
use super::measure::{self, Method};
use crate::error::{Error, SqlResult};
use crate::jsonb::JsonbText;
use lake_geojson::{Profile, repair};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

type FaultRow = (String, String, String, String, Option<String>, Option<i64>);

fn validate(text: &str, profile_name: &str, with_offset: bool) -> SqlResult<Vec<FaultRow>> {
    let scan = document::scan(text, profile(profile_name)?);
    Ok(scan
        .faults
        .into_iter()
        .map(|f| {
            let offset = i64::try_from(f.offset).ok().filter(|_| with_offset);
            (
                f.severity.as_str().to_owned(),
                f.code().to_owned(),
                f.pointer,
                f.message,
                f.hint,
                offset,
            )
        })
        .collect())
}

#[pg_extern(schema = "lake", immutable, parallel_safe)]
#[expect(clippy::type_complexity, reason = "pgrx reads the columns from the type")]
pub fn geojson_validate(
    doc: &str,
    profile: default!(&str, "'rfc7946'"),
) -> std::result::Result<
    TableIterator<
        'static,
        (
            name!(severity, String),
            name!(code, String),
            name!(pointer, String),
            name!(message, String),
            name!(hint, Option<String>),
            name!(byte_offset, Option<i64>),
        ),
    >,
    ErrorReport,
> {
    Ok(TableIterator::new(validate(doc, profile, true)?))
}

#[pg_extern(schema = "lake", name = "geojson_validate", immutable, parallel_safe)]
#[expect(clippy::type_complexity, reason = "pgrx reads the columns from the type")]
pub fn geojson_validate_jsonb(
    doc: JsonbText,
    profile: default!(&str, "'rfc7946'"),
) -> std::result::Result<
    TableIterator<
        'static,
        (
            name!(severity, String),
            name!(code, String),
            name!(pointer, String),
            name!(message, String),
            name!(hint, Option<String>),
            name!(byte_offset, Option<i64>),
        ),
    >,
    ErrorReport,
> {
    Ok(TableIterator::new(validate(&doc.0, profile, false)?))
}

#[pg_extern(schema = "lake", immutable, parallel_safe)]
pub fn geojson_is_valid(doc: &str, profile: default!(&str, "'rfc7946'")) -> SqlResult<bool> {
    Ok(document::scan(doc, self::profile(profile)?).is_valid())
}

#[pg_extern(schema = "lake", name = "geojson_is_valid", immutable, parallel_safe)]
pub fn geojson_is_valid_jsonb(
    doc: JsonbText,
    profile: default!(&str, "'rfc7946'"),
) -> SqlResult<bool> {
    geojson_is_valid(&doc.0, profile)
}

#[pg_extern(schema = "lake", immutable, parallel_safe)]
pub fn geojson_assert(doc: &str, profile: default!(&str, "'rfc7946'")) -> SqlResult<bool> {
    document::check(&document::scan(doc, self::profile(profile)?))?;
    Ok(true)
}

#[pg_extern(schema = "lake", name = "geojson_assert", immutable, parallel_safe)]
pub fn geojson_assert_jsonb(
    doc: JsonbText,
    profile: default!(&str, "'rfc7946'"),
) -> SqlResult<bool> {
    geojson_assert(&doc.0, profile)
}

/// The mended document, and the edits as a JSON array of `{code, pointer, message}`.
fn repaired(text: &str) -> SqlResult<(String, JsonbText)> {
    let mended = repair::document(
        text.as_bytes(),
        lake_geojson::Limits::new(Profile::Lenient),
        &mut document::poll,
    )
    .map_err(|fault| document::invalid("the GeoJSON can't be repaired", &fault, 1))?;
    let mut edits = String::from("[");
    for (i, edit) in mended.edits.iter().enumerate() {
        if i > 0 {
            edits.push(',');
        }
        edits.push_str("{\"code\":");
        lake_geojson::write::string(&mut edits, edit.code);
        edits.push_str(",\"pointer\":");
        lake_geojson::write::string(&mut edits, &edit.pointer);
        edits.push_str(",\"message\":");
        lake_geojson::write::string(&mut edits, &edit.message);
        edits.push('}');
    }
    edits.push(']');
    Ok((mended.text, JsonbText(edits)))
}

#[pg_extern(schema = "lake", immutable, parallel_safe)]
pub fn geojson_repair(
    doc: &str,
) -> std::result::Result<
    TableIterator<'static, (name!(doc, String), name!(edits, JsonbText))>,
    ErrorReport,
> {
    Ok(TableIterator::once(repaired(doc)?))
}

#[pg_extern(schema = "lake", name = "geojson_repair", immutable, parallel_safe)]
pub fn geojson_repair_jsonb(
    doc: JsonbText,
) -> std::result::Result<
    TableIterator<'static, (name!(doc, JsonbText), name!(edits, JsonbText))>,
    ErrorReport,
> {
    let (text, edits) = repaired(&doc.0)?;
    Ok(TableIterator::once((JsonbText(text), edits)))
}

#[pg_extern(schema = "lake", immutable, parallel_safe)]
pub fn geojson_to_ewkb(doc: &str, srid: default!(i32, 4326)) -> SqlResult<Option<Vec<u8>>> {
    match document::geometry(doc, Profile::Rfc7946, "doc")? {
        Some(geometry) => Ok(Some(document::ewkb(&geometry, srid)?)),
        None => Ok(None),
    }
}

#[pg_extern(schema = "lake", name = "geojson_to_ewkb", immutable, parallel_safe)]
pub fn geojson_to_ewkb_jsonb(
    doc: JsonbText,
    srid: default!(i32, 4326),
) -> SqlResult<Option<Vec<u8>>> {
    geojson_to_ewkb(&doc.0, srid)
}

#[pg_extern(schema = "lake", immutable, parallel_safe)]
pub fn geojson_from_ewkb(geometry: &[u8]) -> SqlResult<String> {
    let (geometry, srid) = document::from_ewkb(geometry)?;
    if srid != 0 && srid != 4326 {
        return Err(Error::invalid_parameter(format!(
            "the geometry has srid {srid}; GeoJSON is in WGS 84 (4326)"
        ))
        .hint("ST_Transform(geometry, 4326) makes it so.")
        .into());
    }
    Ok(document::to_text(&geometry))
}

#[pg_extern(schema = "lake", immutable, parallel_safe)]
pub fn geojson_distance(
    a: &str,
    b: &str,
    method: default!(&str, "'geodesic'"),
) -> SqlResult<Option<f64>> {
    let method = Method::parse(method)?;
    let (a, b) = (measure::place(a, "a")?, measure::place(b, "b")?);
    Ok(a.zip(b).map(|(a, b)| measure::distance(&a, &b, method)))
}

#[pg_extern(schema = "lake", name = "geojson_distance", immutable, parallel_safe)]
pub fn geojson_distance_jsonb(
    a: JsonbText,
    b: JsonbText,
    method: default!(&str, "'geodesic'"),
) -> SqlResult<Option<f64>> {
    geojson_distance(&a.0, &b.0, method)
}

#[pg_extern(schema = "lake", immutable, parallel_safe)]
pub fn geojson_bearing(a: &str, b: &str) -> SqlResult<Option<f64>> {
    let (a, b) = (measure::place(a, "a")?, measure::place(b, "b")?);
    Ok(a.zip(b).and_then(|(a, b)| measure::bearing(&a, &b)))
}

#[pg_extern(schema = "lake", name = "geojson_bearing", immutable, parallel_safe)]
pub fn geojson_bearing_jsonb(a: JsonbText, b: JsonbText) -> SqlResult<Option<f64>> {
    geojson_bearing(&a.0, &b.0)
}

#[pg_extern(schema = "lake", immutable, parallel_safe)]
pub fn geojson_area(doc: &str) -> SqlResult<Option<f64>> {
    Ok(document::geometry(doc, Profile::Rfc7946, "doc")?.as_ref().map(measure::area))
}

#[pg_extern(schema = "lake", name = "geojson_area", immutable, parallel_safe)]
pub fn geojson_area_jsonb(doc: JsonbText) -> SqlResult<Option<f64>> {
    geojson_area(&doc.0)
}

#[pg_extern(schema = "lake", immutable, parallel_safe)]
pub fn geojson_length(doc: &str) -> SqlResult<Option<f64>> {
    Ok(document::geometry(doc, Profile::Rfc7946, "doc")?.as_ref().map(measure::length))
}

#[pg_extern(schema = "lake", name = "geojson_length", immutable, parallel_safe)]
pub fn geojson_length_jsonb(doc: JsonbText) -> SqlResult<Option<f64>> {
    geojson_length(&doc.0)
}
