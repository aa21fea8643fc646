//! Four arrays of the same length.

use super::check::{Checks, check_size, checked_time};
use super::interner::{Description, Interner, key};
use super::text::{number, time_text};
use super::{Batch, Fault, Point, Source};
use crate::catalog::Store;
use crate::error::{Error, Result as Outcome};
use crate::series::raw_json::RawJson;
use crate::series::{options, time};
use lake_chunks::Micros;
use pgrx::PgSqlErrorCode;
use pgrx::datum::{Array, TimestampWithTimeZone};
use serde_json::{Value, json};

/// One point of the arrays; null tags as a whole mean none.
struct Columns<'a> {
    ts: Vec<Option<Micros>>,
    metric: Vec<Option<&'a str>>,
    tags: Option<Vec<Option<RawJson<'a>>>>,
    value: Vec<Option<f64>>,
}

impl<'a> Batch<'a> {
    /// 2202E where the arrays differ in length.
    pub fn from_arrays<'b>(
        store: &Store,
        ts: &'a Array<'b, TimestampWithTimeZone>,
        metric: &'a Array<'b, &'b str>,
        tags: Option<&'a Array<'b, RawJson<'b>>>,
        value: &'a Array<'b, f64>,
    ) -> Outcome<Self> {
        let count = ts.len();
        same_length(count, "metric", metric.len())?;
        same_length(count, "tags", tags.map_or(count, Array::len))?;
        same_length(count, "value", value.len())?;
        check_size(count)?;
        let checks = options::checks(store);
        // Entries of varying length have no random access in an array; these are references to them.
        let columns = Columns {
            ts: ts.iter().map(|ts| ts.map(time::from_pg)).collect(),
            metric: metric.iter().collect(),
            tags: tags.map(|tags| tags.iter().collect()),
            value: value.iter().collect(),
        };
        let mut interner = Interner::new(store);
        let mut points = Vec::with_capacity(count);
        let mut faults = Vec::new();
        for index in 0..count {
            pgrx::check_for_interrupts!();
            match columns.point(&mut interner, checks, index) {
                Ok(point) => points.push(point),
                Err(fault) => faults.push((index as u32 + 1, fault)),
            }
        }
        Ok(Self {
            series: interner.into_series(),
            points,
            faults,
            payload: Box::new(move |ordinal| columns.payload(ordinal as usize - 1)),
            lines: None,
        })
    }
}

fn same_length(count: usize, name: &str, len: usize) -> Outcome<()> {
    if len == count {
        return Ok(());
    }
    Err(Error::new(
        PgSqlErrorCode::ERRCODE_ARRAY_ELEMENT_ERROR,
        format!("ts has {count} entries, {name} has {len}"),
    )
    .hint("All arrays must have the same length: one entry for each point."))
}

impl<'a> Columns<'a> {
    fn point(
        &self,
        interner: &mut Interner<'a, (&'a str, &'a [u8])>,
        checks: Checks,
        index: usize,
    ) -> Result<Point, Fault> {
        let ts = checked_time(self.ts[index])?;
        let metric = self.metric[index]
            .ok_or_else(|| Fault::new("null_metric", "/metric", "metric is null"))?;
        let tags = match self.tags.as_ref().map(|tags| tags[index]) {
            Some(None) => return Err(Fault::new("null_tags", "/tags", "tags are null")),
            Some(tags) => tags,
            None => None,
        };
        let bytes = tags.map_or(&[][..], |tags| tags.bytes());
        let series = interner.intern((metric, bytes), || Description {
            metric: metric.to_owned(),
            source: tags.map_or_else(|| Source::Value(json!({})), Source::Jsonb),
            key: key(b'j', metric, bytes),
        })?;
        let value = checks.value(self.value[index])?;
        Ok(Point { ordinal: index as u32 + 1, series, ts, value })
    }

    fn payload(&self, index: usize) -> Value {
        let tags = match &self.tags {
            Some(tags) => tags[index].map_or(Value::Null, |tags| tags.parse()),
            None => json!({}),
        };
        json!({
            "ts": self.ts[index].map(time_text),
            "metric": self.metric[index],
            "tags": tags,
            "value": self.value[index].map(number),
        })
    }
}
