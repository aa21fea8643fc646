//! Lines: cut where they cross a seam.

use super::{Done, Vertex, extent, follow};
use crate::geometry::{Position, Ring};
use std::cmp::Ordering;

/// The parts of a line, in its order.
pub fn cut(line: &[Position], done: &mut Done) -> Vec<Ring> {
    let vertices = follow(line);
    let Some((from, to)) = extent(vertices.iter()) else { return vec![line.to_vec()] };
    if from == to {
        return vec![vertices.iter().map(|v| v.within(from)).collect()];
    }
    let mut parts: Vec<(i32, Ring)> = Vec::new();
    for edge in vertices.windows(2) {
        for (a, b) in pieces(&edge[0], &edge[1]) {
            let strip = match strip_of(&a, &b) {
                Some(strip) => strip,
                // Along a seam: where the line is already.
                None => parts.last().map_or_else(|| a.strips().1.clamp(from, to), |(s, _)| *s),
            };
            match parts.last_mut() {
                Some((s, part)) if *s == strip => part.push(b.within(strip)),
                _ => parts.push((strip, vec![a.within(strip), b.within(strip)])),
            }
        }
    }
    done.cuts += parts.len() - 1;
    parts.into_iter().map(|(_, part)| part).collect()
}

/// An edge in pieces that cross no seam.
fn pieces(a: &Vertex, b: &Vertex) -> Vec<(Vertex, Vertex)> {
    let (a_from, a_to) = a.strips();
    let (b_from, b_to) = b.strips();
    let (lowest, highest) = (a_to.min(b_to), a_from.max(b_from));
    let mut seams: Vec<i32> = (lowest..highest)
        .filter(|&m| {
            matches!(
                (a.side(m), b.side(m)),
                (Ordering::Less, Ordering::Greater) | (Ordering::Greater, Ordering::Less)
            )
        })
        .collect();
    if a.x() > b.x() {
        seams.reverse();
    }
    let mut out = Vec::with_capacity(seams.len() + 1);
    let mut at = *a;
    for m in seams {
        let crossing = a.crossing(b, m);
        out.push((at, crossing));
        at = crossing;
    }
    out.push((at, *b));
    out
}

/// The strip that a piece lies in; `None` for one along a seam.
fn strip_of(a: &Vertex, b: &Vertex) -> Option<i32> {
    let (from, to) = (a.strips().0.min(b.strips().0), a.strips().1.max(b.strips().1));
    (from == to).then_some(from)
}
