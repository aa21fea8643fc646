//! Validity of polygons in the sense of OGC 06-103r4, section 6.1.11, in the plane of longitude and
//! latitude: rings neither cross nor touch themselves, holes lie in their shell and not in each other,
//! the interior is in one piece, polygons of a MultiPolygon share points at most.
//!
//! One sweep over the edges in the order of their ends finds crossings and contacts, in n log n (after
//! Shamos and Hoey, 1976); on which side of an edge a point lies is decided exactly (Shewchuk's
//! predicates). What touches is then looked at point by point.

mod contact;
mod nesting;
mod net;
mod sweep;

use crate::geometry::Ring;
use net::Net;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// A ring without an area.
    Collapsed,
    /// Edges of one polygon cross, or lie on each other.
    Crossing,
    /// A ring comes back to a point of its own.
    RingTouch,
    /// A hole outside its shell.
    HoleOutside,
    /// A hole within another.
    NestedHoles,
    /// Rings that touch cut the interior in pieces.
    Disconnected,
    /// Two polygons share more than points.
    Overlap,
}

/// The first thing found wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Invalid {
    pub wrong: Wrong,
    /// Which polygon, and which ring of it.
    pub polygon: usize,
    pub ring: usize,
    /// Longitude and latitude: where.
    pub at: (f64, f64),
}

/// A point of the plane, ordered by longitude, then latitude.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Point {
    x: f64,
    y: f64,
}

impl Point {
    /// By coordinates, which are finite.
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        self.x.total_cmp(&other.x).then(self.y.total_cmp(&other.y))
    }

    fn is_before(&self, other: &Self) -> bool {
        self.order(other).is_lt()
    }
}

/// On which side of the way from `a` to `b` the point `c` lies: positive on the left, exactly zero on
/// it.
fn side(a: Point, b: Point, c: Point) -> f64 {
    let coord = |p: Point| robust::Coord { x: p.x, y: p.y };
    robust::orient2d(coord(a), coord(b), coord(c))
}

/// What is wrong with polygons (lists of rings, shell first), if anything. `poll` is called every
/// thousand steps or so; it stops the search by unwinding. Empty polygons and rings are passed over.
pub fn check(polygons: &[&[Ring]], poll: &mut dyn FnMut()) -> Option<Invalid> {
    let net = match Net::new(polygons) {
        Ok(net) => net,
        Err(invalid) => return Some(invalid),
    };
    let found = match sweep::run(&net, poll) {
        Ok(found) => found,
        Err(invalid) => return Some(invalid),
    };
    contact::judge(&net, &found.contacts, poll).or_else(|| nesting::judge(&net, &found, poll))
}
