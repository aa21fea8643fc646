//! What was sent, as points of series. Whatever can be said of a point without looking at the store is
//! said here: [`arrays`] and [`json`] read the two forms of `lake.series_ingest`, `series::lines` reads
//! line protocol, [`check`] holds the rules they share, [`text`] what messages are made of.
//!
//! Codes of faults are stable words, listed in `docs/time-series.md`.

mod arrays;
mod check;
mod interner;
mod json;
mod text;

pub use arrays::Arrays;
pub use check::{Checks, check_size};
pub use interner::{Description, Interner};
pub use text::{brief, escape_pointer, number, time_text};

use crate::series::ids;
use crate::series::raw_json::RawJson;
use lake_chunks::Micros;
use serde_json::{Map, Value};
use std::cell::OnceCell;
use std::hash::Hash;

/// A point that is well-formed. `ordinal` counts from 1.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    pub ordinal: u32,
    /// Position in [`Batch::series`].
    pub series: u32,
    pub ts: Micros,
    pub value: f64,
}

/// A metric and its tags. The tags are taken apart when somebody asks for them: of a series that this
/// session has seen before, mostly nobody does.
pub struct Series<'a> {
    pub metric: String,
    source: Source<'a>,
    tags: OnceCell<Map<String, Value>>,
    /// What the session knows the series by, see [`ids`].
    pub key: Box<[u8]>,
    /// Where its row is, as far as the session remembers.
    pub seen: Option<ids::Seen>,
}

/// Tags as they were sent.
pub enum Source<'a> {
    Value(Value),
    Jsonb(RawJson<'a>),
    /// Measurement and tags, as a line of line protocol begins.
    Line(&'a str),
}

impl Source<'_> {
    fn read(&self) -> Value {
        match self {
            Source::Value(value) => value.clone(),
            Source::Jsonb(raw) => raw.parse(),
            Source::Line(text) => Value::Object(crate::series::lines::tags(text)),
        }
    }
}

impl Series<'_> {
    pub fn tags(&self) -> &Map<String, Value> {
        self.tags.get_or_init(|| match self.source.read() {
            Value::Object(tags) => tags,
            _ => Map::new(),
        })
    }
}

/// Why a point can't be taken.
#[derive(Debug, Clone)]
pub struct Fault {
    pub code: &'static str,
    pub message: String,
    /// JSON Pointer into the point.
    pub pointer: Option<String>,
}

impl Fault {
    pub fn new(code: &'static str, pointer: &str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), pointer: Some(pointer.to_owned()) }
    }
}

/// A batch, sorted into what is well-formed and what isn't.
pub struct Batch<'a> {
    pub series: Vec<Series<'a>>,
    pub points: Vec<Point>,
    pub faults: Vec<(u32, Fault)>,
    /// The point with this ordinal as JSON, as it was sent.
    payload: Box<dyn Fn(u32) -> Value + 'a>,
    /// Where several points can come of a line: the number of the line of each, by ordinal.
    lines: Option<Vec<u32>>,
}

impl<'a> Batch<'a> {
    /// Points that came in lines: `lines` has the number of the line of each, by ordinal.
    pub fn from_lines<K: Hash + Eq + Clone>(
        interner: Interner<'a, K>,
        points: Vec<Point>,
        faults: Vec<(u32, Fault)>,
        lines: Vec<u32>,
        payload: impl Fn(u32) -> Value + 'a,
    ) -> Self {
        let series = interner.into_series();
        Self { series, points, faults, payload: Box::new(payload), lines: Some(lines) }
    }

    pub fn payload(&self, ordinal: u32) -> Value {
        (self.payload)(ordinal)
    }

    /// The number that the sender knows a point by: its line's, where it came in a line.
    pub fn place(&self, ordinal: u32) -> u32 {
        self.lines.as_ref().map_or(ordinal, |lines| lines[ordinal as usize - 1])
    }

    /// What has that number.
    pub fn noun(&self) -> &'static str {
        if self.lines.is_some() { "line" } else { "point" }
    }
}
