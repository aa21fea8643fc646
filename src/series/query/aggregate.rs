//! What a bucket's values become.

use crate::error::{Error, Result};

/// What the values of a bucket become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    Avg,
    Min,
    Max,
    Sum,
    Count,
    First,
    Last,
    Rate,
    Increase,
    P50,
    P95,
    P99,
    TimeWeightedAvg,
}

impl Aggregate {
    pub fn parse(text: &str) -> Result<Self> {
        Ok(match text {
            "avg" => Aggregate::Avg,
            "min" => Aggregate::Min,
            "max" => Aggregate::Max,
            "sum" => Aggregate::Sum,
            "count" => Aggregate::Count,
            "first" => Aggregate::First,
            "last" => Aggregate::Last,
            "rate" => Aggregate::Rate,
            "increase" => Aggregate::Increase,
            "p50" => Aggregate::P50,
            "p95" => Aggregate::P95,
            "p99" => Aggregate::P99,
            "time_weighted_avg" => Aggregate::TimeWeightedAvg,
            other => {
                return Err(Error::invalid_parameter(format!("agg can't be \"{other}\"")).hint(
                    "It is avg, min, max, sum, count, first, last, rate, increase, p50, p95, p99 or time_weighted_avg.",
                ));
            }
        })
    }

    /// The expression over rows `p`.
    pub const fn sql(self) -> &'static str {
        match self {
            Aggregate::Avg => "pg_catalog.avg(p.value)",
            Aggregate::Min => "pg_catalog.min(p.value)",
            Aggregate::Max => "pg_catalog.max(p.value)",
            Aggregate::Sum => "pg_catalog.sum(p.value)",
            Aggregate::Count => "pg_catalog.count(*)::pg_catalog.float8",
            Aggregate::First => "lake.first(p.value, p.ts)",
            Aggregate::Last => "lake.last(p.value, p.ts)",
            Aggregate::Rate => "pg_catalog.sum(p.step) / NULLIF(pg_catalog.sum(p.seconds), 0)",
            Aggregate::Increase => "pg_catalog.sum(p.step)",
            Aggregate::P50 => "pg_catalog.percentile_cont(0.5) WITHIN GROUP (ORDER BY p.value)",
            Aggregate::P95 => "pg_catalog.percentile_cont(0.95) WITHIN GROUP (ORDER BY p.value)",
            Aggregate::TimeWeightedAvg => "lake.time_weighted_avg(p.value, p.ts)",
            Aggregate::P99 => "pg_catalog.percentile_cont(0.99) WITHIN GROUP (ORDER BY p.value)",
        }
    }
}
