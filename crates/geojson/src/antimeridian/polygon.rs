//! Polygons: cut along every seam they cross, and put together again strip by strip.

use super::{Done, Vertex, extent, follow, pole, ring, split, turns_of, wrap};
use crate::geometry::Ring;
use crate::rings::contains;

/// The parts of a polygon; the polygon itself, wrapped, where it can't be cut.
pub fn cut(rings: &[Ring], done: &mut Done) -> Vec<Vec<Ring>> {
    let mut of_this = Done::default();
    match try_cut(rings, &mut of_this) {
        Some(parts) => {
            done.cuts += parts.len() - 1;
            done.poles += of_this.poles;
            parts
        }
        None => {
            let mut whole = rings.to_vec();
            whole.iter_mut().flatten().for_each(wrap);
            vec![whole]
        }
    }
}

fn try_cut(rings: &[Ring], done: &mut Done) -> Option<Vec<Vec<Ring>>> {
    let rings = unrolled(rings, done)?;
    let (from, to) = extent(rings.iter().flatten())?;
    if from == to {
        return Some(vec![rings.iter().map(|r| ring(r, from)).collect()]);
    }
    let mut parts = Vec::new();
    let mut rest = rings;
    for seam in from..to {
        parts.extend(nested(&split::west_of(&rest, seam)?, seam)?);
        rest = split::east_of(&rest, seam)?;
    }
    parts.extend(nested(&rest, to)?);
    (!parts.is_empty()).then_some(parts)
}

/// The rings, each without the last position, followed round the world; holes where the shell is.
/// `None` where one isn't a ring, or a hole goes round a pole.
fn unrolled(rings: &[Ring], done: &mut Done) -> Option<Vec<Vec<Vertex>>> {
    let mut out: Vec<Vec<Vertex>> = Vec::with_capacity(rings.len());
    for (i, ring) in rings.iter().enumerate() {
        let (last, body) = ring.split_last()?;
        if body.len() < 3 || ring.first() != Some(last) {
            return None;
        }
        let mut vertices = follow(body);
        let end = vertices.last()?;
        let round = end.turns + turns_of(end.p.x, last.x);
        if round != 0 {
            if i > 0 {
                return None;
            }
            vertices = pole::enclose(&vertices, round)?;
            done.poles += 1;
        }
        if let Some(shell) = out.first() {
            beside(shell, &mut vertices);
        }
        out.push(vertices);
    }
    Some(out)
}

/// Turns a hole so that it lies where its shell does.
fn beside(shell: &[Vertex], hole: &mut [Vertex]) {
    let bounds = |ring: &[Vertex]| {
        ring.iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(w, e), v| (w.min(v.x()), e.max(v.x())))
    };
    let ((west, east), (w, e)) = (bounds(shell), bounds(hole));
    let outside = |turns: &i32| {
        let by = 360.0 * f64::from(*turns);
        (west - w - by).max(e + by - east).max(0.0)
    };
    let best = [0, 1, -1, 2, -2].into_iter().min_by(|a, b| outside(a).total_cmp(&outside(b)));
    hole.iter_mut().for_each(|v| v.turns += best.unwrap_or(0));
}

/// Polygons of the rings of one strip: counterclockwise ones are shells, the others holes in them.
fn nested(rings: &[Vec<Vertex>], strip: i32) -> Option<Vec<Vec<Ring>>> {
    let mut shells: Vec<(f64, Vec<Ring>)> = Vec::new();
    let mut holes = Vec::new();
    for vertices in rings {
        let ring = ring(vertices, strip);
        match doubled_area(&ring) {
            area if area > 0.0 => shells.push((area, vec![ring])),
            area if area < 0.0 => holes.push(ring),
            // A sliver without area, along the seam.
            _ => {}
        }
    }
    for hole in holes {
        let inside = |shell: &Ring| hole.iter().find_map(|p| contains(shell, p)) == Some(true);
        let (_, polygon) = shells
            .iter_mut()
            .filter(|(_, polygon)| inside(&polygon[0]))
            .min_by(|(a, _), (b, _)| a.total_cmp(b))?;
        polygon.push(hole);
    }
    Some(shells.into_iter().map(|(_, polygon)| polygon).collect())
}

/// Twice the signed area in the plane: an edge of 360° along a pole is one, not a way round.
fn doubled_area(ring: &Ring) -> f64 {
    ring.windows(2).map(|w| w[0].x * w[1].y - w[1].x * w[0].y).sum()
}
