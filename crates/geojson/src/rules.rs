//! Rules about a geometry as a whole, looked at once it has been read.

use crate::cursor::{Cursor, Step};
use crate::fault::{Profile, Rule};
use crate::geometry::{Geometry, Ring};
use crate::rings;
use crate::validity::{self, Invalid, Wrong};

impl Cursor<'_, '_> {
    /// The rings of one polygon; the path leads to it.
    pub fn check_rings(&mut self, all: &[Ring], starts: &[usize]) {
        if self.muted > 0 {
            return;
        }
        for (i, ring) in all.iter().enumerate() {
            self.tick();
            let Some(area) = rings::winding(ring) else { continue };
            let wrong = if i == 0 { area < 0.0 } else { area > 0.0 };
            if wrong {
                let message = if i == 0 {
                    "the exterior ring runs clockwise"
                } else {
                    "a hole runs counterclockwise"
                };
                let hint =
                    "Exterior rings are to run counterclockwise, holes clockwise; reverse it.";
                self.report_in(Step::Index(i), Rule::Winding, starts[i], message, Some(hint));
            }
        }
        let Some((shell, holes)) = all.split_first() else { return };
        if holes.is_empty() || all.iter().any(|r| rings::crosses_antimeridian(r)) {
            return;
        }
        let [w, s, e, n] = rings::bounds(shell);
        for (i, hole) in holes.iter().enumerate() {
            let [hw, hs, he, hn] = rings::bounds(hole);
            let outside_box = hw < w || hs < s || he > e || hn > n;
            let outside = outside_box || {
                let mut side = None;
                for p in hole {
                    for _ in 0..=shell.len() / 64 {
                        self.tick();
                    }
                    side = rings::contains(shell, p);
                    if side.is_some() {
                        break;
                    }
                }
                side == Some(false)
            };
            if outside {
                self.report_in(
                    Step::Index(i + 1),
                    Rule::Hole,
                    starts[i + 1],
                    "a hole lies outside the exterior ring",
                    Some("The first ring of a polygon is its exterior; further polygons go into a MultiPolygon."),
                );
            }
        }
    }

    /// A geometry that isn't a collection, read without errors; the path leads to its object.
    pub fn check_geometry(&mut self, geometry: &Geometry, at: usize) {
        if let Some(offset) = self.imprecise.take() {
            self.report_in(
                Step::Name("coordinates"),
                Rule::Precision,
                offset,
                "coordinates have more than six decimals",
                Some("Six decimals are about 10 cm; more make the text larger, not the place more certain."),
            );
        }
        if geometry.has_z().is_err() {
            self.report_in(
                Step::Name("coordinates"),
                Rule::Mixed,
                at,
                "some positions have a height and some have none",
                Some("Give all of them a height, or none."),
            );
        }
        let crosses = match geometry {
            Geometry::LineString(line) => rings::crosses_antimeridian(line),
            Geometry::Polygon(lines) | Geometry::MultiLineString(lines) => {
                lines.iter().any(|l| rings::crosses_antimeridian(l))
            }
            Geometry::MultiPolygon(polygons) => {
                polygons.iter().flatten().any(|l| rings::crosses_antimeridian(l))
            }
            _ => false,
        };
        if crosses {
            let kind = geometry.geometry_type();
            self.report_in(
                Step::Name("coordinates"),
                Rule::Antimeridian,
                at,
                format!("the {kind} has an edge over more than 180 degrees of longitude"),
                Some("If it crosses the antimeridian, cut it there, into a Multi geometry; if not, add positions between."),
            );
        } else if self.limits.profile == Profile::Strict && self.muted == 0 {
            self.check_validity(geometry, at);
        }
    }

    /// OGC's rules for polygons, of which one is enough; the path leads to the geometry.
    fn check_validity(&mut self, geometry: &Geometry, at: usize) {
        let polygons: Vec<&[Ring]> = match geometry {
            Geometry::Polygon(rings) => vec![rings],
            Geometry::MultiPolygon(polygons) => polygons.iter().map(Vec::as_slice).collect(),
            _ => return,
        };
        let Some(invalid) = validity::check(&polygons, &mut || self.poll_now()) else { return };
        let Invalid { wrong, polygon, ring, at: (x, y) } = invalid;
        let mut path = vec![Step::Name("coordinates"), Step::Index(polygon), Step::Index(ring)];
        if matches!(geometry, Geometry::Polygon(_)) {
            path.remove(1);
        }
        let (rule, what, hint) = match wrong {
            Wrong::Collapsed => (
                Rule::SelfIntersection,
                "the ring has no area",
                "It needs three different positions.",
            ),
            Wrong::Crossing => (
                Rule::SelfIntersection,
                "the ring crosses itself or another ring of its polygon, or runs along it",
                "Draw each part that the crossing cuts off as a polygon of its own.",
            ),
            Wrong::RingTouch => (
                Rule::SelfIntersection,
                "the ring comes back to a point of its own",
                "Make what it encloses a hole, or a polygon of its own.",
            ),
            Wrong::HoleOutside => (
                Rule::Hole,
                "a hole lies outside the exterior ring",
                "The first ring of a polygon is its exterior; further polygons go into a MultiPolygon.",
            ),
            Wrong::NestedHoles => {
                (Rule::NestedHoles, "a hole lies inside another", "Leave the inner one out.")
            }
            Wrong::Disconnected => (
                Rule::Disconnected,
                "its rings touch at so many points that they cut the interior in pieces",
                "Make each piece a polygon of its own.",
            ),
            Wrong::Overlap => (
                Rule::Overlap,
                "the polygon shares more than points with another",
                "Unite them, or take what they share from one.",
            ),
        };
        // A hole whose positions tell that it is outside has been reported.
        self.path.append(&mut path.clone());
        if rule != Rule::Hole || !self.is_reported(rule) {
            self.report_hint(rule, at, format!("{what}, near [{x}, {y}]"), hint);
        }
        self.path.truncate(self.path.len() - path.len());
    }
}
