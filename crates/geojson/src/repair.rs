//! Mends what can be mended without guessing, and lists what was done. Coordinates stay where they
//! are on Earth: rings are closed and turned, repeated positions dropped, longitudes wrapped, and what
//! crosses the antimeridian is cut there, by which a line or polygon may become several.

use crate::antimeridian;
use crate::cursor::{Cursor, Splice};
use crate::fault::Fault;
use crate::geometry::{Geometry, Position, Ring};
use crate::rings;
use crate::scan::Limits;
use std::ops::Range;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The rule that was broken.
    pub code: &'static str,
    /// JSON Pointer into the document; empty for a geometry by itself.
    pub pointer: String,
    /// What was done: lower case, no full stop.
    pub message: String,
}

/// A mended document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mended {
    /// The text; what needed no mending is byte for byte as it was.
    pub text: String,
    pub edits: Vec<Edit>,
}

/// Mends a document. An error is the first fault that can't be mended, by `limits`, whose profile is
/// to be [`Profile::Lenient`](crate::Profile). `poll` as for [`scan`](fn@crate::scan).
pub fn document(text: &[u8], limits: Limits, poll: &mut dyn FnMut()) -> Result<Mended, Box<Fault>> {
    let mut cursor = Cursor::new(text, limits, poll);
    cursor.only_errors = true;
    cursor.splices = Some(Vec::new());
    cursor.scan_document();
    if let Some(fault) = cursor.faults.into_iter().next() {
        return Err(Box::new(fault));
    }
    let mut splices = cursor.splices.unwrap_or_default();
    for splice in &mut splices {
        if splice.text.is_empty() && (splice.edit.code == "S1" || splice.edit.code == "B1") {
            splice.range = with_comma(text, &splice.range);
        }
    }
    // In the order of the text; edits of one place stay together (the sort is stable).
    splices.sort_by_key(|s| s.range.start);
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    for Splice { range, text: replacement, .. } in &splices {
        if range.start >= at {
            out.extend_from_slice(&text[at..range.start]);
            out.extend_from_slice(replacement.as_bytes());
        }
        at = at.max(range.end);
    }
    out.extend_from_slice(&text[at..]);
    Ok(Mended {
        text: String::from_utf8_lossy(&out).into_owned(),
        edits: splices.into_iter().map(|s| s.edit).collect(),
    })
}

/// A member with the comma that goes with it: the one behind, or else the one before.
fn with_comma(text: &[u8], member: &Range<usize>) -> Range<usize> {
    let space = |b: &u8| b" \n\r\t".contains(b);
    let behind = text[member.end..].iter().take_while(|b| space(b)).count() + member.end;
    if text.get(behind) == Some(&b',') {
        return member.start..behind + 1;
    }
    let before = member.start - text[..member.start].iter().rev().take_while(|b| space(b)).count();
    if before > 0 && text[before - 1] == b',' {
        return before - 1..member.end;
    }
    member.clone()
}

/// Mends a geometry that was scanned without errors under [`Profile::Lenient`](crate::Profile).
pub fn geometry(geometry: &mut Geometry) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut add = |code, count: usize, one: &str, many: &str| {
        if count > 0 {
            let message =
                if count == 1 { format!("{one} once") } else { format!("{many} {count} times") };
            edits.push(Edit { code, pointer: String::new(), message });
        }
    };

    let mut wrapped = 0;
    geometry.each_position(&mut |p| wrapped += usize::from(p.x.abs() > 180.0));
    add("P3", wrapped, "wrapped a longitude", "wrapped a longitude");

    let (mut closed, mut dropped) = (0, 0);
    geometry.each_polygon_mut(&mut |all| {
        for ring in all.iter_mut() {
            if !rings::is_closed(ring) {
                close(ring);
                closed += 1;
            }
            dropped += drop_repeated(ring, 4);
        }
    });
    match geometry {
        Geometry::LineString(line) => dropped += drop_repeated(line, 2),
        Geometry::MultiLineString(lines) => {
            dropped += lines.iter_mut().map(|l| drop_repeated(l, 2)).sum::<usize>();
        }
        _ => {}
    }
    add("R2", closed, "closed a ring", "closed a ring");
    add("R5", dropped, "dropped a repeated position", "dropped a repeated position");
    let (turned, cut) = turn_and_cut(geometry, wrapped > 0);
    add("R3", turned, "turned a ring round", "turned a ring round");
    add("A1", cut.poles, "led a ring to the pole", "led a ring to the pole");
    add("A1", cut.cuts, "cut at the antimeridian", "cut at the antimeridian");
    edits
}

/// So often a geometry is gone through, at most.
const ROUNDS: usize = 4;

/// Turns rings round and cuts at the antimeridian, until neither changes anything: rings that cross themselves may come
/// back from a pole turned, and an edge of half the world may have another direction once it is wrapped.
fn turn_and_cut(geometry: &mut Geometry, wraps: bool) -> (usize, antimeridian::Done) {
    let (mut turned, mut done) = (0, antimeridian::Done::default());
    for round in 0..ROUNDS {
        let mut turns = 0;
        geometry.each_polygon_mut(&mut |all| {
            turns += all.iter_mut().enumerate().map(|(i, ring)| turn(ring, i)).sum::<usize>();
        });
        let cut = antimeridian::cut(geometry);
        turned += turns;
        done.cuts += cut.cuts;
        done.poles += cut.poles;
        let is_new = wraps && round == 0;
        if !is_new && turns + cut.cuts + cut.poles == 0 {
            break;
        }
    }
    (turned, done)
}

/// Winds the ring at this place of a polygon by the right-hand rule (section 3.1.6); how many were turned.
fn turn(ring: &mut Ring, place: usize) -> usize {
    let area = rings::winding(ring).unwrap_or(0.0);
    let is_wrong = if place == 0 { area < 0.0 } else { area > 0.0 };
    if is_wrong {
        ring.reverse();
    }
    is_wrong.into()
}

/// Drops all heights; true where there were any.
pub fn drop_heights(geometry: &mut Geometry) -> bool {
    let mut any = false;
    geometry.each_position_mut(&mut |p| any |= p.z.take().is_some());
    any
}

fn close(ring: &mut Ring) {
    let Some(first) = ring.first().copied() else { return };
    // A last position that differs in height alone, or by less than a nanometre, becomes the first.
    let near = |p: &Position| (p.x - first.x).abs() < 1e-14 && (p.y - first.y).abs() < 1e-14;
    if ring.len() > 4 && ring.last().is_some_and(near) {
        ring.pop();
    }
    ring.push(first);
}

/// Drops positions equal to the one before, as long as `least` stay.
fn drop_repeated(line: &mut Ring, least: usize) -> usize {
    let mut kept = line.clone();
    kept.dedup();
    if kept.len() < least || kept.len() == line.len() {
        return 0;
    }
    let dropped = line.len() - kept.len();
    *line = kept;
    dropped
}
