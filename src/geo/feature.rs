//! Judges one Feature for a store: valid GeoJSON, an id of the right type, a geometry that the column
//! takes, properties that jsonb can hold.

use super::document;
use super::store::{Places, SRID};
use crate::error::Error;
use lake_geojson::{
    Fault, Feature, Geometry, GeometryType, Id, Limits, Profile, Root, repair, scan_feature,
};
use pgrx::pg_sys;

/// A Feature ready to be written.
#[derive(Debug, Clone)]
pub struct Row {
    pub id: String,
    /// `None` for a Feature without a place.
    pub ewkb: Option<Vec<u8>>,
    /// JSON text of an object.
    pub properties: String,
}

/// Why a Feature can't be taken.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The Feature's id, where it could be read.
    pub id: Option<String>,
    /// A rule of RFC 7946 by its id, or one of the store's: `no_id`, `id_type`, `geometry_type`,
    /// `dimension`, `not_storable`.
    pub code: String,
    pub message: String,
    pub pointer: Option<String>,
    pub hint: Option<String>,
}

impl Refusal {
    fn new(code: &str, pointer: &str, message: String, hint: &str) -> Self {
        Self {
            id: None,
            code: code.to_owned(),
            message,
            pointer: Some(pointer.to_owned()),
            hint: Some(hint.to_owned()),
        }
    }

    fn of(fault: &Fault) -> Self {
        Self {
            id: None,
            code: fault.code().to_owned(),
            message: fault.message.clone(),
            pointer: Some(fault.pointer.clone()),
            hint: fault.hint.clone(),
        }
    }

    /// As an error about the Feature that `what` names.
    pub fn raise(self, what: &str) -> Error {
        let at = match self.pointer.as_deref() {
            None | Some("") => String::new(),
            Some(pointer) => format!(" at {pointer}"),
        };
        let mut error = Error::invalid_parameter(format!("{what}: {}", self.message))
            .detail(format!("Code: {}{at}.", self.code));
        error.hint = self.hint;
        error
    }
}

/// The row that a Feature's text is. With `mend`, what [`lake_geojson::repair`] can do is done first.
pub fn judge(places: &Places, text: &str, mend: bool) -> Result<Row, Refusal> {
    let profile = if mend { Profile::Lenient } else { Profile::Rfc7946 };
    let scan = scan_feature(text.as_bytes(), Limits::new(profile), &mut document::poll);
    let error = scan.faults.iter().find(|f| f.is_error()).cloned();
    // Properties and ids that are JSON, but that Postgres can't hold.
    let unstorable = scan
        .faults
        .iter()
        .find(|f| f.code() == "J4" && (f.pointer.starts_with("/properties") || f.pointer == "/id"))
        .cloned();
    let Some(Root::Feature(feature)) = scan.root else {
        return Err(error.as_ref().map_or_else(
            || {
                Refusal::new(
                    "F3",
                    "",
                    "it is not a Feature".to_owned(),
                    "Wrap a geometry: {\"type\": \"Feature\", \"id\": …, \"geometry\": …, \"properties\": {}}.",
                )
            },
            Refusal::of,
        ));
    };
    let id = feature.id.as_ref().map(|id| id.as_str().to_owned());
    let named =
        |refusal: Refusal| Refusal { id: id.clone().filter(|i| !i.contains('\0')), ..refusal };
    if let Some(fault) = error.or(unstorable) {
        return Err(named(Refusal::of(&fault)));
    }
    row(places, text, feature, mend).map_err(named)
}

fn row(places: &Places, text: &str, feature: Feature, mend: bool) -> Result<Row, Refusal> {
    let Some(id) = feature.id else {
        return Err(Refusal::new(
            "no_id",
            "/id",
            "the Feature has no id".to_owned(),
            "Stores keep Features by their id: add \"id\" beside \"type\", not in the properties.",
        ));
    };
    let ewkb = match feature.geometry {
        None => None,
        Some(geometry) => Some(ewkb(places, geometry, mend)?),
    };
    let properties = feature.properties.map_or("{}", |range| &text[range]);
    if places.table.properties.is_none() && properties.bytes().any(|b| b == b'"') {
        return Err(Refusal::new(
            "no_properties",
            "/properties",
            "the store has no column for properties".to_owned(),
            "Send \"properties\": null, or adopt the table with a properties_column.",
        ));
    }
    Ok(Row { id: id_for(places, &id)?, ewkb, properties: properties.to_owned() })
}

/// The id as text that the column's type takes.
fn id_for(places: &Places, id: &Id) -> Result<String, Refusal> {
    let text = id.as_str();
    let table = &places.table;
    let (good, text) = match table.id_type_oid {
        pg_sys::INT8OID | pg_sys::INT4OID | pg_sys::INT2OID => {
            let limit = match table.id_type_oid {
                pg_sys::INT8OID => i64::MAX,
                pg_sys::INT4OID => i64::from(i32::MAX),
                _ => i64::from(i16::MAX),
            };
            match whole(id) {
                Some(n) if (-limit - 1..=limit).contains(&n) => (true, n.to_string()),
                _ => (false, text.to_owned()),
            }
        }
        pg_sys::UUIDOID => (is_uuid(text), canonical_uuid(text)),
        _ => (true, text.to_owned()),
    };
    if good {
        return Ok(text);
    }
    Err(Refusal::new(
        "id_type",
        "/id",
        format!("the id \"{text}\" is not of type {}", table.id_type),
        "The type of ids is chosen when the store is made (id_type); text takes any.",
    ))
}

/// A whole number, however JSON writes it (`7`, `7.0`, `"7"`).
fn whole(id: &Id) -> Option<i64> {
    let text = id.as_str();
    if let Ok(n) = text.parse() {
        return Some(n);
    }
    match id {
        Id::String(_) => None,
        Id::Number(_) => {
            let value: f64 = text.parse().ok()?;
            // Above 2^53 a double no longer tells which whole number was meant.
            #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
            (value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0).then_some(value as i64)
        }
    }
}

fn is_uuid(text: &str) -> bool {
    let hex = text.bytes().filter(u8::is_ascii_hexdigit).count();
    let groups: Vec<usize> = text.split('-').map(str::len).collect();
    hex == 32 && (groups == [32] || groups == [8, 4, 4, 4, 12])
}

/// As Postgres writes it, so that one id has one text.
fn canonical_uuid(text: &str) -> String {
    let hex: String = text.chars().filter(|c| *c != '-').map(|c| c.to_ascii_lowercase()).collect();
    match hex.len() {
        32 if hex.is_ascii() => [0..8, 8..12, 12..16, 16..20, 20..32].map(|r| &hex[r]).join("-"),
        _ => text.to_owned(),
    }
}

fn ewkb(places: &Places, mut geometry: Geometry, mend: bool) -> Result<Vec<u8>, Refusal> {
    let given = geometry.geometry_type();
    if mend {
        repair::geometry(&mut geometry);
    }
    let kind = geometry.geometry_type();
    if let Some(wanted) = places.table.kind
        && wanted != kind
    {
        geometry = match (mend, wanted, geometry) {
            (true, GeometryType::MultiPoint, Geometry::Point(p)) => {
                Geometry::MultiPoint(p.into_iter().collect())
            }
            (true, GeometryType::MultiLineString, Geometry::LineString(l)) => {
                Geometry::MultiLineString(vec![l])
            }
            (true, GeometryType::MultiPolygon, Geometry::Polygon(p)) => {
                Geometry::MultiPolygon(vec![p])
            }
            _ if kind != given => {
                return Err(Refusal::new(
                    "geometry_type",
                    "/geometry/type",
                    format!(
                        "a {given} across the antimeridian, cut a {kind}, where the store takes {wanted}"
                    ),
                    "Make the store for the Multi type or for Geometry; without repair it is stored uncut.",
                ));
            }
            _ => {
                return Err(Refusal::new(
                    "geometry_type",
                    "/geometry/type",
                    format!("a {kind} where the store takes {wanted}"),
                    "The type is chosen when the store is made (geometry_type); Geometry takes any. repair => true makes a Multi geometry of a single one.",
                ));
            }
        };
    }
    let empty = geometry.is_empty();
    let heights = match geometry.has_z() {
        Ok(z) => z,
        Err(mixed) => {
            if !(mend && places.table.dimensions == Some(2)) {
                return Err(Refusal::new(
                    "P4",
                    "/geometry/coordinates",
                    mixed.to_string(),
                    "Give all positions a height, or none.",
                ));
            }
            true
        }
    };
    match places.table.dimensions {
        Some(2) if heights && mend => {
            repair::drop_heights(&mut geometry);
        }
        Some(2) if heights => {
            return Err(Refusal::new(
                "dimension",
                "/geometry/coordinates",
                "the positions have heights, for which the store has no room".to_owned(),
                "Make the store with options => '{\"dimensions\": 3}', or leave heights out; repair => true drops them.",
            ));
        }
        Some(3) if !heights && !empty => {
            return Err(Refusal::new(
                "dimension",
                "/geometry/coordinates",
                "the positions have no heights, which the store needs".to_owned(),
                "Give every position a third number, its height in metres.",
            ));
        }
        _ => {}
    }
    document::ewkb(&geometry, SRID).map_err(|e| {
        Refusal::new(
            "P4",
            "/geometry/coordinates",
            e.message,
            "Give all positions a height, or none.",
        )
    })
}
