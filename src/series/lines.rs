//! InfluxDB line protocol, as points: one for each field that is a number or a truth value. Its metric
//! is the measurement with the field's key after an underscore, or the measurement alone where the key
//! is `value`, as Telegraf names metrics for Prometheus.

use super::points::{
    Batch, Description, Fault, Interner, Point, Source, check_size, number, time_text,
};
use crate::catalog::Store;
use crate::error::{Error, Result};
use crate::series::time;
use crate::spi;
use lake_chunks::Micros;
use lake_lines::{Line, Precision, Value as FieldValue};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// What becomes of fields whose value is a text, which a metric store can't hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFields {
    /// They are faults, `text_field`.
    Reject,
    /// They are passed over.
    Skip,
}

impl TextFields {
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "reject" => Ok(Self::Reject),
            "skip" => Ok(Self::Skip),
            other => Err(Error::invalid_parameter(format!("text_fields can't be \"{other}\""))
                .hint("It is 'reject' (a fault) or 'skip' (passed over).")),
        }
    }
}

pub fn parse_precision(text: &str) -> Result<Precision> {
    Precision::parse(text).ok_or_else(|| {
        Error::invalid_parameter(format!("precision can't be \"{text}\""))
            .hint("It is 'ns', 'us', 'ms', 's', 'm' or 'h': what a timestamp counts.")
    })
}

/// How the lines of a call are read.
#[derive(Clone, Copy)]
pub struct Reading {
    pub precision: Precision,
    pub text_fields: TextFields,
    /// Stands for timestamps that aren't there.
    pub now: Micros,
}

impl Reading {
    /// As of now, every field a fault that can't be held.
    pub fn now(precision: Precision) -> Result<Self> {
        let now = spi::scalar("SELECT pg_catalog.clock_timestamp()", &[])?;
        Ok(Self { precision, text_fields: TextFields::Reject, now: time::from_pg(now) })
    }
}

/// The line of a reject, where it is one that couldn't be read.
pub fn rejected(payload: &Value) -> Option<(&str, Precision)> {
    let line = payload.get("line")?.as_str()?;
    Some((line, Precision::parse(payload.get("precision")?.as_str()?)?))
}

/// A point as it was sent: a field of a line, or a line that can't be read.
#[derive(Clone, Copy)]
struct Sent<'a> {
    line: &'a str,
    field: Option<u32>,
}

/// The points of all lines. A line that can't be read is one fault.
pub fn batch<'a>(store: &Store, text: &'a str, reading: Reading) -> Result<Batch<'a>> {
    // What comes before the fields, and the key of the field: as they were sent, so that most points
    // find their series without anything being made.
    let mut interner: Interner<'a, (&'a str, Cow<'a, str>)> = Interner::new(store);
    let (mut points, mut faults) = (vec![], vec![]);
    let (mut sent, mut numbers) = (vec![], vec![]);
    for numbered in lake_lines::read(text) {
        pgrx::check_for_interrupts!();
        check_size(sent.len() + 1)?;
        let mut place = |field| {
            sent.push(Sent { line: numbered.text, field });
            numbers.push(numbered.number);
            sent.len() as u32
        };
        let line = match numbered.line {
            Ok(line) => line,
            Err(fault) => {
                let fault = Fault { code: "bad_line", message: fault.to_string(), pointer: None };
                faults.push((place(None), fault));
                continue;
            }
        };
        let ts = instant(&line, reading);
        for (index, (key, value)) in line.fields.iter().enumerate() {
            if matches!(value, FieldValue::Text(_)) && reading.text_fields == TextFields::Skip {
                continue;
            }
            let ordinal = place(Some(index as u32));
            let taken = ts.clone().and_then(|ts| {
                let value = number_of(key, value)?;
                let series = interner.intern((line.series, key.clone()), || Description {
                    metric: metric(&line, key),
                    source: Source::Line(line.series),
                    key: session_key(line.series, key),
                })?;
                Ok(Point { ordinal, series, ts, value })
            });
            match taken {
                Ok(point) => points.push(point),
                Err(fault) => faults.push((ordinal, fault)),
            }
        }
    }
    check_size(sent.len())?;
    let payload = move |ordinal: u32| payload(sent[ordinal as usize - 1], reading);
    Ok(Batch::from_lines(interner, points, faults, numbers, payload))
}

/// What the session knows the series of a field by. The key of a field can't be told from the end of
/// the tags but by the NUL, which neither has.
fn session_key(series: &str, key: &str) -> Box<[u8]> {
    let parts: [&[u8]; 4] = [b"l", series.as_bytes(), &[0], key.as_bytes()];
    parts.concat().into_boxed_slice()
}

/// The instant of a line's points.
fn instant(line: &Line<'_>, reading: Reading) -> Result<Micros, Fault> {
    match line.timestamp {
        None => Ok(reading.now),
        Some(timestamp) => {
            let since_1970 = reading.precision.to_micros(timestamp);
            let micros = since_1970
                .and_then(|micros| micros.checked_add(lake_chunks::UNIX_EPOCH))
                .filter(|micros| {
                    (lake_chunks::MIN_INSTANT..lake_chunks::END_INSTANT).contains(micros)
                })
                .ok_or_else(|| {
                    let unit = reading.precision.as_str();
                    Fault::new(
                        "bad_timestamp",
                        "/ts",
                        format!("ts {timestamp} {unit} is outside what a timestamp can hold"),
                    )
                })?;
            Ok(micros)
        }
    }
}

fn number_of(key: &str, value: &FieldValue<'_>) -> Result<f64, Fault> {
    // Negative zero equals zero everywhere but in its text.
    value.as_f64().map(|number| number + 0.0).ok_or_else(|| {
        let message = format!("field {key:?} is a text, which a metric store can't hold");
        Fault::new("text_field", "/value", message)
    })
}

fn metric(line: &Line<'_>, key: &str) -> String {
    if key == "value" {
        line.measurement.to_string()
    } else {
        format!("{}_{key}", line.measurement)
    }
}

/// The tags of what a line begins with, in one order whatever order they came in.
pub fn tags(series: &str) -> Map<String, Value> {
    let tags = lake_lines::tags(series);
    tags.into_iter().map(|(key, value)| (key.into_owned(), json!(value))).collect()
}

/// A point as JSON, in the form of `series_ingest`; a line that can't be read as it was sent.
fn payload(sent: Sent<'_>, reading: Reading) -> Value {
    let line = lake_lines::read(sent.line).next().and_then(|numbered| numbered.line.ok());
    let (Some(line), Some(field)) = (line, sent.field) else {
        return json!({ "line": sent.line, "precision": reading.precision.as_str() });
    };
    let (key, value) = &line.fields[field as usize];
    let ts = match (instant(&line, reading), line.timestamp) {
        (Ok(ts), _) => json!(time_text(ts)),
        (Err(_), timestamp) => json!(timestamp),
    };
    let value = match value {
        FieldValue::Text(text) => json!(text),
        other => other.as_f64().map_or(Value::Null, number),
    };
    json!({ "ts": ts, "metric": metric(&line, key), "tags": tags(line.series), "value": value })
}
