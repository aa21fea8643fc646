//! Validity of polygons: cases with their verdicts, and long rings.

use lake_geojson::validity::{Invalid, Wrong, check};
use lake_geojson::{Limits, Position, Profile, Ring, scan};
use proptest::prelude::*;

fn ring(points: &[(f64, f64)]) -> Ring {
    points.iter().chain(points.first()).map(|(x, y)| Position::new(*x, *y)).collect()
}

fn find(polygons: &[Vec<Ring>]) -> Option<Invalid> {
    check(&polygons.iter().map(Vec::as_slice).collect::<Vec<_>>(), &mut || {})
}

fn wrong(polygons: &[Vec<Ring>]) -> Option<Wrong> {
    find(polygons).map(|invalid| invalid.wrong)
}

fn square(x: f64, y: f64, side: f64) -> Ring {
    ring(&[(x, y), (x + side, y), (x + side, y + side), (x, y + side)])
}

fn diamond(x: f64, y: f64, r: f64) -> Ring {
    ring(&[(x - r, y), (x, y - r), (x + r, y), (x, y + r)])
}

#[test]
fn one_ring() {
    for (points, expected) in [
        (&[(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0)][..], None),
        // Clockwise, and with a position twice.
        (&[(0.0, 0.0), (0.0, 4.0), (4.0, 4.0), (4.0, 4.0), (4.0, 0.0)], None),
        // A bow tie.
        (&[(0.0, 0.0), (4.0, 4.0), (4.0, 0.0), (0.0, 4.0)], Some(Wrong::Crossing)),
        // An eight that meets at a vertex.
        (
            &[(0.0, 0.0), (2.0, 2.0), (4.0, 0.0), (4.0, 4.0), (2.0, 2.0), (0.0, 4.0)],
            Some(Wrong::RingTouch),
        ),
        // A vertex on an edge of its own.
        (&[(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (2.0, 0.0), (0.0, 4.0)], Some(Wrong::RingTouch)),
        // A spike out, a spike in.
        (&[(0.0, 0.0), (4.0, 0.0), (6.0, 0.0), (4.0, 0.0), (4.0, 4.0)], Some(Wrong::Crossing)),
        (
            &[(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (2.0, 4.0), (2.0, 2.0), (2.0, 4.0)],
            Some(Wrong::Crossing),
        ),
        // Along an edge of its own.
        (
            &[(0.0, 0.0), (4.0, 0.0), (4.0, 2.0), (3.0, 0.0), (1.0, 0.0), (0.0, 2.0)],
            Some(Wrong::Crossing),
        ),
        (&[(1.0, 1.0), (1.0, 1.0), (1.0, 1.0)], Some(Wrong::Collapsed)),
        (&[(1.0, 1.0), (3.0, 1.0)], Some(Wrong::Collapsed)),
        (&[(0.0, 0.0), (1.0, 1.0), (2.0, 2.0)], Some(Wrong::Crossing)),
        // Both zeros are one place.
        (&[(0.0, 0.0), (4.0, 0.0), (-0.0, 0.0), (0.0, 4.0)], Some(Wrong::Crossing)),
    ] {
        let found = wrong(&[vec![ring(points)]]);
        let same = match (found, expected) {
            // Which of the two is told of a ring with several faults isn't promised.
            (
                Some(Wrong::Crossing | Wrong::RingTouch),
                Some(Wrong::Crossing | Wrong::RingTouch),
            ) => true,
            (found, expected) => found == expected,
        };
        assert!(same, "{points:?}: {found:?}");
    }
}

#[test]
fn holes() {
    let shell = || square(0.0, 0.0, 10.0);
    for (holes, expected) in [
        (vec![square(1.0, 1.0, 2.0), square(5.0, 5.0, 2.0)], None),
        // Touching the shell and each other, once.
        (vec![diamond(1.0, 5.0, 1.0)], None),
        (vec![diamond(3.0, 5.0, 1.0), diamond(5.0, 5.0, 1.0)], None),
        (vec![ring(&[(0.0, 0.0), (3.0, 1.0), (1.0, 3.0)])], None),
        // Twice: the interior falls apart.
        (vec![diamond(5.0, 5.0, 5.0)], Some(Wrong::Disconnected)),
        (vec![diamond(2.5, 5.0, 2.5), diamond(7.5, 5.0, 2.5)], Some(Wrong::Disconnected)),
        // A chain from the shell and back; and one that ends before.
        (vec![diamond(1.0, 5.0, 1.0), diamond(3.0, 5.0, 1.0)], None),
        (vec![square(20.0, 1.0, 1.0)], Some(Wrong::HoleOutside)),
        (vec![square(2.0, 2.0, 6.0), square(3.0, 3.0, 1.0)], Some(Wrong::NestedHoles)),
        (vec![square(2.0, 2.0, 6.0), diamond(4.0, 5.0, 2.0)], Some(Wrong::NestedHoles)),
        (vec![square(2.0, 2.0, 4.0), square(4.0, 4.0, 4.0)], Some(Wrong::Crossing)),
        (vec![square(8.0, 8.0, 4.0)], Some(Wrong::Crossing)),
        // Along the shell's edge.
        (vec![square(0.0, 2.0, 2.0)], Some(Wrong::Crossing)),
        // Outside, touching at a vertex; outside, through a vertex of the shell.
        (vec![diamond(11.0, 5.0, 1.0)], Some(Wrong::HoleOutside)),
        (vec![ring(&[(9.0, 9.0), (10.0, 10.0), (9.0, 11.0)])], Some(Wrong::Crossing)),
        // The same ring twice.
        (vec![square(1.0, 1.0, 2.0), square(1.0, 1.0, 2.0)], Some(Wrong::Crossing)),
    ] {
        let polygon: Vec<Ring> = std::iter::once(shell()).chain(holes).collect();
        assert_eq!(wrong(std::slice::from_ref(&polygon)), expected, "{polygon:?}");
    }
}

#[test]
fn many_polygons() {
    let one = |ring| vec![ring];
    for (polygons, expected) in [
        (vec![one(square(0.0, 0.0, 2.0)), one(square(5.0, 0.0, 2.0))], None),
        // At a corner, and a corner on an edge.
        (vec![one(square(0.0, 0.0, 2.0)), one(square(2.0, 2.0, 2.0))], None),
        (vec![one(square(0.0, 0.0, 2.0)), one(diamond(3.0, 1.0, 1.0))], None),
        (vec![one(square(0.0, 0.0, 2.0)), one(square(2.0, 0.0, 2.0))], Some(Wrong::Overlap)),
        (vec![one(square(0.0, 0.0, 2.0)), one(square(1.0, 1.0, 2.0))], Some(Wrong::Overlap)),
        (vec![one(square(0.0, 0.0, 9.0)), one(square(1.0, 1.0, 2.0))], Some(Wrong::Overlap)),
        (vec![one(square(1.0, 1.0, 2.0)), one(square(0.0, 0.0, 9.0))], Some(Wrong::Overlap)),
        // An island in a lake.
        (
            vec![vec![square(0.0, 0.0, 9.0), square(1.0, 1.0, 7.0)], one(square(2.0, 2.0, 2.0))],
            None,
        ),
        (vec![one(square(0.0, 0.0, 1.0)), one(square(0.0, 0.0, 1.0))], Some(Wrong::Overlap)),
        // Edges that meet once what was between them has ended, after the last one has begun.
        (
            vec![
                one(ring(&[(7.0, 1.0), (1.0, -1.0), (4.0, 6.0)])),
                one(ring(&[(6.0, 6.0), (13.0, 5.0), (6.0, -2.0), (11.0, 1.0)])),
            ],
            Some(Wrong::Crossing),
        ),
    ] {
        assert_eq!(wrong(&polygons), expected, "{polygons:?}");
    }
}

#[test]
fn a_document_is_told_which_ring_and_where() {
    let doc = r#"{"type": "MultiPolygon", "coordinates": [[[[20,0],[21,0],[21,1],[20,0]]],
        [[[0,0],[9,0],[9,9],[0,9],[0,0]], [[1,1],[2,4],[4,1],[1,4],[1,1]]]]}"#;
    let faults = |profile| scan(doc.as_bytes(), Limits::new(profile), &mut || {}).faults;
    let strict = faults(Profile::Strict);
    let found = strict.iter().find(|fault| fault.code() == "V1").unwrap();
    assert_eq!(found.pointer, "/coordinates/1/1");
    assert!(found.message.ends_with("near [1.75, 3.25]"), "{}", found.message);
    assert!(faults(Profile::Rfc7946).iter().all(|fault| fault.code() != "V1"));
}

/// A ring round the origin whose distance from it goes up and down.
fn round(vertices: usize, far: impl Fn(usize) -> f64) -> Ring {
    let points: Vec<_> = (0..vertices)
        .map(|i| {
            let angle = std::f64::consts::TAU * i as f64 / vertices as f64;
            (far(i) * angle.cos(), far(i) * angle.sin())
        })
        .collect();
    ring(&points)
}

#[test]
fn long_rings_are_swept_once() {
    // Of spikes, so that all edges lie over each other in both directions.
    let star = |n| vec![vec![round(n, |i| if i % 2 == 0 { 80.0 } else { 1.0 })]];
    let mut steps = [0_u64; 2];
    for (polls, n) in steps.iter_mut().zip([50_000, 100_000]) {
        let polygons = star(n);
        let found = check(&[&polygons[0]], &mut || *polls += 1);
        assert_eq!(found, None);
    }
    assert!(steps[0] > 10 && steps[1] < steps[0] * 5 / 2, "{steps:?}");
    let mut broken = star(50_000);
    broken[0][0].swap(20_000, 20_004);
    assert!(wrong(&broken).is_some());
}

proptest! {
    /// Whatever the order of positions, rings and polygons, the verdict is the same.
    #[test]
    fn the_verdict_does_not_depend_on_order(
        points in prop::collection::vec(prop::collection::vec((0..6_i8, 0..6_i8), 3..7), 1..4),
        turn in 0..7_usize, backwards in any::<bool>(), many in any::<bool>(),
    ) {
        let rings: Vec<Vec<(f64, f64)>> = points
            .iter()
            .map(|ring| ring.iter().map(|(x, y)| (f64::from(*x), f64::from(*y))).collect())
            .collect();
        let other = rings.iter().map(|ring| {
            let mut ring = ring.clone();
            let by = turn % ring.len();
            ring.rotate_left(by);
            if backwards {
                ring.reverse();
            }
            ring
        });
        let (one, mut two): (Vec<Ring>, Vec<Ring>) =
            (rings.iter().map(|r| ring(r)).collect(), other.map(|r| ring(&r)).collect());
        if backwards {
            two[1..].reverse();
        }
        let shape = |rings: Vec<Ring>| -> Vec<Vec<Ring>> {
            if many { rings.into_iter().map(|ring| vec![ring]).collect() } else { vec![rings] }
        };
        prop_assert_eq!(find(&shape(one)).is_some(), find(&shape(two)).is_some());
    }

    /// Mirrored or turned by a quarter, too.
    #[test]
    fn the_verdict_does_not_depend_on_direction(
        points in prop::collection::vec(prop::collection::vec((-4..4_i8, -4..4_i8), 3..7), 1..4),
    ) {
        let turned = |f: fn(f64, f64) -> (f64, f64)| -> Vec<Ring> {
            points
                .iter()
                .map(|r| ring(&r.iter().map(|(x, y)| f(f64::from(*x), f64::from(*y))).collect::<Vec<_>>()))
                .collect()
        };
        let verdict = find(&[turned(|x, y| (x, y))]).is_some();
        for f in [|x: f64, y: f64| (-x, y), |x: f64, y: f64| (y, x), |x: f64, y: f64| (-y, x), |x: f64, y: f64| (x, -y)] {
            prop_assert_eq!(find(&[turned(f)]).is_some(), verdict);
        }
    }
}
