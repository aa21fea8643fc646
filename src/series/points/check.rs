//! What can be said of a time, a value, a metric and its tags alone, and of the size of a batch.

use super::Fault;
use super::text::{brief, escape_pointer, time_text};
use crate::error::{Error, Result as Outcome};
use crate::gucs;
use crate::series::time;
use lake_chunks::Micros;
use pgrx::PgSqlErrorCode;
use serde_json::{Map, Value, json};

/// The longest metric name, and the most bytes of tags, so that both fit an index entry.
const MAX_METRIC_BYTES: usize = 255;
const MAX_TAGS_BYTES: usize = 2_000;

pub fn check_size(count: usize) -> Outcome<()> {
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

pub fn checked_time(ts: Option<Micros>) -> Result<Micros, Fault> {
    match ts {
        None => Err(Fault::new("null_ts", "/ts", "ts is null")),
        Some(ts) if !time::is_finite(ts) => {
            Err(Fault::new("infinite_timestamp", "/ts", format!("ts is {}", time_text(ts))))
        }
        Some(ts) => Ok(ts),
    }
}

/// What a store leaves open of a value.
#[derive(Debug, Clone, Copy)]
pub struct Checks {
    /// Whether NaN and the infinities are values.
    pub non_finite: bool,
}

impl Checks {
    pub fn value(self, value: Option<f64>) -> Result<f64, Fault> {
        match value {
            None => Err(Fault::new("null_value", "/value", "value is null")),
            // Negative zero equals zero everywhere but in its text.
            Some(value) if value.is_finite() || self.non_finite => Ok(value + 0.0),
            Some(value) if value.is_nan() => Err(Fault::new("nan", "/value", "value is NaN")),
            Some(value) => Err(Fault::new(
                "infinite_value",
                "/value",
                format!("value is {}", if value > 0.0 { "Infinity" } else { "-Infinity" }),
            )),
        }
    }
}

pub fn checked_series(metric: &str, tags: Value) -> Result<Map<String, Value>, Fault> {
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
    Ok(tags)
}
