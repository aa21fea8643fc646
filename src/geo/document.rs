//! GeoJSON documents: scanned, judged, turned into geometries and EWKB.

use crate::error::{Error, Result};
use lake_geojson::{Fault, Geometry, Limits, MixedDimensions, Profile, Root, Scan};
use pgrx::PgSqlErrorCode;

/// 22023 for a profile that there isn't.
pub fn profile(name: &str) -> Result<Profile> {
    Profile::parse(name).ok_or_else(|| {
        Error::invalid_parameter(format!("there is no profile \"{name}\"")).hint(
            "Profiles are 'rfc7946' (errors are what MUST be), 'strict' (what SHOULD be, too) and 'lenient' (what can't be repaired).",
        )
    })
}

/// Scans a document; can be cancelled.
pub fn scan(text: &str, profile: Profile) -> Scan {
    lake_geojson::scan(text.as_bytes(), Limits::new(profile), &mut poll)
}

/// Lets a cancel or the end of the session through.
pub fn poll() {
    pgrx::check_for_interrupts!();
}

/// The error that a fault of a document is: 22P02 for text that isn't JSON, 22023 for any other.
pub fn invalid(what: &str, fault: &Fault, errors: usize) -> Error {
    let code = if fault.code() == "J1" {
        PgSqlErrorCode::ERRCODE_INVALID_TEXT_REPRESENTATION
    } else {
        PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE
    };
    let mut detail = if fault.pointer.is_empty() {
        format!("At byte {}, rule {}.", fault.offset, fault.code())
    } else {
        format!("At {}, byte {}, rule {}.", fault.pointer, fault.offset, fault.code())
    };
    if errors > 1 {
        detail.push_str(&format!(
            " It is the first of {errors} errors; lake.geojson_validate lists all."
        ));
    }
    let mut error = Error::new(code, format!("{what}: {}", fault.message)).detail(detail);
    error.hint.clone_from(&fault.hint);
    error
}

/// Raises the first error of a document; where it isn't JSON, that above all.
pub fn check(scan: &Scan) -> Result<()> {
    let broken = scan.faults.iter().find(|f| f.code() == "J1");
    match broken.or(scan.first_error()) {
        None => Ok(()),
        Some(fault) => {
            let errors = scan.faults.iter().filter(|f| f.is_error()).count();
            Err(invalid("invalid GeoJSON", fault, errors))
        }
    }
}

/// The geometry of a document that is one, or is a Feature; `None` for a Feature without a place.
/// `argument` is named by errors.
pub fn geometry(text: &str, profile: Profile, argument: &str) -> Result<Option<Geometry>> {
    let scan = scan(text, profile);
    check(&scan)?;
    match scan.root {
        Some(Root::Geometry(geometry)) => Ok(Some(geometry)),
        Some(Root::Feature(feature)) => Ok(feature.geometry),
        Some(Root::FeatureCollection) => Err(Error::invalid_parameter(format!(
            "{argument} is a FeatureCollection; a geometry or a Feature is needed"
        ))
        .hint("Take its features one by one: SELECT f FROM jsonb_array_elements(collection -> 'features') AS f.")),
        None => Err(Error::internal("a document without errors has no content")),
    }
}

/// Largest number that PostGIS takes for a reference system.
const MAX_SRID: i32 = 999_999;

/// EWKB of a geometry; 22023 for a reference system that can't be, or heights that are there in part.
pub fn ewkb(geometry: &Geometry, srid: i32) -> Result<Vec<u8>> {
    let srid = u32::try_from(srid).ok().filter(|_| srid <= MAX_SRID).ok_or_else(|| {
        Error::invalid_parameter(format!("srid {srid} is outside 0 to {MAX_SRID}"))
    })?;
    lake_geojson::ewkb::encode(geometry, srid).map_err(|e: MixedDimensions| {
        Error::invalid_parameter(format!("the geometry has no binary form: {e}"))
            .detail("Rule P4.")
            .hint("Give all positions a height, or none.")
    })
}

/// A geometry from EWKB; 22P03 for bytes that aren't one, or one that GeoJSON doesn't have.
pub fn from_ewkb(bytes: &[u8]) -> Result<(Geometry, u32)> {
    lake_geojson::ewkb::decode(bytes).map_err(|e| {
        Error::new(
            PgSqlErrorCode::ERRCODE_INVALID_BINARY_REPRESENTATION,
            format!("no GeoJSON can be made of this geometry: {e}"),
        )
    })
}

/// GeoJSON text of a geometry.
pub fn to_text(geometry: &Geometry) -> String {
    let mut out = String::new();
    lake_geojson::write::geometry(&mut out, geometry);
    out
}
