//! Arrays: an entry for each point, or for each series and a number that says whose a point is.

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

/// The arguments of a call.
pub struct Arrays<'a, 'b> {
    pub ts: &'a Array<'b, TimestampWithTimeZone>,
    pub metric: &'a Array<'b, &'b str>,
    pub tags: Option<&'a Array<'b, RawJson<'b>>>,
    pub value: &'a Array<'b, f64>,
    /// Where given, `metric` and `tags` have an entry for each series, and this says which is a point's.
    pub series: Option<&'a Array<'b, i32>>,
}

/// The entries; null tags as a whole mean none.
struct Columns<'a> {
    ts: Vec<Option<Micros>>,
    metric: Vec<Option<&'a str>>,
    tags: Option<Vec<Option<RawJson<'a>>>>,
    value: Vec<Option<f64>>,
    series: Option<Vec<Option<i32>>>,
}

impl<'a> Batch<'a> {
    /// 2202E where the arrays differ in length.
    pub fn from_arrays<'b: 'a>(store: &Store, arrays: &Arrays<'a, 'b>) -> Outcome<Self> {
        let Arrays { ts, metric, tags, value, series } = arrays;
        let count = ts.len();
        check_size(count)?;
        same_length(("ts", count), ("value", value.len()))?;
        let (leader, entries) = match series {
            Some(series) => {
                same_length(("ts", count), ("series", series.len()))?;
                check_size(metric.len())?;
                ("metric", metric.len())
            }
            None => ("ts", count),
        };
        same_length((leader, entries), ("metric", metric.len()))?;
        same_length((leader, entries), ("tags", tags.map_or(entries, Array::len)))?;
        let checks = options::checks(store);
        // Entries of varying length have no random access in an array; these are references to them.
        let columns = Columns {
            ts: ts.iter().map(|ts| ts.map(time::from_pg)).collect(),
            metric: metric.iter().collect(),
            tags: tags.map(|tags| tags.iter().collect()),
            value: value.iter().collect(),
            series: series.map(|series| series.iter().collect()),
        };
        let mut interner = Interner::new(store);
        // By entry: the series that it was found to be, where several points may ask.
        let mut met = vec![None; if series.is_some() { entries } else { 0 }];
        let mut points = Vec::with_capacity(count);
        let mut faults = Vec::new();
        for index in 0..count {
            pgrx::check_for_interrupts!();
            match columns.point(&mut interner, &mut met, checks, index) {
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

fn same_length((leader, count): (&str, usize), (name, len): (&str, usize)) -> Outcome<()> {
    if len == count {
        return Ok(());
    }
    let of = if leader == "ts" {
        "point"
    } else {
        "series, where the array series says whose each point is"
    };
    Err(Error::new(
        PgSqlErrorCode::ERRCODE_ARRAY_ELEMENT_ERROR,
        format!("{leader} has {count} entries, {name} has {len}"),
    )
    .hint(format!("Both must have the same length: one entry for each {of}.")))
}

impl<'a> Columns<'a> {
    fn point(
        &self,
        interner: &mut Interner<'a, (&'a str, &'a [u8])>,
        met: &mut [Option<u32>],
        checks: Checks,
        index: usize,
    ) -> Result<Point, Fault> {
        let ts = checked_time(self.ts[index])?;
        let entry = self.entry(index)?;
        let series = match met.get(entry).copied().flatten() {
            Some(known) => known,
            None => self.intern(interner, entry)?,
        };
        if let Some(met) = met.get_mut(entry) {
            *met = Some(series);
        }
        let value = checks.value(self.value[index])?;
        Ok(Point { ordinal: index as u32 + 1, series, ts, value })
    }

    /// Which entry of `metric` and `tags` is a point's.
    fn entry(&self, index: usize) -> Result<usize, Fault> {
        let Some(series) = &self.series else { return Ok(index) };
        let entries = self.metric.len();
        let position =
            series[index].ok_or_else(|| Fault::new("null_series", "/series", "series is null"))?;
        usize::try_from(position)
            .ok()
            .and_then(|at| at.checked_sub(1))
            .filter(|at| *at < entries)
            .ok_or_else(|| {
                let message =
                    format!("series is {position}; metric has entries from 1 to {entries}");
                Fault::new("bad_series", "/series", message)
            })
    }

    fn intern(
        &self,
        interner: &mut Interner<'a, (&'a str, &'a [u8])>,
        entry: usize,
    ) -> Result<u32, Fault> {
        let metric = self.metric[entry]
            .ok_or_else(|| Fault::new("null_metric", "/metric", "metric is null"))?;
        let tags = match self.tags.as_ref().map(|tags| tags[entry]) {
            Some(None) => return Err(Fault::new("null_tags", "/tags", "tags are null")),
            Some(tags) => tags,
            None => None,
        };
        let bytes = tags.map_or(&[][..], |tags| tags.bytes());
        interner.intern((metric, bytes), || Description {
            metric: metric.to_owned(),
            source: tags.map_or_else(|| Source::Value(json!({})), Source::Jsonb),
            key: key(b'j', metric, bytes),
        })
    }

    /// The point as it would have been sent by itself: with its metric and tags, as far as it has any.
    fn payload(&self, index: usize) -> Value {
        let entry = self.entry(index).ok();
        let tags = match (&self.tags, entry) {
            (Some(tags), Some(entry)) => tags[entry].map_or(Value::Null, |tags| tags.parse()),
            (None, _) => json!({}),
            (Some(_), None) => Value::Null,
        };
        json!({
            "ts": self.ts[index].map(time_text),
            "metric": entry.and_then(|entry| self.metric[entry]),
            "tags": tags,
            "value": self.value[index].map(number),
        })
    }
}
