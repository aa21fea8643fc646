//! A line swept from left to right over the edges; those it cuts are kept in the order from below.
//!
//! Edges that cross are neighbours in that order before they do. Edges that end at a point leave
//! before those that begin there enter, so that the order holds where rings touch.

use super::net::{Edge, Net};
use super::{Invalid, Point, Wrong, side};
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Bound;

/// A vertex or the inside of an edge that lies where another ring has a vertex.
#[derive(Debug, Clone, Copy)]
pub struct Contact {
    pub at: Point,
    pub ring: usize,
    /// The ring's neighbours of the point: the vertices before and after it, or the edge's ends.
    pub before: Point,
    pub after: Point,
}

/// What a sweep without a crossing found.
pub struct Found {
    /// Sorted by point, then by ring; where there is one at a point, there are two.
    pub contacts: Vec<Contact>,
    /// For each ring the edge next below its first vertex, if there is one.
    pub below: Vec<Option<usize>>,
}

/// An edge that the line cuts.
#[derive(Debug, Clone, Copy)]
struct Cut {
    left: Point,
    right: Point,
    edge: usize,
}

impl Ord for Cut {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.edge == other.edge {
            return Ordering::Equal;
        }
        if other.left.is_before(&self.left) {
            return other.cmp(self).reverse();
        }
        let mut where_other = side(self.left, self.right, other.left);
        if where_other == 0.0 {
            where_other = side(self.left, self.right, other.right);
        }
        if where_other > 0.0 {
            Ordering::Less
        } else if where_other < 0.0 {
            Ordering::Greater
        } else {
            self.edge.cmp(&other.edge)
        }
    }
}

impl PartialOrd for Cut {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Cut {
    fn eq(&self, other: &Self) -> bool {
        self.edge == other.edge
    }
}

impl Eq for Cut {}

/// Sweeps; an edge that crosses or lies on another is the error.
pub fn run(net: &Net, poll: &mut dyn FnMut()) -> Result<Found, Invalid> {
    let mut found = Found { contacts: at_vertices(net)?, below: vec![None; net.rings.len()] };
    let cut = |edge: usize| {
        let ends = &net.edges[edge];
        Cut { left: ends.left(), right: ends.right(), edge }
    };
    let mut leaves: Vec<Cut> = (0..net.edges.len()).map(cut).collect();
    let mut enters = leaves.clone();
    leaves.sort_unstable_by(|a, b| a.right.order(&b.right));
    // From below where several begin at a point, so that a ring's lower edge finds what is below it.
    enters.sort_unstable_by(|a, b| a.left.order(&b.left).then_with(|| a.cmp(b)));
    let mut line: BTreeSet<Cut> = BTreeSet::new();
    let mut leaving = leaves.iter().peekable();
    for (step, entering) in enters.iter().enumerate() {
        if step % 1024 == 0 {
            poll();
        }
        while let Some(gone) = leaving.next_if(|gone| !entering.left.is_before(&gone.right)) {
            leave(net, &mut line, gone, &mut found.contacts)?;
        }
        let below = under(&line, entering);
        let ring = net.edges[entering.edge].ring;
        if entering.left == net.rings[ring].first
            && below.is_none_or(|below| net.edges[below.edge].ring != ring)
        {
            found.below[ring] = below.map(|below| below.edge);
        }
        for other in [below, over(&line, entering)].into_iter().flatten() {
            meet(net, entering.edge, other.edge, &mut found.contacts)?;
        }
        line.insert(*entering);
    }
    for (step, gone) in leaving.enumerate() {
        if step % 1024 == 0 {
            poll();
        }
        leave(net, &mut line, gone, &mut found.contacts)?;
    }
    found.contacts.sort_by(|a, b| {
        let rest = |c: &Contact| (c.ring, c.before.x, c.before.y);
        let (a_rest, b_rest) = (rest(a), rest(b));
        a.at.order(&b.at)
            .then(a_rest.0.cmp(&b_rest.0))
            .then(a_rest.1.total_cmp(&b_rest.1))
            .then(a_rest.2.total_cmp(&b_rest.2))
    });
    found.contacts.dedup_by(|a, b| a.at == b.at && a.ring == b.ring && a.before == b.before);
    Ok(found)
}

/// An edge ends; those below and above it become neighbours.
fn leave(
    net: &Net,
    line: &mut BTreeSet<Cut>,
    gone: &Cut,
    contacts: &mut Vec<Contact>,
) -> Result<(), Invalid> {
    line.remove(gone);
    match (under(line, gone), over(line, gone)) {
        (Some(below), Some(above)) => meet(net, below.edge, above.edge, contacts),
        _ => Ok(()),
    }
}

fn under(line: &BTreeSet<Cut>, cut: &Cut) -> Option<Cut> {
    line.range((Bound::Unbounded, Bound::Excluded(cut))).next_back().copied()
}

fn over(line: &BTreeSet<Cut>, cut: &Cut) -> Option<Cut> {
    line.range((Bound::Excluded(cut), Bound::Unbounded)).next().copied()
}

/// Vertices of several rings at one point; two of one ring are an error.
fn at_vertices(net: &Net) -> Result<Vec<Contact>, Invalid> {
    let mut vertices: Vec<usize> = (0..net.edges.len()).collect();
    let point = |vertex: &usize| net.edges[*vertex].from;
    vertices.sort_unstable_by(|a, b| {
        point(a).order(&point(b)).then(net.edges[*a].ring.cmp(&net.edges[*b].ring))
    });
    let mut contacts = vec![];
    for same in vertices.chunk_by(|a, b| point(a) == point(b)).filter(|same| same.len() > 1) {
        let rings = same.windows(2).map(|pair| (net.edges[pair[0]].ring, net.edges[pair[1]].ring));
        if let Some((ring, _)) = { rings }.find(|(one, other)| one == other) {
            return Err(net.invalid(Wrong::RingTouch, ring, point(&same[0])));
        }
        contacts.extend(same.iter().map(|vertex| at_vertex(net, *vertex)));
    }
    Ok(contacts)
}

/// The contact of a ring at the vertex where this edge begins.
fn at_vertex(net: &Net, edge: usize) -> Contact {
    let Edge { from, to, ring } = net.edges[edge];
    let all = &net.rings[ring].edges;
    let previous = if edge == all.start { all.end - 1 } else { edge - 1 };
    Contact { at: from, ring, before: net.edges[previous].from, after: to }
}

/// How two edges lie to each other: what touches is noted, what crosses is an error.
fn meet(net: &Net, one: usize, other: usize, contacts: &mut Vec<Contact>) -> Result<(), Invalid> {
    let (e, f) = (&net.edges[one], &net.edges[other]);
    let crossing = |at| Err(net.invalid(net.crossing(e.ring, f.ring), f.ring.max(e.ring), at));
    let (f_from, f_to) = (side(e.from, e.to, f.from), side(e.from, e.to, f.to));
    let (e_from, e_to) = (side(f.from, f.to, e.from), side(f.from, f.to, e.to));
    if f_from == 0.0 && f_to == 0.0 {
        // On one line: more than an end in common?
        let (left, right) = (later(e.left(), f.left()), earlier(e.right(), f.right()));
        return if left.is_before(&right) { crossing(left) } else { Ok(()) };
    }
    if f_from * f_to < 0.0 && e_from * e_to < 0.0 {
        return crossing(cross_point(e, f));
    }
    // An end of one inside the other; ends at ends are known.
    for (edge, through, on_line) in
        [(other, e, f_from), (other, e, f_to), (one, f, e_from), (one, f, e_to)]
            .into_iter()
            .enumerate()
            .map(|(i, (edge, through, on))| (vertex(net, edge, i % 2 == 1), through, on == 0.0))
    {
        let at = net.edges[edge].from;
        let inside = through.left().is_before(&at) && at.is_before(&through.right());
        if !on_line || !inside {
            continue;
        }
        let Edge { from, to, ring } = *through;
        if net.edges[edge].ring == ring {
            return Err(net.invalid(Wrong::RingTouch, ring, at));
        }
        contacts.push(Contact { at, ring, before: from, after: to });
        contacts.push(at_vertex(net, edge));
    }
    Ok(())
}

/// The edge that begins at an edge's start or end.
fn vertex(net: &Net, edge: usize, end: bool) -> usize {
    let all = &net.rings[net.edges[edge].ring].edges;
    match end {
        false => edge,
        true if edge + 1 == all.end => all.start,
        true => edge + 1,
    }
}

fn later(a: Point, b: Point) -> Point {
    if a.is_before(&b) { b } else { a }
}

fn earlier(a: Point, b: Point) -> Point {
    if a.is_before(&b) { a } else { b }
}

/// About where two edges cross: to be shown.
fn cross_point(e: &Edge, f: &Edge) -> Point {
    let (dx, dy) = (e.to.x - e.from.x, e.to.y - e.from.y);
    let (fx, fy) = (f.to.x - f.from.x, f.to.y - f.from.y);
    let t = ((f.from.x - e.from.x) * fy - (f.from.y - e.from.y) * fx) / (dx * fy - dy * fx);
    Point { x: e.from.x + t * dx, y: e.from.y + t * dy }
}
