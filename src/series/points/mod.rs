//! What was sent, as points of series: from arrays and from JSON. Whatever can be said of a point
//! without looking at the store is said here.
//!
//! Codes of faults are stable words, listed in `docs/time-series.md`.

use crate::error::{Error, Result};
use crate::gucs;
use crate::series::raw_json::RawJson;
use crate::series::time;
use lake_chunks::{Micros, text};
use pgrx::PgSqlErrorCode;
use pgrx::datum::{Array, TimestampWithTimeZone};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// The longest metric name, and the most bytes of tags, so that both fit an index entry.
const MAX_METRIC_BYTES: usize = 255;
const MAX_TAGS_BYTES: usize = 2_000;

/// A point that is well-formed. `ordinal` counts from 1.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    pub ordinal: u32,
    /// Position in [`Batch::series`].
    pub series: u32,
    pub ts: Micros,
    pub value: f64,
}

/// A metric and its tags.
#[derive(Debug, Clone)]
pub struct Series {
    pub metric: String,
    pub tags: Map<String, Value>,
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
    pub series: Vec<Series>,
    pub points: Vec<Point>,
    pub faults: Vec<(u32, Fault)>,
    /// The point with this ordinal as JSON, as it was sent.
    payload: Box<dyn Fn(u32) -> Value + 'a>,
    /// Where several points can come of a line: the number of the line of each, by ordinal.
    lines: Option<Vec<u32>>,
}

impl Batch<'_> {
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

/// Series seen so far, by the bytes of metric and tags.
#[derive(Default)]
pub(super) struct Interner<K> {
    seen: HashMap<K, Result<u32, Fault>>,
    series: Vec<Series>,
}

impl<K: std::hash::Hash + Eq> Interner<K> {
    pub(super) fn intern(
        &mut self,
        key: K,
        make: impl FnOnce() -> Result<Series, Fault>,
    ) -> Result<u32, Fault> {
        if let Some(known) = self.seen.get(&key) {
            return known.clone();
        }
        let made = make().map(|series| {
            self.series.push(series);
            self.series.len() as u32 - 1
        });
        self.seen.insert(key, made.clone());
        made
    }
}

impl<'a> Batch<'a> {
    /// From four arrays. 22023 where they differ in length; null tags as a whole mean none.
    pub fn from_arrays<'b>(
        ts: &'a Array<'b, TimestampWithTimeZone>,
        metric: &'a Array<'b, &'b str>,
        tags: Option<&'a Array<'b, RawJson<'b>>>,
        value: &'a Array<'b, f64>,
    ) -> Result<Self> {
        let count = ts.len();
        for (name, len) in [
            ("metric", Some(metric.len())),
            ("tags", tags.map(Array::len)),
            ("value", Some(value.len())),
        ] {
            if let Some(len) = len
                && len != count
            {
                return Err(Error::new(
                    PgSqlErrorCode::ERRCODE_ARRAY_ELEMENT_ERROR,
                    format!("ts has {count} entries, {name} has {len}"),
                )
                .hint("All arrays must have the same length: one entry for each point."));
            }
        }
        check_size(count)?;
        let mut interner = Interner::default();
        let mut points = Vec::with_capacity(count);
        let mut faults = Vec::new();
        // Copies of references: entries of varying length have no random access in an array.
        let ts: Vec<Option<Micros>> = ts.iter().map(|ts| ts.map(time::from_pg)).collect();
        let metric: Vec<Option<&'a str>> = metric.iter().collect();
        let tags: Option<Vec<Option<RawJson<'a>>>> = tags.map(|tags| tags.iter().collect());
        let value: Vec<Option<f64>> = value.iter().collect();
        // Neighbours are often of the same series.
        let mut last: Option<((&str, &[u8]), u32)> = None;
        for index in 0..count {
            pgrx::check_for_interrupts!();
            let ordinal = index as u32 + 1;
            let mut take = || -> Result<Point, Fault> {
                let ts = checked_time(ts[index])?;
                let metric = metric[index]
                    .ok_or_else(|| Fault::new("null_metric", "/metric", "metric is null"))?;
                let tags = match tags.as_ref().map(|tags| tags[index]) {
                    Some(None) => return Err(Fault::new("null_tags", "/tags", "tags are null")),
                    Some(Some(tags)) => Some(tags),
                    None => None,
                };
                let key = (metric, tags.map_or(&[][..], |t| t.bytes()));
                let series = match last {
                    Some((known, series)) if known == key => series,
                    _ => interner.intern(key, || {
                        checked_series(metric, tags.map_or_else(|| json!({}), |t| t.parse()))
                    })?,
                };
                last = Some((key, series));
                Ok(Point { ordinal, series, ts, value: checked_value(value[index])? })
            };
            match take() {
                Ok(point) => points.push(point),
                Err(fault) => faults.push((ordinal, fault)),
            }
        }
        let payload = move |ordinal: u32| {
            let index = ordinal as usize - 1;
            let ts = ts[index].map(time_text);
            let metric = metric[index];
            let tags = match &tags {
                Some(tags) => tags[index].map_or(Value::Null, |t| t.parse()),
                None => json!({}),
            };
            let value = value[index].map(number);
            json!({ "ts": ts, "metric": metric, "tags": tags, "value": value })
        };
        Ok(Self {
            series: interner.series,
            points,
            faults,
            payload: Box::new(payload),
            lines: None,
        })
    }

    /// Points that came in lines: `lines` has the number of the line of each, by ordinal.
    pub(super) fn from_lines<K>(
        interner: Interner<K>,
        points: Vec<Point>,
        faults: Vec<(u32, Fault)>,
        lines: Vec<u32>,
        payload: impl Fn(u32) -> Value + 'a,
    ) -> Self {
        let (series, payload) = (interner.series, Box::new(payload));
        Self { series, points, faults, payload, lines: Some(lines) }
    }

    /// From a JSON array of objects with `ts` (RFC 3339), `metric`, `tags` and `value`.
    pub fn from_json(points: Vec<Value>) -> Result<Batch<'static>> {
        check_size(points.len())?;
        let mut interner: Interner<(String, String)> = Interner::default();
        let mut good = Vec::with_capacity(points.len());
        let mut faults = Vec::new();
        for (index, sent) in points.iter().enumerate() {
            pgrx::check_for_interrupts!();
            let ordinal = index as u32 + 1;
            match json_point(&mut interner, ordinal, sent) {
                Ok(point) => good.push(point),
                Err(fault) => faults.push((ordinal, fault)),
            }
        }
        let payload =
            move |ordinal: u32| points.get(ordinal as usize - 1).cloned().unwrap_or_default();
        let payload = Box::new(payload);
        Ok(Batch { series: interner.series, points: good, faults, payload, lines: None })
    }
}

pub(super) fn check_size(count: usize) -> Result<()> {
    let max = gucs::max_batch_rows();
    if count <= max {
        return Ok(());
    }
    Err(Error::new(
        PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
        format!("the batch has {count} points; lake_stores.max_batch_rows is {max}"),
    )
    .hint("Send it in several calls, or raise lake_stores.max_batch_rows."))
}

fn json_point(
    interner: &mut Interner<(String, String)>,
    ordinal: u32,
    sent: &Value,
) -> Result<Point, Fault> {
    let Value::Object(fields) = sent else {
        return Err(Fault {
            code: "not_an_object",
            message: format!("a point is a JSON object, not {}", brief(sent)),
            pointer: None,
        });
    };
    if let Some(key) =
        fields.keys().find(|k| !matches!(k.as_str(), "ts" | "metric" | "tags" | "value"))
    {
        let pointer = format!("/{}", escape_pointer(key));
        return Err(Fault::new(
            "unknown_field",
            &pointer,
            format!("a point has no field {}", brief(&json!(key))),
        ));
    }
    let ts = match fields.get("ts") {
        None | Some(Value::Null) => checked_time(None)?,
        Some(Value::String(text)) => match text.as_str() {
            "infinity" => checked_time(Some(Micros::MAX))?,
            "-infinity" => checked_time(Some(Micros::MIN))?,
            text => text::parse(text).map_err(|e| {
                Fault::new("bad_timestamp", "/ts", format!("ts {} {e}", brief(&json!(text))))
            })?,
        },
        Some(other) => {
            return Err(Fault::new(
                "bad_timestamp",
                "/ts",
                format!("ts {} is not a text like \"2026-01-31T12:00:00Z\"", brief(other)),
            ));
        }
    };
    let metric = match fields.get("metric") {
        None | Some(Value::Null) => {
            return Err(Fault::new("null_metric", "/metric", "metric is null"));
        }
        Some(Value::String(text)) => text,
        Some(other) => {
            return Err(Fault::new(
                "bad_metric",
                "/metric",
                format!("metric {} is not a text", brief(other)),
            ));
        }
    };
    let tags = match fields.get("tags") {
        Some(Value::Null) => return Err(Fault::new("null_tags", "/tags", "tags are null")),
        Some(tags) => tags.clone(),
        None => json!({}),
    };
    let key = (metric.clone(), tags.to_string());
    let series = interner.intern(key, || checked_series(metric, tags))?;
    let value = match fields.get("value") {
        None | Some(Value::Null) => None,
        Some(Value::Number(number)) => number.as_f64(),
        // What JSON numbers can't be comes as text; so do the payloads of rejects.
        Some(Value::String(text)) if matches!(text.as_str(), "NaN" | "Infinity" | "-Infinity") => {
            text.parse().ok()
        }
        Some(other) => {
            return Err(Fault::new(
                "bad_value",
                "/value",
                format!("value {} is not a number", brief(other)),
            ));
        }
    };
    Ok(Point { ordinal, series, ts, value: checked_value(value)? })
}

fn checked_time(ts: Option<Micros>) -> Result<Micros, Fault> {
    match ts {
        None => Err(Fault::new("null_ts", "/ts", "ts is null")),
        Some(ts) if !time::is_finite(ts) => {
            Err(Fault::new("infinite_timestamp", "/ts", format!("ts is {}", time_text(ts))))
        }
        Some(ts) => Ok(ts),
    }
}

fn checked_value(value: Option<f64>) -> Result<f64, Fault> {
    match value {
        None => Err(Fault::new("null_value", "/value", "value is null")),
        Some(value) if value.is_nan() => Err(Fault::new("nan", "/value", "value is NaN")),
        Some(value) if value.is_infinite() => Err(Fault::new(
            "infinite_value",
            "/value",
            format!("value is {}", json_text(&number(value))),
        )),
        // Negative zero equals zero everywhere but in its text.
        Some(value) => Ok(value + 0.0),
    }
}

pub(super) fn checked_series(metric: &str, tags: Value) -> Result<Series, Fault> {
    if metric.is_empty() {
        return Err(Fault::new("bad_metric", "/metric", "metric is empty"));
    }
    if metric.len() > MAX_METRIC_BYTES {
        return Err(Fault::new(
            "bad_metric",
            "/metric",
            format!("metric has {} bytes; at most {MAX_METRIC_BYTES} are possible", metric.len()),
        ));
    }
    // SQL can't bring a NUL, but JSON can.
    if metric.contains('\0') {
        return Err(Fault::new("bad_metric", "/metric", "metric has a NUL character"));
    }
    let tags = match tags {
        Value::Object(tags) => tags,
        other => {
            return Err(Fault::new(
                "tags_not_object",
                "/tags",
                format!("tags are a JSON object, not {}", brief(&other)),
            ));
        }
    };
    let mut bytes = 0;
    for (key, value) in &tags {
        let pointer = format!("/tags/{}", escape_pointer(key));
        let Value::String(text) = value else {
            return Err(Fault::new(
                "tag_not_text",
                &pointer,
                format!("tag {} is {}; tags are texts", brief(&json!(key)), brief(value)),
            ));
        };
        if text.contains('\0') || key.contains('\0') {
            return Err(Fault::new("tag_not_text", &pointer, "a tag has a NUL character"));
        }
        // Each key and value has an entry of four bytes in a jsonb.
        bytes += key.len() + text.len() + 8;
    }
    if bytes > MAX_TAGS_BYTES {
        return Err(Fault::new(
            "tags_too_large",
            "/tags",
            format!("tags have {bytes} bytes; at most {MAX_TAGS_BYTES} are possible"),
        ));
    }
    Ok(Series { metric: metric.to_owned(), tags })
}

/// An instant as text, also an infinite one.
pub fn time_text(ts: Micros) -> String {
    match ts {
        Micros::MAX => "infinity".into(),
        Micros::MIN => "-infinity".into(),
        ts => text::format(ts),
    }
}

pub(super) fn number(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or_else(
        || {
            Value::from(if value.is_nan() {
                "NaN"
            } else if value > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            })
        },
        Value::Number,
    )
}

fn json_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// JSON text that fits into a message.
pub fn brief(value: &Value) -> String {
    let text = value.to_string();
    let cut = lake_chunks::range::cut(&text, 80);
    if cut.len() == text.len() { text } else { format!("{cut}…") }
}

/// RFC 6901, section 3.
pub fn escape_pointer(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
