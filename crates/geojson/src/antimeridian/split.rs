//! What of a polygon lies on one side of a seam.
//!
//! The rings are taken apart into the chains that lie on that side; their ends lie on the seam, and,
//! sorted by latitude, every two enclose a piece of the inside. There the chains are joined along the
//! seam. Shells run counterclockwise and holes clockwise, so the inside is always on the left: on the
//! western side the way leads north along the seam, on the eastern side south.

use super::Vertex;
use std::cmp::Ordering;

/// The rings west of a seam; `None` where the rings cross themselves or each other.
pub fn west_of(rings: &[Vec<Vertex>], seam: i32) -> Option<Vec<Vec<Vertex>>> {
    side_of(rings, seam, Ordering::Less)
}

/// The rings east of a seam; `None` where the rings cross themselves or each other.
pub fn east_of(rings: &[Vec<Vertex>], seam: i32) -> Option<Vec<Vec<Vertex>>> {
    side_of(rings, seam, Ordering::Greater)
}

/// An end of a chain.
struct End {
    chain: usize,
    /// Whether the chain begins here.
    begins: bool,
    latitude: f64,
    /// How the latitude changes on the way from the seam.
    slope: f64,
}

fn side_of(rings: &[Vec<Vertex>], seam: i32, side: Ordering) -> Option<Vec<Vec<Vertex>>> {
    let mut whole = Vec::new();
    let mut chains = Vec::new();
    for ring in rings {
        if ring.iter().all(|v| v.side(seam) == side) {
            whole.push(ring.clone());
        } else {
            chains.extend(chains_of(ring, seam, side));
        }
    }
    let mut ends: Vec<End> = chains
        .iter()
        .enumerate()
        .flat_map(|(i, chain)| [end(i, chain, true), end(i, chain, false)])
        .collect();
    ends.sort_by(|a, b| a.latitude.total_cmp(&b.latitude).then(a.slope.total_cmp(&b.slope)));
    // Which chain follows on which.
    let mut next = vec![usize::MAX; chains.len()];
    for pair in ends.chunks(2) {
        let [south, north] = pair else { return None };
        let (ending, beginning) =
            if side == Ordering::Less { (south, north) } else { (north, south) };
        if ending.begins || !beginning.begins {
            return None;
        }
        next[ending.chain] = beginning.chain;
    }
    whole.extend(joined(&chains, &next));
    Some(whole)
}

/// The parts of a ring strictly on one side, each with the places on the seam where it begins and ends.
fn chains_of(ring: &[Vertex], seam: i32, side: Ordering) -> Vec<Vec<Vertex>> {
    let n = ring.len();
    let inside = |i: usize| ring[i % n].side(seam) == side;
    let on_seam = |outside: &Vertex, inside: &Vertex| match outside.side(seam) {
        Ordering::Equal => *outside,
        _ => outside.crossing(inside, seam),
    };
    (0..n)
        .filter(|&i| !inside(i) && inside(i + 1))
        .map(|i| {
            let mut chain = vec![on_seam(&ring[i], &ring[(i + 1) % n])];
            let mut j = i + 1;
            while inside(j) {
                chain.push(ring[j % n]);
                j += 1;
            }
            chain.push(on_seam(&ring[j % n], &ring[(j - 1) % n]));
            chain
        })
        .collect()
}

fn end(index: usize, chain: &[Vertex], begins: bool) -> End {
    let last = chain.len() - 1;
    let (at, inner) = if begins { (chain[0], chain[1]) } else { (chain[last], chain[last - 1]) };
    let slope = (inner.p.y - at.p.y) / (inner.x() - at.x()).abs();
    End { chain: index, begins, latitude: at.p.y, slope }
}

/// Rings of chains that follow on each other.
fn joined(chains: &[Vec<Vertex>], next: &[usize]) -> Vec<Vec<Vertex>> {
    let mut used = vec![false; chains.len()];
    let mut rings = Vec::new();
    for first in 0..chains.len() {
        let mut ring: Vec<Vertex> = Vec::new();
        let mut at = first;
        while !used[at] {
            used[at] = true;
            ring.extend(&chains[at]);
            at = next[at];
        }
        // Chains may end and begin at one place.
        ring.dedup_by(|b, a| a.p.y == b.p.y && a.x() == b.x());
        if ring.len() > 1
            && ring.first().map(|v| (v.x(), v.p.y)) == ring.last().map(|v| (v.x(), v.p.y))
        {
            ring.pop();
        }
        if ring.len() >= 3 {
            rings.push(ring);
        }
    }
    rings
}
