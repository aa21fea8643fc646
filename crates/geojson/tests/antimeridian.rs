//! What crosses the antimeridian is cut there: nothing is lost, nothing is added, nothing crosses any more.

use lake_geojson::{Geometry, Limits, Position, Profile, Ring, Root, repair, scan, write};
use proptest::prelude::*;
use serde_json::{Value, json};

fn strict() -> Limits {
    Limits::new(Profile::Strict)
}

fn read(doc: &Value) -> Geometry {
    let text = doc.to_string();
    match scan(text.as_bytes(), Limits::new(Profile::Lenient), &mut || {}).root {
        Some(Root::Geometry(geometry)) => geometry,
        _ => panic!("{text}"),
    }
}

/// The geometry repaired, and what was said.
fn mended(doc: &Value) -> (Geometry, Vec<String>) {
    let mut geometry = read(doc);
    let edits = repair::geometry(&mut geometry);
    let mut again = geometry.clone();
    assert_eq!(repair::geometry(&mut again), vec![], "{doc}");
    (geometry, edits.into_iter().map(|e| e.message).collect())
}

/// Rings begin anywhere: here, with their least position.
fn canonical(mut geometry: Geometry) -> Geometry {
    geometry.each_polygon_mut(&mut |rings| {
        for ring in rings {
            ring.pop();
            let key = |p: &Position| (p.x, p.y);
            let least =
                (0..ring.len()).min_by(|&a, &b| key(&ring[a]).partial_cmp(&key(&ring[b])).unwrap());
            ring.rotate_left(least.unwrap_or(0));
            ring.extend(ring.first().copied());
        }
    });
    geometry
}

#[track_caller]
fn becomes(from: Value, to: Value) -> Vec<String> {
    let (found, said) = mended(&from);
    assert_eq!(canonical(found), canonical(read(&to)));
    said
}

#[track_caller]
fn stays(whole: Value) {
    assert_eq!(mended(&whole), (read(&whole), vec![]));
}

fn line(coordinates: Value) -> Value {
    json!({"type": "LineString", "coordinates": coordinates})
}

fn lines(coordinates: Value) -> Value {
    json!({"type": "MultiLineString", "coordinates": coordinates})
}

fn polygon(coordinates: Value) -> Value {
    json!({"type": "Polygon", "coordinates": coordinates})
}

fn polygons(coordinates: Value) -> Value {
    json!({"type": "MultiPolygon", "coordinates": coordinates})
}

#[test]
fn the_examples_of_section_3_1_9() {
    let cut = lines(json!([[[170.0, 45.0], [180.0, 45.0]], [[-180.0, 45.0], [-170.0, 45.0]]]));
    becomes(line(json!([[170.0, 45.0], [-170.0, 45.0]])), cut.clone());
    becomes(line(json!([[170.0, 45.0], [190.0, 45.0]])), cut.clone());
    becomes(cut.clone(), cut);
    becomes(
        polygon(json!([[
            [170.0, 40.0],
            [-170.0, 40.0],
            [-170.0, 50.0],
            [170.0, 50.0],
            [170.0, 40.0]
        ]])),
        polygons(json!([
            [[[180.0, 40.0], [180.0, 50.0], [170.0, 50.0], [170.0, 40.0], [180.0, 40.0]]],
            [[[-180.0, 40.0], [-170.0, 40.0], [-170.0, 50.0], [-180.0, 50.0], [-180.0, 40.0]]]
        ])),
    );
}

#[test]
fn lines_that_only_touch_it_stay_whole() {
    for whole in [
        line(json!([[170.0, 0.0], [180.0, 1.0], [170.0, 2.0]])),
        line(json!([[180.0, 0.0], [180.0, 1.0]])),
        line(json!([[-180.0, 0.0], [-180.0, 1.0], [-170.0, 2.0]])),
        line(json!([[-180.0, 0.0], [180.0, 0.0]])),
        lines(json!([[[1.0, 1.0], [2.0, 2.0]], []])),
    ] {
        stays(whole);
    }
    // Through a position on it, along it, there and back, and twice round the world.
    becomes(
        line(json!([[170.0, 0.0], [180.0, 5.0], [-170.0, 0.0]])),
        lines(json!([[[170.0, 0.0], [180.0, 5.0]], [[-180.0, 5.0], [-170.0, 0.0]]])),
    );
    becomes(
        line(json!([[170.0, 0.0], [180.0, 1.0], [180.0, 2.0], [-170.0, 3.0]])),
        lines(json!([[[170.0, 0.0], [180.0, 1.0], [180.0, 2.0]], [[-180.0, 2.0], [-170.0, 3.0]]])),
    );
    becomes(
        line(json!([[170.0, 0.0], [-170.0, 2.0], [170.0, 4.0]])),
        lines(json!([
            [[170.0, 0.0], [180.0, 1.0]],
            [[-180.0, 1.0], [-170.0, 2.0], [-180.0, 3.0]],
            [[180.0, 3.0], [170.0, 4.0]]
        ])),
    );
    becomes(
        line(json!([
            [0.0, 0.0],
            [120.0, 1.0],
            [-120.0, 2.0],
            [0.0, 3.0],
            [120.0, 4.0],
            [-120.0, 5.0]
        ])),
        lines(json!([
            [[0.0, 0.0], [120.0, 1.0], [180.0, 1.5]],
            [[-180.0, 1.5], [-120.0, 2.0], [0.0, 3.0], [120.0, 4.0], [180.0, 4.5]],
            [[-180.0, 4.5], [-120.0, 5.0]]
        ])),
    );
}

#[test]
fn heights_are_cut_too() {
    becomes(
        line(json!([[170.0, 0.0, 100.0], [-170.0, 2.0, 300.0]])),
        lines(json!([
            [[170.0, 0.0, 100.0], [180.0, 1.0, 200.0]],
            [[-180.0, 1.0, 200.0], [-170.0, 2.0, 300.0]]
        ])),
    );
}

#[test]
fn holes_go_where_they_belong() {
    // One across, one in the west, one in the east that is written beyond 180.
    let said = becomes(
        polygon(json!([
            [[170.0, 0.0], [-170.0, 0.0], [-170.0, 30.0], [170.0, 30.0], [170.0, 0.0]],
            [[178.0, 10.0], [178.0, 20.0], [-178.0, 20.0], [-178.0, 10.0], [178.0, 10.0]],
            [[172.0, 12.0], [172.0, 14.0], [174.0, 14.0], [174.0, 12.0], [172.0, 12.0]],
            [[186.0, 12.0], [186.0, 14.0], [188.0, 14.0], [188.0, 12.0], [186.0, 12.0]]
        ])),
        polygons(json!([
            [
                [
                    [180.0, 0.0],
                    [180.0, 10.0],
                    [178.0, 10.0],
                    [178.0, 20.0],
                    [180.0, 20.0],
                    [180.0, 30.0],
                    [170.0, 30.0],
                    [170.0, 0.0],
                    [180.0, 0.0]
                ],
                [[172.0, 12.0], [172.0, 14.0], [174.0, 14.0], [174.0, 12.0], [172.0, 12.0]]
            ],
            [
                [
                    [-180.0, 0.0],
                    [-170.0, 0.0],
                    [-170.0, 30.0],
                    [-180.0, 30.0],
                    [-180.0, 20.0],
                    [-178.0, 20.0],
                    [-178.0, 10.0],
                    [-180.0, 10.0],
                    [-180.0, 0.0]
                ],
                [[-174.0, 12.0], [-174.0, 14.0], [-172.0, 14.0], [-172.0, 12.0], [-174.0, 12.0]]
            ]
        ])),
    );
    assert_eq!(said, ["wrapped a longitude 5 times", "cut at the antimeridian once"]);
}

#[test]
fn a_ring_round_a_pole_is_led_to_it() {
    let said = becomes(
        polygon(json!([[[0.0, 80.0], [120.0, 70.0], [-120.0, 70.0], [0.0, 80.0]]])),
        polygon(json!([[
            [-180.0, 70.0],
            [-120.0, 70.0],
            [0.0, 80.0],
            [120.0, 70.0],
            [180.0, 70.0],
            [180.0, 90.0],
            [-180.0, 90.0],
            [-180.0, 70.0]
        ]])),
    );
    assert_eq!(said, ["led a ring to the pole once"]);
    becomes(
        polygon(json!([[
            [0.0, -70.0],
            [-90.0, -70.0],
            [180.0, -60.0],
            [90.0, -70.0],
            [0.0, -70.0]
        ]])),
        polygon(json!([[
            [180.0, -60.0],
            [90.0, -70.0],
            [0.0, -70.0],
            [-90.0, -70.0],
            [-180.0, -60.0],
            [-180.0, -90.0],
            [180.0, -90.0],
            [180.0, -60.0]
        ]])),
    );
    // The direction says north, the place says south: nobody knows which is meant.
    let guess = polygon(json!([[[0.0, -70.0], [120.0, -70.0], [-120.0, -70.0], [0.0, -70.0]]]));
    stays(guess);
}

#[test]
fn a_ring_round_a_pole_may_wander_across() {
    let (found, _) = mended(&polygon(json!([[
        [0.0, 60.0],
        [170.0, 60.0],
        [-170.0, 62.0],
        [-170.0, 66.0],
        [170.0, 66.0],
        [170.0, 70.0],
        [-170.0, 70.0],
        [0.0, 60.0]
    ]])));
    let Geometry::MultiPolygon(parts) = &found else { panic!("{found:?}") };
    assert_eq!(parts.len(), 2, "{found:?}");
    is_valid(&found);
}

/// Under the strict profile, which knows of self-intersection, shared edges and holes outside.
#[track_caller]
fn is_valid(geometry: &Geometry) {
    let mut text = String::new();
    write::geometry(&mut text, geometry);
    let faults = scan(text.as_bytes(), strict(), &mut || {}).faults;
    let errors: Vec<_> = faults.iter().filter(|f| f.is_error()).collect();
    assert!(errors.is_empty(), "{text} {errors:?}");
}

#[test]
fn boxes_round_the_whole_world_stay() {
    for whole in [
        polygon(json!([[
            [-180.0, -90.0],
            [180.0, -90.0],
            [180.0, 90.0],
            [-180.0, 90.0],
            [-180.0, -90.0]
        ]])),
        polygon(json!([[
            [-180.0, -90.0],
            [180.0, -90.0],
            [180.0, -60.0],
            [-180.0, -60.0],
            [-180.0, -90.0]
        ]])),
        polygon(json!([[
            [-180.0, 0.0],
            [-170.0, 0.0],
            [-170.0, 5.0],
            [-180.0, 5.0],
            [-180.0, 0.0]
        ]])),
        polygon(json!([[[170.0, 0.0], [180.0, 2.5], [170.0, 5.0], [170.0, 0.0]]])),
        polygon(json!([])),
    ] {
        stays(whole);
    }
    // Beyond 180 altogether: moved, not cut; 180 itself is the western edge then.
    becomes(
        polygon(json!([[[180.0, 0.0], [190.0, 0.0], [190.0, 5.0], [180.0, 5.0], [180.0, 0.0]]])),
        polygon(json!([[
            [-180.0, 0.0],
            [-170.0, 0.0],
            [-170.0, 5.0],
            [-180.0, 5.0],
            [-180.0, 0.0]
        ]])),
    );
}

#[test]
fn documents_change_their_type_with_it() {
    let text = r#"{"type": "Feature", "properties": {"a": 1}, "geometry": {"coordinates": [[170, 45], [-170, 45]], "type" : "LineString"}}"#;
    let mended =
        repair::document(text.as_bytes(), Limits::new(Profile::Lenient), &mut || {}).unwrap();
    assert_eq!(
        mended.text,
        r#"{"type": "Feature", "properties": {"a": 1}, "geometry": {"coordinates": [[[170,45],[180,45]],[[-180,45],[-170,45]]], "type" : "MultiLineString"}}"#
    );
    let said: Vec<_> =
        mended.edits.iter().map(|e| format!("{} {} {}", e.code, e.pointer, e.message)).collect();
    assert_eq!(
        said,
        [
            "A1 /geometry/coordinates cut at the antimeridian once",
            "A1 /geometry/type became a MultiLineString"
        ]
    );
}

/// A ring round a centre, star-shaped, counterclockwise, wrapped into ±180.
fn star(lon: f64, lat: f64, radii: &[f64], clockwise: bool) -> Ring {
    let n = radii.len() as f64;
    let mut ring: Ring = radii
        .iter()
        .enumerate()
        .map(|(i, r)| {
            let angle = i as f64 / n * std::f64::consts::TAU;
            Position::new(lon + r * angle.cos(), lat + r * angle.sin())
        })
        .collect();
    ring.push(ring[0]);
    if clockwise {
        ring.reverse();
    }
    ring
}

fn wrapped(ring: &[Position]) -> Ring {
    ring.iter().map(|p| Position { x: (p.x + 540.0).rem_euclid(360.0) - 180.0, ..*p }).collect()
}

fn area(ring: &[Position]) -> f64 {
    ring.windows(2).map(|w| w[0].x * w[1].y - w[1].x * w[0].y).sum::<f64>() / 2.0
}

fn area_of(polygons: &[Vec<Ring>]) -> f64 {
    polygons.iter().flatten().map(|ring| area(ring)).sum()
}

proptest! {
    #[test]
    fn polygons_keep_their_area_and_become_valid(
        lon in 150.0..210.0_f64,
        lat in -40.0..40.0_f64,
        radii in prop::collection::vec(20.0..45.0_f64, 3..40),
        hole in prop::collection::vec(1.0..9.0_f64, 3..20),
    ) {
        let shell = star(lon, lat, &radii, false);
        let hole = star(lon, lat, &hole, true);
        // A hole that pokes out of a shell of few corners isn't one.
        let ok = read_polygon(&[shell.clone(), hole.clone()]);
        prop_assume!(ok);
        let wanted = area(&shell) + area(&hole);
        for given in [vec![shell.clone(), hole.clone()], vec![wrapped(&shell), wrapped(&hole)], vec![wrapped(&shell), hole.clone()]] {
            let mut geometry = Geometry::Polygon(given);
            repair::geometry(&mut geometry);
            let parts = match &geometry {
                Geometry::Polygon(rings) => vec![rings.clone()],
                Geometry::MultiPolygon(parts) => parts.clone(),
                other => panic!("{other:?}"),
            };
            prop_assert!((area_of(&parts) - wanted).abs() < 1e-6, "{:?}", geometry);
            is_valid(&geometry);
            let mut again = geometry.clone();
            prop_assert_eq!(repair::geometry(&mut again), vec![]);
        }
    }

    #[test]
    fn lines_keep_their_length_and_cross_no_more(
        start in -180.0..180.0_f64,
        steps in prop::collection::vec((-170.0..170.0_f64, -80.0..80.0_f64), 1..20),
    ) {
        let mut x = start;
        let mut line = vec![Position::new(x, 0.0)];
        for (d, y) in &steps {
            x += d;
            line.push(Position::new(x, *y));
        }
        let length = |line: &[Position]| line.windows(2).map(|w| (w[1].x - w[0].x).hypot(w[1].y - w[0].y)).sum::<f64>();
        let mut geometry = Geometry::LineString(wrapped(&line));
        repair::geometry(&mut geometry);
        let parts = match &geometry {
            Geometry::LineString(line) => vec![line.clone()],
            Geometry::MultiLineString(lines) => lines.clone(),
            other => panic!("{other:?}"),
        };
        prop_assert!((parts.iter().map(|l| length(l)).sum::<f64>() - length(&line)).abs() < 1e-6);
        prop_assert!(parts.iter().flatten().all(|p| p.x.abs() <= 180.0));
        prop_assert!(parts.iter().all(|l| l.windows(2).all(|w| (w[1].x - w[0].x).abs() <= 170.0 + 1e-9)));
    }
}

/// Whether the rings are a valid polygon, moved to where nothing crosses.
fn read_polygon(rings: &[Ring]) -> bool {
    let moved: Vec<Ring> = rings
        .iter()
        .map(|r| r.iter().map(|p| Position { x: p.x - 180.0, ..*p }).collect())
        .collect();
    let mut text = String::new();
    write::geometry(&mut text, &Geometry::Polygon(moved));
    scan(text.as_bytes(), strict(), &mut || {}).faults.iter().all(|f| !f.code().starts_with('V'))
}

/// Rings that cross themselves, which the first round of cutting leaves turned or only wrapped.
#[test]
fn repairing_once_is_enough() {
    for ring in [
        vec![(132.7, -90.0), (0.0, 0.0), (85.0, 42.0), (176.0, 0.0), (16.0, -39.0), (-75.0, -90.0)],
        vec![(180.0, 0.0), (359.9, 0.0), (93.0, 0.0), (273.0, 0.0), (117.8, 6.0)],
        vec![(180.0, 0.0), (359.9, 0.0), (93.0, 0.0), (273.0, -85.8), (117.8, 0.0)],
    ] {
        let mut ring: Ring = ring.into_iter().map(|(x, y)| Position { x, y, z: None }).collect();
        ring.push(ring[0]);
        let mut geometry = Geometry::Polygon(vec![ring]);
        assert!(!repair::geometry(&mut geometry).is_empty());
        let repaired = geometry.clone();
        assert_eq!(repair::geometry(&mut geometry), vec![], "{repaired:?}");
        assert_eq!(geometry, repaired);
    }
}
