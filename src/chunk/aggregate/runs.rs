//! Runs of rows of the same group, in a block.
//!
//! A key that is a column is compared from row to row. Of a key that a time is rounded to (`date_trunc`, `date_bin`,
//! `lake.bucket`) few values are computed: times that rise between two that are rounded to the same are so as well, as long as no clock is
//! put back in between.

use super::function;
use crate::chunk::block::Block;
use crate::chunk::column;
use crate::chunk::evaluate::{CHUNK, Evaluator, columns_of};
use crate::chunk::select::mark;
use lake_codec::{Column, Kind, Values};
use pgrx::pg_sys;

mod rounding;
pub use rounding::Rounding;

/// A value of a key: what it is made of, without the header of a varlena.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Part {
    Null,
    Word(usize),
    Bytes(Box<[u8]>),
}

pub enum Key {
    Column(i16),
    Expression { state: *mut pg_sys::ExprState, columns: Vec<i16>, rounding: Option<Rounding> },
}

pub struct Keys {
    pub keys: Vec<(Key, Width)>,
}

/// How values of a type are passed.
#[derive(Debug, Clone, Copy)]
pub struct Width {
    length: i16,
    by_value: bool,
}

impl Width {
    /// # Safety
    /// There is such a type.
    pub unsafe fn of_type(kind: pg_sys::Oid) -> Self {
        let (mut length, mut by_value) = (0, false);
        // SAFETY: as the caller says.
        unsafe { pg_sys::get_typlenbyval(kind, &raw mut length, &raw mut by_value) };
        Self { length, by_value }
    }

    /// What a value is made of in memory; `None` for null.
    pub fn bytes(self, part: &Part) -> Option<Vec<u8>> {
        Some(match part {
            Part::Null => return None,
            Part::Word(word) => word.to_ne_bytes().to_vec(),
            Part::Bytes(bytes) if self.length == -1 => {
                let header = i32::try_from(bytes.len() + pg_sys::VARHDRSZ).unwrap_or(i32::MAX);
                let mut out = vec![0; pg_sys::VARHDRSZ];
                // SAFETY: as many bytes as a header has.
                unsafe { pgrx::set_varsize_4b(out.as_mut_ptr().cast(), header) };
                out.extend_from_slice(bytes);
                out
            }
            Part::Bytes(bytes) => bytes.to_vec(),
        })
    }

    /// A value as a part of a group's key.
    ///
    /// # Safety
    /// It is of the type that this is of.
    pub unsafe fn part(self, value: Option<pg_sys::Datum>) -> Part {
        let Some(value) = value else { return Part::Null };
        if self.by_value {
            return Part::Word(value.value());
        }
        // SAFETY: so many bytes, or a varlena.
        unsafe {
            Part::Bytes(match usize::try_from(self.length) {
                Ok(length) => std::slice::from_raw_parts(value.cast_mut_ptr::<u8>(), length).into(),
                Err(_) => {
                    let plain = pg_sys::pg_detoast_datum_packed(value.cast_mut_ptr());
                    pgrx::varlena_to_byte_slice(plain).into()
                }
            })
        }
    }

    /// And back, in the current memory context.
    pub fn datum(self, part: &Part) -> Option<pg_sys::Datum> {
        match part {
            Part::Null => None,
            Part::Word(word) => Some(pg_sys::Datum::from(*word)),
            // SAFETY: of the type that the bytes were taken of.
            Part::Bytes(bytes) => Some(unsafe { column::allocated(bytes, self.length == -1) }),
        }
    }
}

impl Keys {
    /// # Safety
    /// The expressions of a plan that is being begun.
    pub unsafe fn begin(expressions: &[*mut pg_sys::Expr], node: *mut pg_sys::PlanState) -> Self {
        // SAFETY: as the caller says.
        let keys = expressions.iter().map(|expression| unsafe {
            let width = Width::of_type(pg_sys::exprType((*expression).cast()));
            let key = match function::column(*expression, CHUNK) {
                Some(attnum) => Key::Column(attnum),
                None => Key::Expression {
                    state: pg_sys::ExecInitExpr(*expression, node),
                    columns: columns_of((*expression).cast()),
                    rounding: Rounding::of(*expression),
                },
            };
            (key, width)
        });
        Self { keys: keys.collect() }
    }

    /// Cuts a block of at least one row into runs: where each begins, and what its group is.
    ///
    /// # Safety
    /// The plan is being run.
    pub unsafe fn cut(&self, block: &mut Block, evaluator: &Evaluator) -> Vec<(usize, Vec<Part>)> {
        for (key, _) in &self.keys {
            match key {
                Key::Column(attnum) => block.load(*attnum),
                Key::Expression { columns, .. } => columns.iter().for_each(|at| block.load(*at)),
            }
        }
        let mut begins = vec![false; block.rows()];
        begins[0] = true;
        for (key, _) in &self.keys {
            if let Key::Column(attnum) = key {
                mark(block.column(*attnum), &mut begins);
            }
        }
        let mut computed = vec![];
        for (key, width) in &self.keys {
            computed.push(match key {
                Key::Column(_) => vec![],
                Key::Expression { state, columns, rounding } => {
                    // SAFETY: the columns were loaded above.
                    let at = |row| unsafe {
                        evaluator.fill(block, columns, row);
                        width.part(evaluator.evaluate(*state))
                    };
                    let found = rounding::all(block, columns, *rounding, &begins, at);
                    found.iter().for_each(|(row, _)| begins[*row] = true);
                    found
                }
            });
        }
        let mut next = vec![0; self.keys.len()];
        let rows = (0..begins.len()).filter(|row| begins[*row]);
        rows.map(|row| {
            let parts = self.keys.iter().zip(&computed).zip(&mut next);
            let parts = parts.map(|(((key, width), computed), next)| match key {
                // SAFETY: a value of the type.
                Key::Column(attnum) => unsafe { width.of(block.column(*attnum), row) },
                Key::Expression { .. } => {
                    while computed.get(*next + 1).is_some_and(|(begin, _)| *begin <= row) {
                        *next += 1;
                    }
                    computed[*next].1.clone()
                }
            });
            (row, parts.collect())
        })
        .collect()
    }
}

impl Width {
    /// # Safety
    /// The column is of the type that this is of.
    pub unsafe fn of(self, column: &Column, row: usize) -> Part {
        if column.nulls.as_ref().is_some_and(|nulls| nulls.get(row)) {
            return Part::Null;
        }
        match &column.values {
            Values::Bytes(v) => Part::Bytes(v.get(row).unwrap_or_default().into()),
            // SAFETY: passed by value.
            values => Part::Word(unsafe { column::datum(values, row, false) }.value()),
        }
    }
}

/// What a key is of rows that have one value in this column, by the ends of the column's range; `None` where they may be several.
///
/// # Safety
/// The plan is being run; the values are of the column's type.
pub unsafe fn of_range(
    key: &(Key, Width),
    evaluator: &Evaluator,
    range: impl Fn(i16) -> Option<(i64, i64)>,
    kind: impl Fn(i16) -> Option<Kind>,
) -> Option<Part> {
    let word = |attnum: i16, value: i64| match kind(attnum)? {
        Kind::I16 => Some(pg_sys::Datum::from(value as i16)),
        Kind::I32 => Some(pg_sys::Datum::from(value as i32)),
        Kind::I64 => Some(pg_sys::Datum::from(value)),
        _ => None,
    };
    match &key.0 {
        Key::Column(attnum) => {
            let (min, max) = range(*attnum)?;
            (min == max).then_some(())?;
            word(*attnum, min).map(|word| Part::Word(word.value()))
        }
        Key::Expression { state, columns, rounding } => {
            let ends = match columns[..] {
                [] => None,
                [attnum] => Some((attnum, range(attnum)?)),
                _ => return None,
            };
            let at = |value: i64| {
                let value = match ends {
                    Some((attnum, _)) => Some(word(attnum, value)?),
                    None => None,
                };
                // SAFETY: as the caller says.
                unsafe { evaluator.set(columns, |_| value) };
                // SAFETY: as the caller says.
                Some(unsafe { key.1.part(evaluator.evaluate(*state)) })
            };
            let (min, max) = ends.map_or((0, 0), |(_, range)| range);
            let first = at(min)?;
            (min == max || ((*rounding)?.is_even(min, max) && at(max)? == first)).then_some(first)
        }
    }
}
