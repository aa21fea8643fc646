//! What is kept of a bucket, how it is made of points and of narrower buckets, and which columns a view
//! makes of it.

use crate::error::{Error, Result};

/// One kept column.
pub struct Part {
    pub name: &'static str,
    /// Of points, by the expressions for their value and their time.
    pub of_points: fn(&str, &str) -> String,
    /// Of kept rows `m` of narrower buckets.
    pub of_rows: &'static str,
}

const PARTS: [Part; 6] = [
    Part {
        name: "count",
        of_points: |_, _| "pg_catalog.count(*)".into(),
        of_rows: "pg_catalog.sum(m.count)::pg_catalog.int8",
    },
    Part {
        name: "sum",
        of_points: |value, _| format!("pg_catalog.sum({value})"),
        of_rows: "pg_catalog.sum(m.sum)",
    },
    Part {
        name: "min",
        of_points: |value, _| format!("pg_catalog.min({value})"),
        of_rows: "pg_catalog.min(m.min)",
    },
    Part {
        name: "max",
        of_points: |value, _| format!("pg_catalog.max({value})"),
        of_rows: "pg_catalog.max(m.max)",
    },
    Part {
        name: "first",
        of_points: |value, time| format!("lake.first({value}, {time})"),
        of_rows: "lake.first(m.first, m.bucket)",
    },
    Part {
        name: "last",
        of_points: |value, time| format!("lake.last({value}, {time})"),
        of_rows: "lake.last(m.last, m.bucket)",
    },
];

/// Kept where an aggregate asks for it, as it is larger than all the others.
const SKETCH: Part = Part {
    name: "sketch",
    of_points: |value, _| format!("lake.percentile_sketch({value})"),
    of_rows: "lake.percentile_sketch(m.sketch)",
};

/// The columns that a view can have, each with its expression over kept rows `m`.
const AGGREGATES: [(&str, &str); 11] = [
    ("avg", "m.sum / m.count"),
    ("min", "m.min"),
    ("max", "m.max"),
    ("sum", "m.sum"),
    ("count", "m.count"),
    ("first", "m.first"),
    ("last", "m.last"),
    ("p50", "lake.percentile(m.sketch, 0.5)"),
    ("p95", "lake.percentile(m.sketch, 0.95)"),
    ("p99", "lake.percentile(m.sketch, 0.99)"),
    ("percentile_sketch", "m.sketch"),
];

/// What is kept, with or without a sketch.
pub fn kept(sketch: bool) -> impl Iterator<Item = Part> {
    PARTS.into_iter().chain(sketch.then_some(SKETCH))
}

/// Whether an aggregate is read from the sketch.
pub fn of_sketch(aggregate: &str) -> bool {
    AGGREGATES.iter().any(|(name, read)| *name == aggregate && read.contains("m.sketch"))
}

/// The columns asked for, in the order in which views have them.
pub fn columns(asked: &[String]) -> impl Iterator<Item = (&'static str, &'static str)> {
    AGGREGATES.into_iter().filter(|(name, _)| asked.iter().any(|asked| asked == name))
}

/// Whether a view or a table of kept rows has, or could have, a column of this name.
pub fn is_taken(column: &str) -> bool {
    column == "bucket"
        || kept(true).any(|part| part.name == column)
        || AGGREGATES.iter().any(|(name, _)| *name == column)
}

/// The aggregates asked for, each once. 0A000 for one that can't be kept.
pub fn checked(aggregates: Vec<String>) -> Result<Vec<String>> {
    let mut checked: Vec<String> = Vec::new();
    for aggregate in aggregates {
        if !AGGREGATES.iter().any(|(name, _)| *name == aggregate) {
            return Err(refusal(&aggregate));
        }
        if !checked.contains(&aggregate) {
            checked.push(aggregate);
        }
    }
    if checked.is_empty() {
        return Err(Error::invalid_parameter("aggregates must not be empty"));
    }
    Ok(checked)
}

fn refusal(aggregate: &str) -> Error {
    let names: Vec<&str> = AGGREGATES.iter().map(|(name, _)| *name).collect();
    Error::unsupported(format!("a rollup can't hold \"{aggregate}\"")).hint(match aggregate {
        "rate" | "increase" | "time_weighted_avg" => format!(
            "lake.series_query(…, agg => '{aggregate}') computes it from the points. It needs the samples on both sides of an edge between buckets."
        ),
        _ => format!("It holds {}.", names.join(", ")),
    })
}
