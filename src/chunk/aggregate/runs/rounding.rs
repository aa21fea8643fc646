//! Keys that times are rounded to.

use super::Part;
use crate::chunk::aggregate::extension::is_bucket;
use crate::chunk::aggregate::function;
use crate::chunk::block::Block;
use crate::chunk::evaluate::{CHUNK, columns_of};
use lake_codec::Values;
use pgrx::{PgList, pg_sys};
use std::ptr;

/// How a function rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// Later times are never rounded to earlier ones.
    Even,
    /// By the clock of the session's time zone, which may be put back.
    Local,
}

/// Within so many microseconds no clock is put forward and back again, or the other way round.
const A_DAY: i64 = 86_400_000_000;

impl Rounding {
    /// `None` for other expressions than a known function of a column and of nothing else that changes.
    ///
    /// # Safety
    /// An expression of a plan of ours.
    pub unsafe fn of(expression: *const pg_sys::Expr) -> Option<Self> {
        // SAFETY: as the caller says.
        unsafe {
            if (*expression).type_ != pg_sys::NodeTag::T_FuncExpr {
                return None;
            }
            let call = expression.cast::<pg_sys::FuncExpr>();
            let arguments = PgList::<pg_sys::Expr>::from_pg((*call).args);
            function::column(arguments.get_ptr(1)?, CHUNK)?;
            for (at, argument) in arguments.iter_ptr().enumerate() {
                if at != 1 && !columns_of(argument.cast()).is_empty() {
                    return None;
                }
            }
            match (*call).funcid.to_u32() {
                // date_bin of both kinds of timestamp, date_trunc of those without a time zone.
                6177 | 6178 | 2020 => Some(Self::Even),
                // date_trunc in the session's time zone.
                1217 => Some(Self::Local),
                _ if is_bucket((*call).funcid) && is_null(arguments.get_ptr(2)?) => {
                    Some(Self::Local)
                }
                _ => None,
            }
        }
    }

    /// Whether later times between these are never rounded to earlier ones.
    pub fn is_even(self, first: i64, last: i64) -> bool {
        match self {
            Self::Even => true,
            Self::Local => {
                last.abs_diff(first) <= A_DAY.unsigned_abs()
                    && offset(first).is_some_and(|at_first| Some(at_first) == offset(last))
            }
        }
    }
}

unsafe fn is_null(expression: *const pg_sys::Expr) -> bool {
    // SAFETY: the tag says what it is.
    unsafe {
        (*expression).type_ == pg_sys::NodeTag::T_Const
            && (*expression.cast::<pg_sys::Const>()).constisnull
    }
}

/// How far local time is from UTC, in the session's time zone, at a timestamp; `None` for infinite ones.
fn offset(ts: i64) -> Option<i32> {
    let (mut tz, mut tm, mut fraction) = (0, pg_sys::pg_tm::default(), 0);
    // SAFETY: everything is written that is read after.
    let failed = unsafe {
        pg_sys::timestamp2tm(
            ts,
            &raw mut tz,
            &raw mut tm,
            &raw mut fraction,
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    (failed == 0).then_some(tz)
}

/// The values of a key in all rows: where each begins, and what it is. `at` computes one; runs of other keys have been marked.
pub fn all(
    block: &Block,
    columns: &[i16],
    rounding: Option<Rounding>,
    begins: &[bool],
    at: impl Fn(usize) -> Part,
) -> Vec<(usize, Part)> {
    let rows = begins.len();
    let mut found: Vec<(usize, Part)> = vec![];
    if columns.is_empty() {
        return vec![(0, at(0))];
    }
    let times = rounding.and_then(|rounding| match &block.column(columns[0]).values {
        Values::I64(times) if block.column(columns[0]).nulls.is_none() => Some((rounding, times)),
        _ => None,
    });
    let Some((rounding, times)) = times else {
        for row in 0..rows {
            let part = at(row);
            if found.last().is_none_or(|(_, last)| *last != part) {
                found.push((row, part));
            }
        }
        return found;
    };
    let mut begin = 0;
    while begin < rows {
        let end = (begin + 1..rows).find(|row| begins[*row]).unwrap_or(rows);
        let rises = times[begin..end].is_sorted();
        let falls = times[begin..end].is_sorted_by(|a, b| a >= b);
        let is_even = |a: usize, b: usize| (rises || falls) && rounding.is_even(times[a], times[b]);
        let first = at(begin);
        found.push((begin, first.clone()));
        let last = if end - begin > 1 { at(end - 1) } else { first.clone() };
        between((begin, &first), (end - 1, &last), &is_even, &at, &mut found);
        begin = end;
    }
    found
}

/// Finds where the value changes after one row, up to another.
fn between(
    first: (usize, &Part),
    last: (usize, &Part),
    is_even: &impl Fn(usize, usize) -> bool,
    at: &impl Fn(usize) -> Part,
    found: &mut Vec<(usize, Part)>,
) {
    if first.0 == last.0 || (first.1 == last.1 && is_even(first.0, last.0)) {
        return;
    }
    if last.0 - first.0 == 1 {
        if first.1 != last.1 {
            found.push((last.0, last.1.clone()));
        }
        return;
    }
    let middle = first.0 + (last.0 - first.0) / 2;
    let value = at(middle);
    between(first, (middle, &value), is_even, at, found);
    between((middle, &value), last, is_even, at, found);
}
