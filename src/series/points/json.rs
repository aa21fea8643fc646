//! A JSON array of objects with `ts` (RFC 3339), `metric`, `tags` and `value`.

use super::check::{Checks, check_size, checked_time};
use super::interner::{Description, Interner, key};
use super::text::{brief, escape_pointer};
use super::{Batch, Fault, Point, Source};
use crate::catalog::Store;
use crate::error::Result as Outcome;
use crate::series::options;
use lake_chunks::{Micros, text};
use serde_json::{Value, json};

impl Batch<'static> {
    pub fn from_json(store: &Store, points: Vec<Value>) -> Outcome<Self> {
        check_size(points.len())?;
        let checks = options::checks(store);
        let mut interner = Interner::new(store);
        let mut good = Vec::with_capacity(points.len());
        let mut faults = Vec::new();
        for (index, sent) in points.iter().enumerate() {
            pgrx::check_for_interrupts!();
            let ordinal = index as u32 + 1;
            match json_point(&mut interner, checks, ordinal, sent) {
                Ok(point) => good.push(point),
                Err(fault) => faults.push((ordinal, fault)),
            }
        }
        let payload =
            move |ordinal: u32| points.get(ordinal as usize - 1).cloned().unwrap_or_default();
        Ok(Self {
            series: interner.into_series(),
            points: good,
            faults,
            payload: Box::new(payload),
            lines: None,
        })
    }
}

fn json_point(
    interner: &mut Interner<'static, (String, String)>,
    checks: Checks,
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
    let text = tags.to_string();
    let key = key(b't', metric, text.as_bytes());
    let series = interner.intern((metric.clone(), text), || Description {
        metric: metric.clone(),
        source: Source::Value(tags),
        key,
    })?;
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
    Ok(Point { ordinal, series, ts, value: checks.value(value)? })
}
