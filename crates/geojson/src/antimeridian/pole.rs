//! Rings round a pole: in longitude and latitude they end where they began only after a whole turn, and
//! say which side is inside by their direction alone.

use super::Vertex;
use crate::geometry::Position;
use std::cmp::Ordering;

/// The ring, led from the crossing of a seam that is nearest to the pole up the seam to the pole, along
/// it and back. `round` is the turns it makes: 1 eastwards (the north pole lies on its left, which is
/// inside), -1 westwards (the south pole).
///
/// `None` where direction and latitudes disagree on which pole it is: that would be a guess.
pub fn enclose(vertices: &[Vertex], round: i32) -> Option<Vec<Vertex>> {
    if round.abs() != 1 {
        return None;
    }
    let north = f64::from(round);
    let mean = vertices.iter().map(|v| v.p.y).sum::<f64>();
    if mean * north <= 0.0 {
        return None;
    }
    let n = vertices.len();
    // Once more round, so that every edge has its two ends.
    let at = |i: usize| {
        let v = vertices[i % n];
        Vertex { turns: v.turns + if i >= n { round } else { 0 }, ..v }
    };
    let (edge, start) = (0..n)
        .flat_map(|i| crossings(at(i), at(i + 1), round).map(move |c| (i, c)))
        .max_by(|(_, a), (_, b)| (a.p.y * north).total_cmp(&(b.p.y * north)))?;
    let mut ring = vec![start];
    ring.extend((edge + 1..=edge + n).map(at));
    let end = Vertex { turns: start.turns + round, ..start };
    let corner = |v: Vertex| Vertex { p: Position { y: 90.0 * north, ..v.p }, ..v };
    ring.extend([end, corner(end), corner(start)]);
    // A crossing may be at a vertex, and a vertex at the pole.
    ring.dedup_by(|b, a| same_place(a, b));
    if same_place(&corner(start), &start) {
        ring.pop();
    }
    (ring.len() > 3).then_some(ring)
}

/// Where an edge comes to seams in the direction of the ring.
fn crossings(a: Vertex, b: Vertex, round: i32) -> impl Iterator<Item = Vertex> {
    let (from, to) = (a.strips().1.min(b.strips().1), a.strips().0.max(b.strips().0));
    (from..to).filter_map(move |seam| {
        let (before, after) = if round > 0 {
            (a.side(seam), b.side(seam))
        } else {
            (a.side(seam).reverse(), b.side(seam).reverse())
        };
        match (before, after) {
            (Ordering::Less, Ordering::Equal) => {
                Some(Vertex { p: Position { x: 180.0, ..b.p }, turns: seam })
            }
            (Ordering::Less, Ordering::Greater) => Some(a.crossing(&b, seam)),
            _ => None,
        }
    })
}

fn same_place(a: &Vertex, b: &Vertex) -> bool {
    a.p.y == b.p.y && a.x() == b.x()
}
