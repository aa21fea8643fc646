//! The scanner against a slow reference: the same rules, written again over a parsed document.

use lake_geojson::{Geometry, Limits, Position, Profile, Root, ewkb, repair, scan, write};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn limits() -> Limits {
    Limits::new(Profile::Rfc7946)
}

/// The MUSTs of RFC 7946, one function per section, `None` for a broken one.
mod reference {
    use serde_json::{Map, Value};

    type Extent = Vec<Vec<f64>>;

    pub fn document(v: &Value) -> bool {
        any(v, &["*"]).is_some()
    }

    fn has_none(o: &Map<String, Value>, names: &[&str]) -> Option<()> {
        names.iter().all(|n| !o.contains_key(*n)).then_some(())
    }

    fn crs(o: &Map<String, Value>) -> Option<()> {
        match o.get("crs") {
            None | Some(Value::Null) => Some(()),
            Some(v) => v.to_string().contains("CRS84\"").then_some(()),
        }
    }

    fn any(v: &Value, roles: &[&str]) -> Option<Extent> {
        let o = v.as_object()?;
        let kind = o.get("type")?.as_str()?;
        let role = match kind {
            "Feature" | "FeatureCollection" => kind,
            _ => "Geometry",
        };
        if roles != ["*"] && !roles.contains(&role) {
            return None;
        }
        crs(o)?;
        let extent = match kind {
            "FeatureCollection" => {
                has_none(o, &["coordinates", "geometries", "geometry", "properties"])?;
                all(o.get("features")?, &["Feature"])?
            }
            "Feature" => {
                has_none(o, &["coordinates", "geometries", "features"])?;
                let properties = o.get("properties")?;
                (properties.is_object() || properties.is_null()).then_some(())?;
                if let Some(id) = o.get("id") {
                    (id.is_string() || id.is_number()).then_some(())?;
                }
                match o.get("geometry")? {
                    Value::Null => Vec::new(),
                    geometry => any(geometry, &["Geometry"])?,
                }
            }
            "GeometryCollection" => {
                has_none(o, &["geometry", "properties", "features", "coordinates"])?;
                all(o.get("geometries")?, &["Geometry"])?
            }
            kind => {
                has_none(o, &["geometry", "properties", "features"])?;
                let c = o.get("coordinates")?;
                match kind {
                    "Point" if c.as_array()?.is_empty() => Vec::new(),
                    "Point" => vec![position(c)?],
                    "MultiPoint" => positions(c)?,
                    "LineString" => line(c, true)?,
                    "MultiLineString" => many(c, |l| line(l, false))?,
                    "Polygon" => polygon(c)?,
                    "MultiPolygon" => many(c, polygon)?,
                    _ => return None,
                }
            }
        };
        if let Some(b) = o.get("bbox") {
            bbox(b, &extent)?;
        }
        Some(extent)
    }

    fn all(v: &Value, roles: &[&str]) -> Option<Extent> {
        many(v, |m| any(m, roles))
    }

    fn many(v: &Value, each: impl Fn(&Value) -> Option<Extent>) -> Option<Extent> {
        let parts: Option<Vec<Extent>> = v.as_array()?.iter().map(each).collect();
        Some(parts?.concat())
    }

    fn position(v: &Value) -> Option<Vec<f64>> {
        let p: Option<Vec<f64>> = v.as_array()?.iter().map(Value::as_f64).collect();
        let p = p?;
        (p.len() >= 2 && p[0].abs() <= 180.0 && p[1].abs() <= 90.0).then_some(p)
    }

    fn positions(v: &Value) -> Option<Extent> {
        v.as_array()?.iter().map(position).collect()
    }

    fn line(v: &Value, may_be_empty: bool) -> Option<Extent> {
        let line = positions(v)?;
        (line.len() >= 2 || line.is_empty() && may_be_empty).then_some(line)
    }

    fn polygon(v: &Value) -> Option<Extent> {
        many(v, |ring| {
            let ring = positions(ring)?;
            let key = |p: &Vec<f64>| p.iter().take(3).copied().collect::<Vec<_>>();
            (ring.len() >= 4 && key(&ring[0]) == key(&ring[ring.len() - 1])).then_some(ring)
        })
    }

    fn bbox(v: &Value, extent: &Extent) -> Option<()> {
        let b: Option<Vec<f64>> = v.as_array()?.iter().map(Value::as_f64).collect();
        let b = b?;
        let n = b.len() / 2;
        (b.len() == 4 || b.len() == 6).then_some(())?;
        if !extent.is_empty() {
            ((n == 3) == extent.iter().any(|p| p.len() > 2)).then_some(())?;
        }
        (b[1] <= b[n + 1] && (n == 2 || b[2] <= b[5])).then_some(())?;
        (b[1].abs() <= 90.0 && b[n + 1].abs() <= 90.0).then_some(())?;
        (b[0].abs() <= 180.0 && b[n].abs() <= 180.0).then_some(())
    }
}

fn longitude() -> impl Strategy<Value = f64> {
    prop_oneof![8 => -180.0..=180.0_f64, 1 => Just(180.0), 1 => (-180_i32..=180).prop_map(f64::from)]
}

fn latitude() -> impl Strategy<Value = f64> {
    prop_oneof![8 => -90.0..=90.0_f64, 1 => Just(-90.0), 1 => (-90_i32..=90).prop_map(f64::from)]
}

fn position(z: bool) -> impl Strategy<Value = Position> {
    (longitude(), latitude(), -1e4..1e4_f64).prop_map(move |(x, y, h)| Position {
        x,
        y,
        z: z.then_some(h),
    })
}

fn ring(z: bool) -> impl Strategy<Value = Vec<Position>> {
    prop::collection::vec(position(z), 3..8).prop_map(|mut ring| {
        ring.push(ring[0]);
        ring
    })
}

fn simple(z: bool) -> impl Strategy<Value = Geometry> {
    let line = || prop::collection::vec(position(z), 2..6);
    // One ring each: random holes would lie outside.
    let polygon = || ring(z).prop_map(|r| vec![r]);
    prop_oneof![
        position(z).prop_map(|p| Geometry::Point(Some(p))),
        Just(Geometry::Point(None)),
        line().prop_map(Geometry::LineString),
        polygon().prop_map(Geometry::Polygon),
        prop::collection::vec(position(z), 0..5).prop_map(Geometry::MultiPoint),
        prop::collection::vec(line(), 0..4).prop_map(Geometry::MultiLineString),
        prop::collection::vec(polygon(), 0..4).prop_map(Geometry::MultiPolygon),
    ]
}

fn geometry() -> impl Strategy<Value = Geometry> {
    any::<bool>().prop_flat_map(|z| {
        simple(z).prop_recursive(3, 16, 4, |inner| {
            prop::collection::vec(inner, 0..4).prop_map(Geometry::GeometryCollection)
        })
    })
}

fn text_of(geometry: &Geometry) -> String {
    let mut out = String::new();
    write::geometry(&mut out, geometry);
    out
}

fn value_of(geometry: &Geometry) -> Value {
    serde_json::from_str(&text_of(geometry)).unwrap()
}

fn document() -> impl Strategy<Value = Value> {
    let feature = || {
        (geometry(), any::<Option<u8>>(), any::<bool>()).prop_map(|(g, id, null)| {
            let mut f = json!({"type": "Feature", "properties": {"a": [1, {"b": null}]},
                               "geometry": if null { Value::Null } else { value_of(&g) }});
            if let Some(id) = id {
                f["id"] = id.into();
            }
            f
        })
    };
    prop_oneof![
        geometry().prop_map(|g| value_of(&g)),
        feature(),
        prop::collection::vec(feature(), 0..4)
            .prop_map(|f| json!({"type": "FeatureCollection", "features": f})),
    ]
}

/// Something to put in the place of something else.
fn junk() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!(true)),
        Just(json!("7")),
        Just(json!(200)),
        Just(json!(-95.5)),
        Just(json!([])),
        Just(json!([1])),
        Just(json!([1, 2])),
        Just(json!([1, 2, 3])),
        Just(json!([[1, 2], [3, 4]])),
        Just(json!([-180, -90, 180, 90])),
        Just(json!([5, 5, 4, 4])),
        Just(json!({})),
        Just(json!("Point")),
        Just(json!("Feature")),
        Just(json!("Polygon")),
        Just(json!({"type": "Point", "coordinates": [1, 2]})),
        Just(json!({"type": "Feature", "geometry": null, "properties": null})),
    ]
}

const NAMES: [&str; 11] = [
    "type",
    "coordinates",
    "geometries",
    "geometry",
    "features",
    "properties",
    "bbox",
    "id",
    "crs",
    "other",
    "Type",
];

/// Changes the `n`th place of a document, counted round: replaces, removes, adds.
fn mutate(v: &mut Value, n: &mut usize, what: u8, name: &str, junk: &Value) -> bool {
    if *n == 0 {
        match v {
            Value::Object(o) if what.is_multiple_of(3) => {
                drop(o.insert(name.to_owned(), junk.clone()))
            }
            Value::Object(o) if what % 3 == 1 => drop(o.remove(name)),
            Value::Array(a) if what.is_multiple_of(3) => a.push(junk.clone()),
            Value::Array(a) if what % 3 == 1 => drop(a.pop()),
            v => *v = junk.clone(),
        }
        return true;
    }
    *n -= 1;
    match v {
        Value::Object(o) => o.values_mut().any(|m| mutate(m, n, what, name, junk)),
        Value::Array(a) => a.iter_mut().any(|m| mutate(m, n, what, name, junk)),
        _ => false,
    }
}

/// The document with its members in another order.
fn shuffled(v: &Value, by: usize) -> String {
    match v {
        Value::Object(o) => {
            let mut members: Vec<String> = o
                .iter()
                .map(|(k, v)| format!("{}: {}", Value::from(k.as_str()), shuffled(v, by)))
                .collect();
            if !members.is_empty() {
                let by = by % members.len();
                members.rotate_left(by);
            }
            format!("{{{} }}", members.join(" ,"))
        }
        Value::Array(a) => {
            format!("[{}]", a.iter().map(|v| shuffled(v, by)).collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn agrees_with_the_reference(
        mut doc in document(),
        changes in prop::collection::vec((0..60_usize, any::<u8>(), 0..NAMES.len(), junk()), 0..3),
        order in 0..4_usize,
    ) {
        for (mut n, what, name, junk) in changes {
            mutate(&mut doc, &mut n, what, NAMES[name], &junk);
        }
        let text = shuffled(&doc, order);
        let found = scan(text.as_bytes(), limits(), &mut || {});
        // Holes that mutation made are the one rule that the reference doesn't know.
        prop_assume!(!found.faults.iter().any(|f| f.code() == "R4"));
        prop_assert_eq!(found.is_valid(), reference::document(&doc), "{}\n{:#?}", text, found.faults);
        for fault in &found.faults {
            prop_assert!(fault.offset <= text.len());
            // A pointer leads to a value, or to a member that isn't there.
            if doc.pointer(&fault.pointer).is_none() {
                let parent = fault.pointer.rsplit_once('/').map_or("", |(p, _)| p);
                prop_assert!(doc.pointer(parent).is_some(), "{} in {}", fault, text);
            }
        }
    }

    #[test]
    fn text_and_ewkb_keep_every_bit(geometry in geometry(), srid in 0..999_999_u32) {
        // Winding is what writing may change: begin with what it makes of it.
        let Some(Root::Geometry(geometry)) =
            scan(text_of(&geometry).as_bytes(), limits(), &mut || {}).root
        else {
            return Err(TestCaseError::fail("not read"));
        };
        let text = text_of(&geometry);
        let again = scan(text.as_bytes(), limits(), &mut || {});
        prop_assert!(again.is_valid(), "{:?}", again.faults);
        prop_assert!(!again.faults.iter().any(|f| f.code() == "R3"), "{:?}", again.faults);
        prop_assert_eq!(again.root, Some(Root::Geometry(geometry.clone())));
        let bytes = ewkb::encode(&geometry, srid).unwrap();
        prop_assert_eq!(ewkb::decode(&bytes), Ok((geometry, srid)));
        for end in 0..bytes.len() {
            prop_assert!(ewkb::decode(&bytes[..end]).is_err());
        }
    }

    #[test]
    fn numbers_are_read_as_the_standard_library_reads_them(
        text in r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,24})?([eE][+-]?[0-9]{1,2})?"
    ) {
        let doc = format!(r#"{{"type":"Point","coordinates":[0,0,{text}]}}"#);
        let Some(Root::Geometry(Geometry::Point(Some(p)))) =
            scan(doc.as_bytes(), limits(), &mut || {}).root
        else {
            return Err(TestCaseError::fail(text));
        };
        prop_assert_eq!(p.z.unwrap().to_bits(), text.parse::<f64>().unwrap().to_bits());
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        scan(&bytes, limits(), &mut || {});
        let _ = lake_geojson::collection::split(&bytes, limits(), &mut || {});
        let _ = ewkb::decode(&bytes);
    }

    #[test]
    fn any_damage_is_survived(doc in document(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut bytes = doc.to_string().into_bytes();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        let found = scan(&bytes, limits(), &mut || {});
        // What the scanner takes for JSON is JSON, and the other way round.
        let json = !found.faults.iter().any(|f| f.code() == "J1");
        let reference = serde_json::from_slice::<Value>(&bytes);
        if let Err(error) = &reference && error.to_string().contains("number out of range") {
            return Ok(());
        }
        prop_assert_eq!(json, reference.is_ok(), "{}", String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn repaired_geometries_are_valid(mut geometry in geometry(), damage in any::<u8>()) {
        if damage & 1 > 0 {
            geometry.each_polygon_mut(&mut |rings| rings.iter_mut().for_each(|r| { if r.len() > 4 { r.pop(); } }));
        }
        if damage & 2 > 0 {
            geometry.each_position_mut(&mut |p| p.x += 360.0 * f64::from(i32::from(damage % 3) - 1) / 2.0);
        }
        if damage & 4 > 0 {
            geometry.each_polygon_mut(&mut |rings| rings.iter_mut().for_each(|r| r.insert(0, r[0])));
        }
        repair::geometry(&mut geometry);
        let text = text_of(&geometry);
        let found = scan(text.as_bytes(), limits(), &mut || {});
        prop_assert!(found.is_valid(), "{} {:?}", text, found.faults);
        let mut again = geometry.clone();
        prop_assert_eq!(repair::geometry(&mut again), vec![]);
    }
}

#[test]
fn a_collection_is_split_as_it_is_parsed() {
    let features: Vec<Value> = (0..50)
        .map(
            |i| json!({"type": "Feature", "id": i, "geometry": null, "properties": {"a": "]},{["}}),
        )
        .chain([Value::Null, json!([1]), json!("x")])
        .collect();
    let mut doc = Map::new();
    doc.insert("bbox".into(), json!([1, 2, 3, 4]));
    doc.insert("features".into(), features.clone().into());
    doc.insert("type".into(), "FeatureCollection".into());
    let text = Value::from(doc).to_string();
    let split = lake_geojson::collection::split(text.as_bytes(), limits(), &mut || {}).unwrap();
    let parsed: Vec<Value> =
        split.into_iter().map(|r| serde_json::from_str(&text[r]).unwrap()).collect();
    assert_eq!(parsed, features);
}

#[test]
fn what_is_no_collection_is_refused_with_the_reason() {
    let code = |text: &str| {
        lake_geojson::collection::split(text.as_bytes(), limits(), &mut || {}).unwrap_err().code()
    };
    assert_eq!(code(r#"{"type":"FeatureCollection","features":[{"a":NaN}]}"#), "J1");
    assert_eq!(code(r#"{"type":"FeatureCollection","features":[{"a":1},]}"#), "J1");
    assert_eq!(code(r#"{"type":"FeatureCollection","features":{}}"#), "F3");
    assert_eq!(code(r#"{"type":"Point","coordinates":[1,2]}"#), "X1");
    assert_eq!(code("[]"), "O1");
    assert_eq!(
        code(
            r#"{"type":"FeatureCollection","crs":{"properties":{"name":"EPSG:3857"}},"features":[]}"#
        ),
        "S1"
    );
}

#[test]
fn curves_and_lies_about_length_are_refused() {
    // A CompoundCurve, and a line of 2^32-1 points in 9 bytes.
    assert_eq!(ewkb::decode(&[1, 9, 0, 0, 0, 0, 0, 0, 0]), Err(ewkb::DecodeError::Type(9)));
    assert_eq!(
        ewkb::decode(&[1, 2, 0, 0, 0, 255, 255, 255, 255]),
        Err(ewkb::DecodeError::Truncated)
    );
    // A collection in a collection in …
    let mut bytes = [1, 7, 0, 0, 0, 1, 0, 0, 0].repeat(100_000);
    bytes.extend([1, 7, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(ewkb::decode(&bytes), Err(ewkb::DecodeError::TooDeep));
    // Big-endian ISO PointZ.
    let mut point = vec![0, 0, 0, 3, 233];
    for v in [1.0_f64, 2.0, 3.0] {
        point.extend(v.to_be_bytes());
    }
    let expected = Geometry::Point(Some(Position { x: 1.0, y: 2.0, z: Some(3.0) }));
    assert_eq!(ewkb::decode(&point), Ok((expected, 0)));
}

#[test]
fn a_document_is_mended_and_the_rest_of_it_left_alone() {
    let text = r#"{ "type": "FeatureCollection", "crs": {"properties": {"name": "EPSG:4326"}},
  "features": [
    {"type": "Feature", "properties": {"keep":  1.50}, "geometry":
      {"coordinates": [[[190, 0], [190, 1], [191, 1]]], "type": "Polygon"}},
    {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2], "bbox": [1]}}
  ]}"#;
    let mended =
        repair::document(text.as_bytes(), Limits::new(Profile::Lenient), &mut || {}).unwrap();
    assert_eq!(
        mended.text,
        r#"{ "type": "FeatureCollection", 
  "features": [
    {"type": "Feature", "properties": {"keep":  1.50}, "geometry":
      {"coordinates": [[[-170,0],[-169,1],[-170,1],[-170,0]]], "type": "Polygon"}},
    {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]},"properties":null}
  ]}"#
    );
    let edits: Vec<String> =
        mended.edits.iter().map(|e| format!("{} {}", e.code, e.pointer)).collect();
    assert_eq!(
        edits,
        [
            "S1 /crs",
            "P3 /features/0/geometry/coordinates",
            "R2 /features/0/geometry/coordinates",
            "R3 /features/0/geometry/coordinates",
            "B1 /features/1/geometry/bbox",
            "F1 /features/1/properties",
        ]
    );
    assert_eq!(scan(mended.text.as_bytes(), limits(), &mut || {}).faults, vec![]);
    let again = repair::document(mended.text.as_bytes(), Limits::new(Profile::Lenient), &mut || {});
    assert_eq!(again.unwrap().edits, vec![]);

    let broken = r#"{"type":"Point","coordinates":[1,95]}"#;
    let fault = repair::document(broken.as_bytes(), Limits::new(Profile::Lenient), &mut || {});
    assert_eq!(fault.unwrap_err().pointer, "/coordinates/1");
}
