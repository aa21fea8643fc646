//! Distances, bearings, lengths and areas on the WGS 84 ellipsoid (Karney, "Algorithms for
//! geodesics", 2013), which agree with PostGIS' `geography` to a millionth of a metre; and the sphere.

use super::document;
use crate::error::{Error, Result};
use geo::{Bearing, Distance, Geodesic, GeodesicArea, Length};
use lake_geojson::{Geometry, Position, Profile, Ring};

/// Mean radius of WGS 84, (2a + b) / 3, in metres: the sphere that PostGIS uses.
const MEAN_RADIUS_M: f64 = 6_371_008.771_415_06;

/// How a distance is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Geodesic,
    Haversine,
}

impl Method {
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "geodesic" => Ok(Method::Geodesic),
            "haversine" => Ok(Method::Haversine),
            other => Err(Error::invalid_parameter(format!("there is no method \"{other}\""))
                .hint("Methods are 'geodesic' (ellipsoid, exact) and 'haversine' (sphere, up to 0.6 % off, faster).")),
        }
    }
}

/// Metres between two positions. Heights don't count.
pub fn distance(a: &Position, b: &Position, method: Method) -> f64 {
    match method {
        Method::Geodesic => Geodesic.distance(point(a), point(b)),
        Method::Haversine => haversine(a, b),
    }
}

/// Degrees from north, clockwise, 0 up to 360, in which the shortest way from `a` to `b` begins;
/// `None` where they are one place.
pub fn bearing(a: &Position, b: &Position) -> Option<f64> {
    let same_place = a.y == b.y && (a.x == b.x || (a.x - b.x).abs() == 360.0 || a.y.abs() == 90.0);
    if same_place {
        return None;
    }
    let degrees = Geodesic.bearing(point(a), point(b)).rem_euclid(360.0);
    // Just under 0 rounds to 360.
    Some(if degrees >= 360.0 { 0.0 } else { degrees })
}

/// Square metres of the polygons of a geometry, edges being geodesics; 0 for points and lines.
pub fn area(geometry: &Geometry) -> f64 {
    match geometry {
        Geometry::Polygon(rings) => polygon_area(rings),
        Geometry::MultiPolygon(polygons) => polygons.iter().map(|rings| polygon_area(rings)).sum(),
        Geometry::GeometryCollection(parts) => parts.iter().map(area).sum(),
        _ => 0.0,
    }
}

/// Metres along the lines of a geometry and round its polygons; 0 for points.
pub fn length(geometry: &Geometry) -> f64 {
    let line = |l: &Ring| Geodesic.length(&line_string(l));
    match geometry {
        Geometry::LineString(l) => line(l),
        Geometry::MultiLineString(lines) | Geometry::Polygon(lines) => lines.iter().map(line).sum(),
        Geometry::MultiPolygon(polygons) => polygons.iter().flatten().map(line).sum(),
        Geometry::GeometryCollection(parts) => parts.iter().map(length).sum(),
        Geometry::Point(_) | Geometry::MultiPoint(_) => 0.0,
    }
}

/// The place of a document that is a point; `None` for a Feature without a place or an empty point.
pub fn place(text: &str, argument: &str) -> Result<Option<Position>> {
    match document::geometry(text, Profile::Rfc7946, argument)? {
        None => Ok(None),
        Some(Geometry::Point(p)) => Ok(p),
        Some(other) => Err(Error::unsupported(format!(
            "{argument} is a {}; this is between points",
            other.geometry_type()
        ))
        .hint("With PostGIS: ST_Distance(lake.geojson_to_geometry(a)::geography, lake.geojson_to_geometry(b)::geography).")),
    }
}

fn point(p: &Position) -> geo::Point {
    geo::Point::new(p.x, p.y)
}

fn line_string(line: &Ring) -> geo::LineString {
    line.iter().map(|p| (p.x, p.y)).collect()
}

fn polygon_area(rings: &[Ring]) -> f64 {
    // Each ring by itself: which way it runs must not matter.
    let of =
        |ring: &Ring| geo::Polygon::new(line_string(ring), vec![]).geodesic_area_signed().abs();
    match rings.split_first() {
        None => 0.0,
        Some((shell, holes)) => of(shell) - holes.iter().map(of).sum::<f64>(),
    }
}

fn haversine(a: &Position, b: &Position) -> f64 {
    let (lat_a, lat_b) = (a.y.to_radians(), b.y.to_radians());
    let half = |degrees: f64| (degrees.to_radians() / 2.0).sin().powi(2);
    let h = half(b.y - a.y) + lat_a.cos() * lat_b.cos() * half(b.x - a.x);
    // Rounding may take antipodes above 1, where the arc sine has no value.
    2.0 * MEAN_RADIUS_M * h.min(1.0).sqrt().asin()
}
