//! Cutting at the antimeridian (section 3.1.9): what crosses it becomes parts of which none does.
//!
//! An edge over more than half the world is taken the short way round, as everywhere here; one of exactly
//! 360° is the edge of a box round the whole world. Longitudes beyond ±180 say the same thing otherwise.
//! So each line is followed with the turns that it makes, cut along the *seams* (the meridians 180° + 360°·m), and
//! each part is moved back into the *strip* from -180° to 180°. Positions that needn't move keep every bit.
//!
//! - `line` cuts lines, `polygon` cuts polygons (by `split`, along one seam after the other).
//! - A ring round a pole is first led along the seam to the `pole` and back.

mod line;
mod pole;
mod polygon;
mod split;

use crate::geometry::{Geometry, Position, Ring};
use crate::rings::step;
use std::cmp::Ordering;

/// What was cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// Cuts made: parts that there are more than before.
    pub cuts: usize,
    /// Rings that were led to a pole.
    pub poles: usize,
}

/// Cuts a geometry and brings all longitudes into ±180. Polygons must be closed, and wound by the
/// right-hand rule; one that isn't simple enough to be cut is only wrapped.
pub fn cut(geometry: &mut Geometry) -> Done {
    let mut done = Done::default();
    match geometry {
        Geometry::Point(p) => p.iter_mut().for_each(wrap),
        Geometry::MultiPoint(points) => points.iter_mut().for_each(wrap),
        Geometry::LineString(one) => {
            let mut parts = line::cut(one, &mut done);
            *geometry = match parts.len() {
                1 => Geometry::LineString(parts.remove(0)),
                _ => Geometry::MultiLineString(parts),
            };
        }
        Geometry::MultiLineString(lines) => {
            *lines = lines.iter().flat_map(|one| line::cut(one, &mut done)).collect();
        }
        Geometry::Polygon(rings) => {
            let mut parts = polygon::cut(rings, &mut done);
            *geometry = match parts.len() {
                1 => Geometry::Polygon(parts.remove(0)),
                _ => Geometry::MultiPolygon(parts),
            };
        }
        Geometry::MultiPolygon(polygons) => {
            *polygons = polygons.iter().flat_map(|one| polygon::cut(one, &mut done)).collect();
        }
        Geometry::GeometryCollection(parts) => {
            for part in parts {
                let of_part = cut(part);
                done.cuts += of_part.cuts;
                done.poles += of_part.poles;
            }
        }
    }
    done
}

/// Brings a longitude into ±180: the same meridian.
pub fn wrap(p: &mut Position) {
    if p.x.abs() > 180.0 {
        let turns = ((p.x + 180.0) / 360.0).floor();
        let wrapped = p.x - 360.0 * turns;
        // 180 itself is as good as -180, and is what stood there.
        p.x = if wrapped == -180.0 && p.x > 0.0 { 180.0 } else { wrapped };
    }
}

/// A position, and how many times round the world the line has gone when it comes there.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Vertex {
    p: Position,
    turns: i32,
}

impl Vertex {
    /// The longitude, running on.
    fn x(&self) -> f64 {
        self.p.x + 360.0 * f64::from(self.turns)
    }

    /// West of a seam, on it or east of it. Exact: the longitude itself isn't changed for it.
    fn side(&self, seam: i32) -> Ordering {
        self.p.x.total_cmp(&(180.0 + 360.0 * f64::from(seam - self.turns)))
    }

    /// The first and the last strip it lies in; two where it lies on a seam (then the first is the eastern).
    fn strips(&self) -> (i32, i32) {
        let x = self.p.x;
        let from = i32::from(x >= 180.0) - i32::from(x < -180.0);
        let to = i32::from(x > 180.0) - i32::from(x <= -180.0);
        (self.turns + from, self.turns + to)
    }

    /// Where it is in a strip that it lies in.
    fn within(&self, strip: i32) -> Position {
        Position { x: self.p.x + 360.0 * f64::from(self.turns - strip), ..self.p }
    }

    /// Where the edge to another crosses a seam that lies between them. The same for both directions.
    fn crossing(&self, other: &Self, seam: i32) -> Self {
        let (a, b) = if self.x() <= other.x() { (self, other) } else { (other, self) };
        let to_seam = 180.0 + 360.0 * f64::from(seam - a.turns) - a.p.x;
        let width = b.p.x - a.p.x + 360.0 * f64::from(b.turns - a.turns);
        let t = to_seam / width;
        let z = match (a.p.z, b.p.z) {
            (Some(from), Some(to)) => Some(from + t * (to - from)),
            (one, other) => one.or(other),
        };
        Self { p: Position { x: 180.0, y: a.p.y + t * (b.p.y - a.p.y), z }, turns: seam }
    }
}

/// Follows a line, counting the turns.
fn follow(line: &[Position]) -> Vec<Vertex> {
    let mut turns = 0;
    let mut before: Option<f64> = None;
    line.iter()
        .map(|p| {
            if let Some(from) = before {
                turns += turns_of(from, p.x);
            }
            before = Some(p.x);
            Vertex { p: *p, turns }
        })
        .collect()
}

/// How an edge changes the count of turns: 1 where it crosses eastwards, -1 westwards.
fn turns_of(from: f64, to: f64) -> i32 {
    match step(from, to) - (to - from) {
        d if d > 0.0 => 1,
        d if d < 0.0 => -1,
        _ => 0,
    }
}

/// The strips that vertices lie in; the same one twice for what lies in one. `None` for no vertices.
fn extent<'a>(vertices: impl Iterator<Item = &'a Vertex>) -> Option<(i32, i32)> {
    let all = vertices.map(Vertex::strips);
    let (from, to) = all.reduce(|(f, t), (g, u)| (f.min(g), t.max(u)))?;
    // All on one seam: in either strip.
    Some(if from > to {
        let strip = if from == 0 || to == 0 { 0 } else { from };
        (strip, strip)
    } else {
        (from, to)
    })
}

/// Positions of a ring in their strip, closed.
fn ring(vertices: &[Vertex], strip: i32) -> Ring {
    let mut ring: Ring = vertices.iter().map(|v| v.within(strip)).collect();
    ring.extend(ring.first().copied());
    ring
}
