//! The arithmetic of rings: closure, winding, the antimeridian.

use crate::geometry::{Position, Ring};

/// Whether the last position is the first again, height included (section 3.1.6).
pub fn is_closed(ring: &[Position]) -> bool {
    match (ring.first(), ring.last()) {
        (Some(first), Some(last)) => first == last,
        _ => false,
    }
}

/// The way from one longitude to the next, taking the short way round where that crosses the
/// antimeridian. A step of exactly 360° stays what it is: the edge of a box round the whole world.
pub fn step(from: f64, to: f64) -> f64 {
    let d = to - from;
    if d > 180.0 && d < 360.0 {
        d - 360.0
    } else if d < -180.0 && d > -360.0 {
        d + 360.0
    } else {
        d
    }
}

/// Whether an edge is longer than half the world, that is, crosses the antimeridian uncut
/// (section 3.1.9).
pub fn crosses_antimeridian(line: &[Position]) -> bool {
    line.windows(2).any(|w| {
        let d = (w[1].x - w[0].x).abs();
        d > 180.0 && d < 360.0
    })
}

/// Twice the signed area in square degrees: positive where the ring runs counterclockwise. Relative
/// to the first vertex, so that small rings far from the origin keep their digits; longitudes are
/// unwrapped. `None` for a ring round a pole, which winds neither way in longitude and latitude.
pub fn winding(ring: &[Position]) -> Option<f64> {
    let first = ring.first()?;
    let (mut area, mut x, mut y) = (0.0, 0.0, 0.0);
    for w in ring.windows(2) {
        let nx = x + step(w[0].x, w[1].x);
        let ny = w[1].y - first.y;
        area += x * ny - nx * y;
        (x, y) = (nx, ny);
    }
    // Closing the ring must bring the longitude back.
    let last = ring.last()?;
    let back = x + step(last.x, first.x);
    (back.abs() < 180.0).then_some(area)
}

/// Where a point is to a ring, in the plane of longitude and latitude: inside, outside, or `None` on
/// the edge.
pub fn contains(ring: &[Position], p: &Position) -> Option<bool> {
    let mut inside = false;
    for w in ring.windows(2) {
        let (a, b) = (&w[0], &w[1]);
        let cross = (b.x - a.x) * (p.y - a.y) - (b.y - a.y) * (p.x - a.x);
        if cross == 0.0
            && (a.x.min(b.x)..=a.x.max(b.x)).contains(&p.x)
            && (a.y.min(b.y)..=a.y.max(b.y)).contains(&p.y)
        {
            return None;
        }
        if (a.y > p.y) != (b.y > p.y) && (cross > 0.0) == (b.y > a.y) {
            inside = !inside;
        }
    }
    Some(inside)
}

/// West, south, east, north of a ring.
pub fn bounds(ring: &Ring) -> [f64; 4] {
    ring.iter().fold(
        [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY],
        |[w, s, e, n], p| [w.min(p.x), s.min(p.y), e.max(p.x), n.max(p.y)],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(points: &[(f64, f64)]) -> Ring {
        points.iter().map(|(x, y)| Position::new(*x, *y)).collect()
    }

    #[test]
    fn winding_tells_direction_even_far_from_the_origin_and_across_the_antimeridian() {
        let square = ring(&[(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0), (0.0, 0.0)]);
        assert_eq!(winding(&square), Some(2.0));
        let tiny: Ring =
            square.iter().map(|p| Position::new(179.0 + p.x * 1e-9, 89.0 + p.y * 1e-9)).collect();
        assert!(winding(&tiny).unwrap() > 0.0);
        let fiji = ring(&[
            (177.0, -20.0),
            (-178.0, -20.0),
            (-178.0, -16.0),
            (177.0, -16.0),
            (177.0, -20.0),
        ]);
        assert_eq!(winding(&fiji), Some(40.0));
        let reversed: Ring = fiji.into_iter().rev().collect();
        assert_eq!(winding(&reversed), Some(-40.0));
    }

    #[test]
    fn a_ring_round_a_pole_has_no_winding() {
        let pole = ring(&[(0.0, 80.0), (120.0, 80.0), (-120.0, 80.0), (0.0, 80.0)]);
        assert_eq!(winding(&pole), None);
    }

    #[test]
    fn the_edge_is_neither_inside_nor_outside() {
        let square = ring(&[(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0), (0.0, 0.0)]);
        assert_eq!(contains(&square, &Position::new(1.0, 1.0)), Some(true));
        assert_eq!(contains(&square, &Position::new(5.0, 1.0)), Some(false));
        assert_eq!(contains(&square, &Position::new(4.0, 1.0)), None);
        assert_eq!(contains(&square, &Position::new(-1.0, 4.0)), Some(false));
    }
}
