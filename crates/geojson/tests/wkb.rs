//! What we write is read the same by somebody else: EWKB through the `wkb` crate.

use geo_traits::{
    CoordTrait, GeometryCollectionTrait, GeometryTrait, GeometryType, LineStringTrait,
    MultiLineStringTrait, MultiPointTrait, MultiPolygonTrait, PointTrait, PolygonTrait,
};
use lake_geojson::{Limits, Profile, Root, ewkb, scan};

/// Documents, and what another reader must make of them.
const DOCUMENTS: [(&str, &str); 8] = [
    (r#"{"type":"Point","coordinates":[1.5,-2]}"#, "Point 1.5 -2"),
    (r#"{"type":"Point","coordinates":[1,2,3.25]}"#, "Point 1 2 3.25"),
    (r#"{"type":"LineString","coordinates":[[0,0],[1,2],[3,4]]}"#, "Line(0 0, 1 2, 3 4)"),
    (
        r#"{"type":"Polygon","coordinates":[[[0,0],[9,0],[9,9],[0,0]],[[4,1],[8,2],[8,1],[4,1]]]}"#,
        "Polygon(Line(0 0, 9 0, 9 9, 0 0), Line(4 1, 8 2, 8 1, 4 1))",
    ),
    (r#"{"type":"MultiPoint","coordinates":[[1,2],[3,4]]}"#, "Multi(Point 1 2, Point 3 4)"),
    (
        r#"{"type":"MultiLineString","coordinates":[[[1,2,0],[3,4,1]],[[5,6,2],[7,8,3]]]}"#,
        "Multi(Line(1 2 0, 3 4 1), Line(5 6 2, 7 8 3))",
    ),
    (
        r#"{"type":"MultiPolygon","coordinates":[[[[0,0],[1,0],[1,1],[0,0]]],[[[5,5],[6,5],[6,6],[5,5]]]]}"#,
        "Multi(Polygon(Line(0 0, 1 0, 1 1, 0 0)), Polygon(Line(5 5, 6 5, 6 6, 5 5)))",
    ),
    (
        r#"{"geometries":[{"coordinates":[7,8],"type":"Point"},{"type":"LineString","coordinates":[[1,1],[2,2]]}],"type":"GeometryCollection"}"#,
        "Collection(Point 7 8, Line(1 1, 2 2))",
    ),
];

#[test]
fn another_reader_sees_the_same_geometry() {
    for (document, expected) in DOCUMENTS {
        let read = scan(document.as_bytes(), Limits::new(Profile::Rfc7946), &mut || {});
        let Some(Root::Geometry(geometry)) = read.root else { panic!("not read: {document}") };
        let bytes = ewkb::encode(&geometry, 4326).unwrap();
        let theirs = wkb::reader::read_wkb(&bytes).unwrap();
        assert_eq!(shown(&theirs), expected, "{document}");
    }
}

fn list(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

fn coord(c: &impl CoordTrait<T = f64>) -> String {
    (0..c.dim().size()).map(|n| c.nth(n).unwrap().to_string()).collect::<Vec<_>>().join(" ")
}

fn point(p: &impl PointTrait<T = f64>) -> String {
    p.coord().map_or("Point".into(), |c| format!("Point {}", coord(&c)))
}

fn line(l: &impl LineStringTrait<T = f64>) -> String {
    format!("Line({})", list(l.coords().map(|c| coord(&c))))
}

fn polygon(p: &impl PolygonTrait<T = f64>) -> String {
    let rings = p.exterior().map(|r| line(&r)).into_iter();
    format!("Polygon({})", list(rings.chain(p.interiors().map(|r| line(&r)))))
}

fn shown(geometry: &impl GeometryTrait<T = f64>) -> String {
    match geometry.as_type() {
        GeometryType::Point(p) => point(p),
        GeometryType::LineString(l) => line(l),
        GeometryType::Polygon(p) => polygon(p),
        GeometryType::MultiPoint(m) => format!("Multi({})", list(m.points().map(|p| point(&p)))),
        GeometryType::MultiLineString(m) => {
            format!("Multi({})", list(m.line_strings().map(|l| line(&l))))
        }
        GeometryType::MultiPolygon(m) => {
            format!("Multi({})", list(m.polygons().map(|p| polygon(&p))))
        }
        GeometryType::GeometryCollection(c) => {
            format!("Collection({})", list(c.geometries().map(|g| shown(&g))))
        }
        _ => panic!("not a type of GeoJSON"),
    }
}
