//! What is known of a column without decoding it.

use crate::{Column, Values};
use std::cmp::Ordering;

/// Of a column of integers: `sum` is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Integer {
    pub min: i64,
    pub max: i64,
    pub first: i64,
    pub last: i64,
    pub sum: i128,
}

/// Of a column of floats. Order is Postgres': NaN equals itself and is more than all else, both zeros
/// are equal; of equal ones the first counts.
#[derive(Debug, Clone, Copy)]
pub struct Float {
    pub min: f64,
    pub max: f64,
    pub first: f64,
    pub last: f64,
    /// Added in the order of the rows; `None` where finite values add up to an infinity, which is an
    /// error in Postgres, and for single precision, which Postgres adds up in single precision.
    pub sum: Option<f64>,
}

/// What [`stats`](Column::stats) finds; of values that aren't null.
#[derive(Debug, Clone, Copy)]
pub enum Stats {
    /// There is no value.
    Empty,
    Integer(Integer),
    Float(Float),
    /// Of truth values: how many are true, and the first and the last.
    Bool {
        truths: usize,
        first: bool,
        last: bool,
    },
    /// Bytes, whose order only Postgres knows.
    Other,
}

impl Column {
    pub fn stats(&self) -> Stats {
        match &self.values {
            values if values.is_empty() => Stats::Empty,
            Values::Bool(v) => {
                Stats::Bool { truths: v.count_ones(), first: v.get(0), last: v.get(v.len() - 1) }
            }
            Values::I16(v) => integers(v.iter().map(|v| i64::from(*v))),
            Values::I32(v) => integers(v.iter().map(|v| i64::from(*v))),
            Values::I64(v) => integers(v.iter().copied()),
            Values::F32(v) => floats(v.iter().map(|v| f64::from(*v)), false),
            Values::F64(v) => floats(v.iter().copied(), true),
            Values::Bytes(_) => Stats::Other,
        }
    }
}

fn integers(values: impl Iterator<Item = i64>) -> Stats {
    values
        .fold(None, |so_far: Option<Integer>, value| {
            Some(match so_far {
                None => {
                    Integer { min: value, max: value, first: value, last: value, sum: value.into() }
                }
                Some(s) => Integer {
                    min: s.min.min(value),
                    max: s.max.max(value),
                    first: s.first,
                    last: value,
                    sum: s.sum + i128::from(value),
                },
            })
        })
        .map_or(Stats::Empty, Stats::Integer)
}

fn floats(values: impl Iterator<Item = f64>, double: bool) -> Stats {
    let mut overflow = false;
    let found = values.fold(None, |so_far: Option<(Float, f64)>, value| {
        Some(match so_far {
            None => (Float { min: value, max: value, first: value, last: value, sum: None }, value),
            Some((s, sum)) => {
                let next = sum + value;
                overflow |= next.is_infinite() && sum.is_finite() && value.is_finite();
                let min = if order(value, s.min).is_lt() { value } else { s.min };
                let max = if order(value, s.max).is_gt() { value } else { s.max };
                (Float { min, max, last: value, ..s }, next)
            }
        })
    });
    found.map_or(Stats::Empty, |(stats, sum)| {
        Stats::Float(Float { sum: (double && !overflow).then_some(sum), ..stats })
    })
}

/// As Postgres orders floats.
fn order(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}
