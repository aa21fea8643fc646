//! Which rows of a block a query's conditions leave.
//!
//! Comparisons of numbers and times with given values are made on whole columns, others row by row: once for rows that follow
//! each other and have the same values.

use super::block::Block;
use super::custom::{Condition, Wanted, condition, ordered};
use super::evaluate::{CHUNK, Evaluator, columns_of};
use lake_codec::{Column, Values};
use pgrx::{PgList, pg_sys};

/// Conditions that say of a batch whether it may have a row.
pub struct Telling {
    conditions: Vec<Condition>,
    /// What each wants, now, and whether it wants nothing else.
    wanted: Vec<(i16, Wanted, bool)>,
}

/// All of a query's conditions.
pub struct Selection {
    pub telling: Telling,
    /// Those that aren't told exactly; null where there are none.
    others: *mut pg_sys::ExprState,
    /// The columns of those.
    columns: Vec<i16>,
}

impl Telling {
    /// Those of a list, and all others.
    ///
    /// # Safety
    /// The conditions of a plan that is being begun, in which the chunk is this relation.
    pub unsafe fn begin(
        list: *mut pg_sys::List,
        rti: pg_sys::Index,
        node: *mut pg_sys::PlanState,
    ) -> (Self, *mut pg_sys::List) {
        // SAFETY: as the caller says.
        unsafe {
            let mut conditions = vec![];
            let mut others = PgList::<pg_sys::Expr>::new();
            for expression in PgList::<pg_sys::Expr>::from_pg(list).iter_ptr() {
                let found = condition(expression, rti);
                if !found.is_some_and(|condition| condition.is_exact()) {
                    others.push(expression);
                }
                conditions.extend(found);
            }
            conditions.iter_mut().for_each(|condition| condition.begin(node));
            (Self { conditions, wanted: vec![] }, others.into_pg())
        }
    }

    /// Gives them their values, and returns what columns must be.
    ///
    /// # Safety
    /// The plan is being run.
    pub unsafe fn refresh(&mut self, node: *mut pg_sys::PlanState) -> Vec<(i16, Wanted)> {
        // SAFETY: as the caller says.
        let now = |c: &Condition| unsafe { (c.attnum, c.wanted(node), c.is_exact()) };
        self.wanted = self.conditions.iter().map(now).collect();
        self.wanted.iter().map(|(attnum, wanted, _)| (*attnum, wanted.clone())).collect()
    }

    /// Leaves out the rows of a block that can't meet them.
    pub fn apply(&self, block: &mut Block) {
        for (attnum, wanted, is_exact) in &self.wanted {
            if *is_exact && block.rows() > 0 {
                block.load(*attnum);
                let rows = meeting(block.column(*attnum), wanted);
                block.keep(rows);
            }
        }
    }
}

impl Selection {
    /// # Safety
    /// The conditions of a plan that is being begun, in which the chunk is [`CHUNK`].
    pub unsafe fn begin(conditions: *mut pg_sys::List, node: *mut pg_sys::PlanState) -> Self {
        // SAFETY: as the caller says.
        unsafe {
            let (telling, others) = Telling::begin(conditions, CHUNK, node);
            let columns = columns_of(others.cast());
            let others = if others.is_null() {
                std::ptr::null_mut()
            } else {
                pg_sys::ExecInitQual(others, node)
            };
            Self { telling, others, columns }
        }
    }

    /// Whether all rows of a batch are left, going by the smallest and the largest of its columns, where these say so and nothing
    /// is null.
    pub fn takes_all(&self, range: impl Fn(i16) -> Option<(i64, i64)>) -> bool {
        self.others.is_null()
            && self.telling.wanted.iter().all(|(attnum, wanted, _)| {
                range(*attnum).is_some_and(|(min, max)| wanted.holds(min, max))
            })
    }

    /// Leaves out the rows of a block that don't meet the conditions.
    ///
    /// # Safety
    /// The plan is being run.
    pub unsafe fn apply(&self, block: &mut Block, evaluator: &Evaluator) {
        self.telling.apply(block);
        if self.others.is_null() || block.rows() == 0 {
            return;
        }
        self.columns.iter().for_each(|attnum| block.load(*attnum));
        // SAFETY: as the caller says.
        let holds = |row| unsafe {
            evaluator.fill(block, &self.columns, row);
            evaluator.evaluate(self.others).is_some_and(|found| found.value() != 0)
        };
        // Once for rows that follow each other and have the same values.
        let mut begins = vec![false; block.rows()];
        begins[0] = true;
        for attnum in &self.columns {
            mark(block.column(*attnum), &mut begins);
        }
        let mut last = false;
        let rows = (0..block.rows()).filter(|row| {
            last = if begins[*row] { holds(*row) } else { last };
            last
        });
        let rows = rows.map(|row| row as u32).collect();
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
    let floats = |values: &mut dyn Iterator<Item = f64>| {
        let rows = (0_u32..).zip(values.map(ordered));
        rows.filter(|(_, v)| wanted.meets(*v, *v)).map(|(row, _)| row).filter(live).collect()
    };
    match &column.values {
        Values::I16(v) => rows!(v),
        Values::I32(v) => rows!(v),
        Values::I64(v) => rows!(v),
        Values::F32(v) => floats(&mut v.iter().map(|v| f64::from(*v))),
        Values::F64(v) => floats(&mut v.iter().copied()),
        _ => unreachable!("conditions that are exact are of numbers"),
    }
}

/// Marks the rows whose value is another than that of the row before.
pub fn mark(column: &Column, begins: &mut [bool]) {
    macro_rules! differing {
        ($v:expr) => {
            for row in 1..begins.len() {
                begins[row] |= $v[row] != $v[row - 1];
            }
        };
    }
    match &column.values {
        Values::I16(v) => differing!(v),
        Values::I32(v) => differing!(v),
        Values::I64(v) => differing!(v),
        Values::Bool(v) => {
            (1..begins.len()).for_each(|row| begins[row] |= v.get(row) != v.get(row - 1))
        }
        Values::Bytes(v) if v.repeated().is_some() => {}
        Values::Bytes(v) => {
            (1..begins.len()).for_each(|row| begins[row] |= v.get(row) != v.get(row - 1))
        }
        Values::F32(_) | Values::F64(_) => begins.fill(true),
    }
    if let Some(nulls) = &column.nulls {
        (1..begins.len()).for_each(|row| begins[row] |= nulls.get(row) != nulls.get(row - 1));
    }
}
