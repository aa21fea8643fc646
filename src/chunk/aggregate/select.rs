//! Which rows of a block a query's conditions leave.
//!
//! Comparisons of integers and times with one value are made on whole columns, others row by row; those whose columns have
//! the same value in all rows, once.

use super::block::{self, Block};
use super::plan::CHUNK;
use super::runs::Evaluator;
use crate::chunk::custom::{Condition, Wanted, condition};
use lake_codec::{Column, Values};
use pgrx::{PgList, pg_sys};

pub struct Selection {
    /// That say of a batch whether it may have a row.
    telling: Vec<Condition>,
    /// The same, now.
    wanted: Vec<(i16, Wanted, bool)>,
    /// All others; null where there are none.
    others: *mut pg_sys::ExprState,
    /// The columns of those.
    columns: Vec<i16>,
}

impl Selection {
    /// # Safety
    /// The conditions of a plan that is being begun.
    pub unsafe fn begin(conditions: *mut pg_sys::List, node: *mut pg_sys::PlanState) -> Self {
        // SAFETY: as the caller says.
        unsafe {
            let mut telling = vec![];
            let mut others = PgList::<pg_sys::Expr>::new();
            for expression in PgList::<pg_sys::Expr>::from_pg(conditions).iter_ptr() {
                let found = condition(expression, CHUNK);
                if !found.is_some_and(|condition| condition.is_exact()) {
                    others.push(expression);
                }
                telling.extend(found);
            }
            telling.iter_mut().for_each(|condition| condition.begin(node));
            let others = others.into_pg();
            let columns = super::runs::columns_of(others.cast());
            let others = if others.is_null() {
                std::ptr::null_mut()
            } else {
                pg_sys::ExecInitQual(others, node)
            };
            Self { telling, wanted: vec![], others, columns }
        }
    }

    /// Gives the conditions their values, and returns what columns must be.
    ///
    /// # Safety
    /// The plan is being run.
    pub unsafe fn refresh(&mut self, node: *mut pg_sys::PlanState) -> Vec<(i16, Wanted)> {
        // SAFETY: as the caller says.
        let now = |c: &Condition| unsafe { (c.attnum, c.wanted(node), c.is_exact()) };
        self.wanted = self.telling.iter().map(now).collect();
        self.telling.iter().map(now).map(|(attnum, wanted, _)| (attnum, wanted)).collect()
    }

    /// Whether all rows of a batch are left, going by the smallest and the largest of its columns, where these say so and nothing
    /// is null.
    pub fn takes_all(&self, range: impl Fn(i16) -> Option<(i64, i64)>) -> bool {
        self.others.is_null()
            && self.wanted.iter().all(|(attnum, wanted, _)| {
                range(*attnum).is_some_and(|(min, max)| wanted.holds(min, max))
            })
    }

    /// Leaves out the rows of a block that don't meet the conditions.
    ///
    /// # Safety
    /// The plan is being run.
    pub unsafe fn apply(&self, block: &mut Block, evaluator: &Evaluator) {
        for (attnum, wanted, is_exact) in &self.wanted {
            if *is_exact && block.rows() > 0 {
                block.load(*attnum);
                let rows = meeting(block.column(*attnum), wanted);
                block.keep(rows);
            }
        }
        if self.others.is_null() || block.rows() == 0 {
            return;
        }
        self.columns.iter().for_each(|attnum| block.load(*attnum));
        // SAFETY: as the caller says.
        let holds = |row| unsafe {
            evaluator.fill(block, &self.columns, row);
            evaluator.evaluate(self.others).is_some_and(|found| found.value() != 0)
        };
        let constant = |attnum: &i16| block::is_constant(block.column(*attnum));
        let rows = match self.columns.iter().all(constant) {
            true if holds(0) => return,
            true => vec![],
            false => (0..block.rows()).filter(|row| holds(*row)).map(|row| row as u32).collect(),
        };
        block.keep(rows);
    }
}

/// The rows whose value is wanted.
fn meeting(column: &Column, wanted: &Wanted) -> Vec<u32> {
    let nulls = column.nulls.as_ref();
    let live = |row: &u32| !nulls.is_some_and(|nulls| nulls.get(*row as usize));
    macro_rules! rows {
        ($v:expr) => {
            (0_u32..)
                .zip($v)
                .filter(|(_, v)| wanted.meets(i64::from(**v), i64::from(**v)))
                .map(|(row, _)| row)
                .filter(live)
                .collect()
        };
    }
    match &column.values {
        Values::I16(v) => rows!(v),
        Values::I32(v) => rows!(v),
        Values::I64(v) => rows!(v),
        _ => unreachable!("conditions that are exact are of integers"),
    }
}
