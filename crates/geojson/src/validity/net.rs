//! Rings as edges, each with its two ends.

use super::{Invalid, Point, Wrong, side};
use crate::geometry::Ring;
use std::ops::Range;

/// An edge, in the direction of its ring.
#[derive(Debug, Clone, Copy)]
pub struct Edge {
    pub from: Point,
    pub to: Point,
    pub ring: usize,
}

impl Edge {
    pub fn left(&self) -> Point {
        if self.from.is_before(&self.to) { self.from } else { self.to }
    }

    pub fn right(&self) -> Point {
        if self.from.is_before(&self.to) { self.to } else { self.from }
    }
}

/// A ring: where it belongs, and its edges.
#[derive(Debug)]
pub struct RingOf {
    pub polygon: usize,
    /// 0 is the shell.
    pub ring: usize,
    pub edges: Range<usize>,
    /// Its leftmost vertex, and there the lowest.
    pub first: Point,
    pub counterclockwise: bool,
}

/// All edges of all rings.
#[derive(Debug)]
pub struct Net {
    pub edges: Vec<Edge>,
    pub rings: Vec<RingOf>,
}

impl Net {
    /// Positions that repeat the one before don't count. A ring that then has fewer than three, or
    /// turns back on itself, is an error.
    pub fn new(polygons: &[&[Ring]]) -> Result<Self, Invalid> {
        let mut net = Net { edges: vec![], rings: vec![] };
        for (polygon, rings) in polygons.iter().enumerate() {
            for (ring, positions) in rings.iter().enumerate() {
                if !positions.is_empty() {
                    net.add(polygon, ring, positions)?;
                }
            }
        }
        Ok(net)
    }

    fn add(&mut self, polygon: usize, ring: usize, positions: &Ring) -> Result<(), Invalid> {
        // Both zeros are one place.
        let mut points: Vec<Point> =
            positions.iter().map(|p| Point { x: p.x + 0.0, y: p.y + 0.0 }).collect();
        points.dedup();
        while points.len() > 1 && points.first() == points.last() {
            points.pop();
        }
        let count = points.len();
        let invalid = |wrong, at: Point| Invalid { wrong, polygon, ring, at: (at.x, at.y) };
        if count < 3 {
            return Err(invalid(Wrong::Collapsed, points[0]));
        }
        let around =
            |i: usize| (points[(i + count - 1) % count], points[i], points[(i + 1) % count]);
        let mut first = 0;
        for i in 0..count {
            let (before, here, after) = around(i);
            let ahead =
                (here.x - before.x) * (after.x - here.x) + (here.y - before.y) * (after.y - here.y);
            if ahead < 0.0 && side(before, here, after) == 0.0 {
                return Err(invalid(Wrong::Crossing, here));
            }
            if here.is_before(&points[first]) {
                first = i;
            }
        }
        let (before, here, after) = around(first);
        let start = self.edges.len();
        self.rings.push(RingOf {
            polygon,
            ring,
            edges: start..start + count,
            first: here,
            // At its outermost vertex a ring turns the way it runs.
            counterclockwise: side(before, here, after) > 0.0,
        });
        let ring = self.rings.len() - 1;
        self.edges.extend((0..count).map(|i| {
            let (_, from, to) = around(i);
            Edge { from, to, ring }
        }));
        Ok(())
    }

    /// What to say of a ring.
    pub fn invalid(&self, wrong: Wrong, ring: usize, at: Point) -> Invalid {
        let RingOf { polygon, ring, .. } = self.rings[ring];
        Invalid { wrong, polygon, ring, at: (at.x, at.y) }
    }

    /// What edges of these rings that cross are.
    pub fn crossing(&self, one: usize, other: usize) -> Wrong {
        if self.rings[one].polygon == self.rings[other].polygon {
            Wrong::Crossing
        } else {
            Wrong::Overlap
        }
    }

    /// Whether the ring's inside is above an edge of it.
    pub fn is_inside_above(&self, edge: usize) -> bool {
        let edge = &self.edges[edge];
        self.rings[edge.ring].counterclockwise == edge.from.is_before(&edge.to)
    }
}
