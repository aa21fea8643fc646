//! Which ring lies next around each: by the edge below its first vertex, or where another ring touches
//! there, by a vertex that touches none.

use super::net::Net;
use super::sweep::Found;
use super::{Invalid, Point, Wrong, side};
use std::collections::HashSet;

/// Holes outside their shell or inside each other, and polygons inside each other.
pub fn judge(net: &Net, found: &Found, poll: &mut dyn FnMut()) -> Option<Invalid> {
    let touched: HashSet<(usize, u64, u64)> = found
        .contacts
        .iter()
        .map(|contact| (contact.ring, contact.at.x.to_bits(), contact.at.y.to_bits()))
        .collect();
    let mut order: Vec<usize> = (0..net.rings.len()).collect();
    order.sort_by(|a, b| net.rings[*a].first.order(&net.rings[*b].first));
    let mut around: Vec<Option<usize>> = vec![None; net.rings.len()];
    for ring in order {
        poll();
        let first = net.rings[ring].first;
        around[ring] = if touched.contains(&(ring, first.x.to_bits(), first.y.to_bits())) {
            search(net, ring, &touched, poll)
        } else {
            found.below[ring].and_then(|edge| {
                let below = net.edges[edge].ring;
                if net.is_inside_above(edge) { Some(below) } else { around[below] }
            })
        };
    }
    (0..net.rings.len()).find_map(|ring| {
        let this = &net.rings[ring];
        let outer = around[ring].map(|outer| &net.rings[outer]);
        let wrong = match (this.ring == 0, outer) {
            (true, None) => None,
            // An island in a hole of another polygon.
            (true, Some(outer)) => (outer.ring == 0).then_some(Wrong::Overlap),
            (false, Some(outer)) if outer.polygon == this.polygon => {
                (outer.ring > 0).then_some(Wrong::NestedHoles)
            }
            (false, _) => Some(Wrong::HoleOutside),
        };
        wrong.map(|wrong| net.invalid(wrong, ring, this.first))
    })
}

/// The smallest ring that holds one whose first vertex another touches: each is asked, with a vertex
/// that it doesn't touch.
fn search(
    net: &Net,
    ring: usize,
    touched: &HashSet<(usize, u64, u64)>,
    poll: &mut dyn FnMut(),
) -> Option<usize> {
    let vertices = || net.edges[net.rings[ring].edges.clone()].iter().map(|edge| edge.from);
    let free = vertices()
        .find(|v| !touched.contains(&(ring, v.x.to_bits(), v.y.to_bits())))
        // All its vertices touch others: the middle of an edge touches none.
        .or_else(|| {
            net.edges[net.rings[ring].edges.start..].first().map(|edge| Point {
                x: edge.from.x / 2.0 + edge.to.x / 2.0,
                y: edge.from.y / 2.0 + edge.to.y / 2.0,
            })
        })?;
    let mut best: Option<usize> = None;
    for other in (0..net.rings.len()).filter(|other| *other != ring) {
        poll();
        if holds(net, other, free)
            && best.is_none_or(|best| holds(net, best, net.rings[other].first))
        {
            best = Some(other);
        }
    }
    best
}

/// Whether a point lies inside a ring, on whose edges it isn't.
fn holds(net: &Net, ring: usize, p: Point) -> bool {
    net.edges[net.rings[ring].edges.clone()]
        .iter()
        .filter(|edge| (edge.from.y > p.y) != (edge.to.y > p.y))
        .filter(|edge| (side(edge.from, edge.to, p) > 0.0) == (edge.to.y > edge.from.y))
        .count()
        % 2
        == 1
}
