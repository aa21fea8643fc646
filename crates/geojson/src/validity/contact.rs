//! Points where rings touch: whether one goes over to the other's other side there, and whether all
//! contacts together cut the interior in pieces.

use super::net::Net;
use super::sweep::Contact;
use super::{Invalid, Point, Wrong, side};

/// Rings that cross at a point, or that close a circle of contacts.
pub fn judge(net: &Net, contacts: &[Contact], poll: &mut dyn FnMut()) -> Option<Invalid> {
    let mut pieces = Pieces { parents: (0..net.rings.len()).collect() };
    for here in contacts.chunk_by(|a, b| a.at == b.at) {
        for (i, one) in here.iter().enumerate() {
            poll();
            for other in &here[i + 1..] {
                if one.ring != other.ring && cross(one, other) {
                    let wrong = net.crossing(one.ring, other.ring);
                    return Some(net.invalid(wrong, one.ring.max(other.ring), one.at));
                }
            }
        }
        // One point holds the rings of a polygon together; a second way from one to the other
        // closes a circle.
        let of = |contact: &Contact| net.rings[contact.ring].polygon;
        let mut here: Vec<&Contact> = here.iter().collect();
        here.sort_by_key(|contact| (of(contact), contact.ring));
        here.dedup_by_key(|contact| contact.ring);
        for same in here.chunk_by(|a, b| of(a) == of(b)) {
            for other in &same[1..] {
                if !pieces.join(same[0].ring, other.ring) {
                    return Some(net.invalid(Wrong::Disconnected, other.ring, other.at));
                }
            }
        }
    }
    None
}

/// Whether `other` comes from one side of `one` and goes to the other.
fn cross(one: &Contact, other: &Contact) -> bool {
    between(one, other.before) != between(one, other.after)
}

/// Whether a direction is among those met when turning counterclockwise from `after` to `before`.
fn between(contact: &Contact, to: Point) -> bool {
    let Contact { at, before, after, .. } = *contact;
    let turn = side(at, after, before);
    let left_of_after = side(at, after, to) > 0.0;
    if turn > 0.0 {
        left_of_after && side(at, to, before) > 0.0
    } else if turn < 0.0 {
        !(side(at, before, to) > 0.0 && side(at, to, after) > 0.0)
    } else {
        left_of_after
    }
}

/// Which rings hold together.
struct Pieces {
    parents: Vec<usize>,
}

impl Pieces {
    fn root(&mut self, mut ring: usize) -> usize {
        while self.parents[ring] != ring {
            self.parents[ring] = self.parents[self.parents[ring]];
            ring = self.parents[ring];
        }
        ring
    }

    /// False where they held together before.
    fn join(&mut self, one: usize, other: usize) -> bool {
        let (one, other) = (self.root(one), self.root(other));
        self.parents[one] = other;
        one != other
    }
}
