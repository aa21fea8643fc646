//! What an aggregate has come to in one group, and how it is handed to Postgres: as the state of its own aggregate, where that has a
//! serial form as these bytes.
//!
//! Floats are added in the order of the rows within a batch, and the sums of batches in the order of these.

use super::function::{Function, What};
use super::runs::{Part, Width};
use crate::chunk::raise;
use crate::compat;
use crate::error::Error;
use crate::series::aggregates::edge;
use lake_codec::{Column, Values};
use pgrx::{PgSqlErrorCode, pg_sys};
use std::cmp::Ordering;
use std::ops::Range;

/// What is returned for an aggregate of a column of this type.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    pub what: What,
    pub of: pg_sys::Oid,
    width: Width,
}

#[derive(Debug, Clone)]
pub enum State {
    Count(i64),
    /// How many, and their sum.
    Integers(i64, i128),
    Floats(i64, f64),
    /// The least or the greatest.
    Integer(Option<i64>),
    Float(Option<f64>),
    /// The time and the value of the first or the last row that has a time.
    Edge(Option<(i64, Part)>),
}

impl Kind {
    /// # Safety
    /// The function is of a relation with these columns.
    pub unsafe fn new(function: Function, columns: pg_sys::TupleDesc) -> Self {
        let of = match function.attnum {
            0 => pg_sys::InvalidOid,
            // SAFETY: as the caller says.
            attnum => unsafe {
                compat::attribute(columns, usize::from(attnum.unsigned_abs()) - 1).atttypid
            },
        };
        // SAFETY: the type is there; what counts rows is of none.
        let width =
            unsafe { Width::of_type(if function.attnum == 0 { pg_sys::INT8OID } else { of }) };
        Self { what: function.what, of, width }
    }

    fn is_float(self) -> bool {
        matches!(self.of, pg_sys::FLOAT4OID | pg_sys::FLOAT8OID)
    }

    pub fn start(self) -> State {
        match (self.what, self.is_float()) {
            (What::Rows | What::Count, _) => State::Count(0),
            (What::Sum | What::Avg, false) => State::Integers(0, 0),
            (What::Sum | What::Avg, true) => State::Floats(0, 0.0),
            (What::Min | What::Max, false) => State::Integer(None),
            (What::Min | What::Max, true) => State::Float(None),
            (What::First | What::Last, _) => State::Edge(None),
        }
    }

    /// Adds these rows of an aligned column.
    pub fn add(self, state: &mut State, column: &Column, rows: Range<usize>) {
        let nulls = column.nulls.as_ref();
        let live = || rows.clone().filter(|row| !nulls.is_some_and(|nulls| nulls.get(*row)));
        macro_rules! ints {
            ($v:expr) => {
                match nulls {
                    None => self.integers(state, $v[rows.clone()].iter().map(|v| i64::from(*v))),
                    Some(_) => self.integers(state, live().map(|row| i64::from($v[row]))),
                }
            };
        }
        macro_rules! floats {
            ($v:expr) => {
                match nulls {
                    None => self.floats(state, $v[rows.clone()].iter().map(|v| f64::from(*v))),
                    Some(_) => self.floats(state, live().map(|row| f64::from($v[row]))),
                }
            };
        }
        if let State::Count(count) = state {
            *count += nulls.map_or(rows.len(), |_| live().count()) as i64;
            return;
        }
        match &column.values {
            Values::I16(v) => ints!(v),
            Values::I32(v) => ints!(v),
            Values::I64(v) => ints!(v),
            Values::F32(v) => floats!(v),
            Values::F64(v) => floats!(v),
            Values::Bool(_) | Values::Bytes(_) => {}
        }
    }

    /// Adds these rows of aligned columns, the second of which has their times.
    pub fn add_edge(self, state: &mut State, column: &Column, by: &Column, rows: Range<usize>) {
        let (State::Edge(edge), Values::I64(times)) = (state, &by.values) else { return };
        let nulls = by.nulls.as_ref();
        let mut rows = rows.filter(|row| !nulls.is_some_and(|nulls| nulls.get(*row)));
        let Some(first) = rows.next() else { return };
        let best =
            rows.fold(
                first,
                |best, row| {
                    if self.is_better(times[row], times[best]) { row } else { best }
                },
            );
        // SAFETY: the column is of the kind's type.
        self.better_edge(edge, times[best], || unsafe { self.width.of(column, best) });
    }

    fn better_edge(self, edge: &mut Option<(i64, Part)>, ts: i64, value: impl FnOnce() -> Part) {
        if edge.as_ref().is_none_or(|(best, _)| self.is_better(ts, *best)) {
            *edge = Some((ts, value()));
        }
    }

    fn is_better(self, ts: i64, than: i64) -> bool {
        if self.what == What::First { ts < than } else { ts > than }
    }

    fn integers(self, state: &mut State, values: impl Iterator<Item = i64>) {
        match state {
            State::Integers(count, sum) => {
                let wide = self.of == pg_sys::INT8OID;
                if wide {
                    values.for_each(|value| {
                        *count += 1;
                        *sum += i128::from(value);
                    });
                } else {
                    // A block's fit.
                    let (n, s) = values.fold((0, 0), |(n, s), value| (n + 1, s + value));
                    *count += n;
                    *sum += i128::from(s);
                }
            }
            State::Integer(best) => {
                let found = if self.what == What::Min { values.min() } else { values.max() };
                self.better_integer(best, found);
            }
            State::Count(_) | State::Floats(..) | State::Float(_) | State::Edge(_) => {}
        }
    }

    fn better_integer(self, best: &mut Option<i64>, found: Option<i64>) {
        let both = best.iter().chain(&found).copied();
        *best = if self.what == What::Min { both.min() } else { both.max() };
    }

    fn floats(self, state: &mut State, values: impl Iterator<Item = f64>) {
        match state {
            State::Floats(count, sum) => {
                let (mut n, mut s, mut infinite) = (0, 0.0, false);
                for value in values {
                    n += 1;
                    s += value;
                    infinite |= value.is_infinite();
                }
                *count += n;
                *sum = added(*sum, s, infinite);
            }
            State::Float(best) => {
                for value in values {
                    self.better_float(best, value);
                }
            }
            State::Count(_) | State::Integers(..) | State::Integer(_) | State::Edge(_) => {}
        }
    }

    /// In Postgres' order: NaN equals itself and is more than all else.
    fn better_float(self, best: &mut Option<f64>, value: f64) {
        let wanted = if self.what == What::Min { Ordering::Less } else { Ordering::Greater };
        if best.is_none_or(|best| order(value, best) == wanted) {
            *best = Some(value);
        }
    }

    /// Adds what is known of some rows without a look at them.
    pub fn add_known(self, state: &mut State, known: Known) {
        match (state, known) {
            (State::Count(count), Known::Count(n)) => *count += n,
            (State::Integers(count, sum), Known::Integers(n, s)) => {
                *count += n;
                *sum += i128::from(s);
            }
            (State::Floats(count, sum), Known::Floats(n, s)) => {
                *count += n;
                // An infinite sum of a batch has infinite values: others would have none.
                *sum = added(*sum, s, s.is_infinite());
            }
            (State::Integer(best), Known::Integer(value)) => self.better_integer(best, Some(value)),
            (State::Float(best), Known::Float(value)) => self.better_float(best, value),
            (State::Edge(edge), Known::Edge(ts, value)) => {
                self.better_edge(edge, ts, || Part::Word(value));
            }
            _ => {}
        }
    }

    /// What Postgres' aggregate would hold; `None` for null. Allocated in the current memory context.
    pub fn finish(self, state: &State) -> Option<pg_sys::Datum> {
        let is_sum = self.what == What::Sum;
        match *state {
            State::Edge(ref edge) => {
                let (ts, value) = edge.as_ref()?;
                let value = self.width.bytes(value);
                let state = edge::packed(self.of, *ts, value.as_deref());
                // SAFETY: a copy as a varlena.
                Some(unsafe { crate::chunk::column::allocated(&state, true) })
            }
            State::Count(count) => Some(count.into()),
            State::Integers(0, _) | State::Floats(0, _) if is_sum => None,
            State::Integers(count, sum) if self.of == pg_sys::INT8OID => Some(numeric(count, sum)),
            State::Integers(_, sum) if is_sum => i64::try_from(sum).ok().map(Into::into),
            State::Integers(count, sum) => {
                let sum = i64::try_from(sum).unwrap_or(i64::MAX);
                Some(array(&[count.into(), sum.into()], pg_sys::INT8OID))
            }
            State::Floats(_, sum) if is_sum => Some(float(sum)),
            State::Floats(count, sum) => {
                // The third would be for a variance.
                Some(array(&[float(count as f64), float(sum), float(0.0)], pg_sys::FLOAT8OID))
            }
            State::Integer(best) => best.map(|best| self.integer(best)),
            State::Float(best) => best.map(|best| {
                if self.of == pg_sys::FLOAT4OID {
                    ((best as f32).to_bits() as i32).into()
                } else {
                    float(best)
                }
            }),
        }
    }

    /// A value of the type, in its width.
    #[expect(clippy::cast_possible_truncation, reason = "it came from a value of the type")]
    fn integer(self, value: i64) -> pg_sys::Datum {
        match self.of {
            pg_sys::INT2OID => (value as i16).into(),
            pg_sys::INT4OID | pg_sys::DATEOID => (value as i32).into(),
            _ => value.into(),
        }
    }
}

/// What the statistics of a batch say.
#[derive(Debug, Clone, Copy)]
pub enum Known {
    Count(i64),
    Integers(i64, i64),
    Floats(i64, f64),
    Integer(i64),
    Float(f64),
    Edge(i64, usize),
    /// There is no value.
    Nothing,
}

fn order(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

fn added(a: f64, b: f64, infinite: bool) -> f64 {
    let sum = a + b;
    if sum.is_infinite() && a.is_finite() && !infinite {
        raise(Error::new(
            PgSqlErrorCode::ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
            "value out of range: overflow",
        ))
    }
    sum
}

fn float(value: f64) -> pg_sys::Datum {
    pg_sys::Datum::from(value.to_bits() as i64)
}

fn array(elements: &[pg_sys::Datum], of: pg_sys::Oid) -> pg_sys::Datum {
    let mut elements = elements.to_vec();
    let count = i32::try_from(elements.len()).unwrap_or(0);
    // SAFETY: both types are passed by value, of eight bytes.
    unsafe {
        let align = pg_sys::TYPALIGN_DOUBLE as std::ffi::c_char;
        pg_sys::construct_array(elements.as_mut_ptr(), count, of, 8, true, align).into()
    }
}

/// How Postgres writes the state of `sum(int8)` and `avg(int8)` for others to read: a count, and a sum as digits of base 10,000.
fn numeric(count: i64, sum: i128) -> pg_sys::Datum {
    const BASE: u128 = 10_000;
    const NEGATIVE: i32 = 0x4000;
    let (mut left, mut digits) = (sum.unsigned_abs(), vec![]);
    while left > 0 {
        digits.push((left % BASE) as i16);
        left /= BASE;
    }
    let length = i32::try_from(digits.len()).unwrap_or(0);
    let sign = if sum < 0 { NEGATIVE } else { 0 };
    let mut bytes = count.to_be_bytes().to_vec();
    for number in [length, (length - 1).max(0), sign, 0] {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    for digit in digits.iter().rev() {
        bytes.extend_from_slice(&digit.to_be_bytes());
    }
    // SAFETY: a copy as a varlena.
    unsafe { crate::chunk::column::allocated(&bytes, true) }
}
