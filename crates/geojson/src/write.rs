//! Writes GeoJSON that keeps RFC 7946: exterior rings counterclockwise (section 3.1.6), numbers in
//! the shortest form that reads back the same.

use crate::geometry::{Geometry, Position, Ring};
use crate::rings;
use std::fmt::Write;

/// Appends a geometry. Coordinates must be finite, as everything that this crate reads is.
pub fn geometry(out: &mut String, geometry: &Geometry) {
    let _ = write!(out, "{{\"type\":\"{}\",", geometry.geometry_type());
    if let Geometry::GeometryCollection(parts) = geometry {
        out.push_str("\"geometries\":");
        list(out, parts, self::geometry);
    } else {
        out.push_str("\"coordinates\":");
        coordinates(out, geometry);
    }
    out.push('}');
}

/// Appends the value of `coordinates`; `[]` for a collection, which has none.
pub fn coordinates(out: &mut String, geometry: &Geometry) {
    match geometry {
        Geometry::Point(None) | Geometry::GeometryCollection(_) => out.push_str("[]"),
        Geometry::Point(Some(p)) => position(out, p),
        Geometry::LineString(points) | Geometry::MultiPoint(points) => list(out, points, position),
        Geometry::MultiLineString(lines) => list(out, lines, line),
        Geometry::Polygon(all) => polygon(out, all),
        Geometry::MultiPolygon(polygons) => list(out, polygons, |out, p| polygon(out, p)),
    }
}

fn list<T>(out: &mut String, items: &[T], mut each: impl FnMut(&mut String, &T)) {
    out.push('[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        each(out, item);
    }
    out.push(']');
}

fn line(out: &mut String, line: &Ring) {
    list(out, line, position);
}

fn polygon(out: &mut String, all: &[Ring]) {
    out.push('[');
    for (i, ring) in all.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        let clockwise = rings::winding(ring).is_some_and(|area| area < 0.0);
        let counterclockwise = rings::winding(ring).is_some_and(|area| area > 0.0);
        if (i == 0 && clockwise) || (i > 0 && counterclockwise) {
            let reversed: Ring = ring.iter().rev().copied().collect();
            line(out, &reversed);
        } else {
            line(out, ring);
        }
    }
    out.push(']');
}

fn position(out: &mut String, p: &Position) {
    out.push('[');
    number(out, p.x);
    out.push(',');
    number(out, p.y);
    if let Some(z) = p.z {
        out.push(',');
        number(out, z);
    }
    out.push(']');
}

/// Appends a finite number in the shortest form that reads back the same.
pub fn number(out: &mut String, value: f64) {
    let size = value.abs();
    let _ = if size == 0.0 {
        out.write_char('0')
    } else if (1e-5..1e16).contains(&size) {
        write!(out, "{value}")
    } else {
        write!(out, "{value:e}")
    };
}

/// Appends a JSON string.
pub fn string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        let _ = match c {
            '"' => out.write_str("\\\""),
            '\\' => out.write_str("\\\\"),
            '\n' => out.write_str("\\n"),
            '\r' => out.write_str("\\r"),
            '\t' => out.write_str("\\t"),
            c if c < ' ' => write!(out, "\\u{:04x}", u32::from(c)),
            c => out.write_char(c),
        };
    }
    out.push('"');
}
