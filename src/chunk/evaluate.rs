//! Expressions over single rows of a [`Block`], in which the chunk is relation 1, whatever it is in the query.

use super::block::{self, Block};
use super::custom::members;
use crate::compat;
use pgrx::pg_sys;

/// The chunk in these expressions.
pub const CHUNK: pg_sys::Index = 1;

/// Evaluates expressions over single rows of a block.
pub struct Evaluator {
    slot: *mut pg_sys::TupleTableSlot,
    context: *mut pg_sys::ExprContext,
}

impl Evaluator {
    /// # Safety
    /// The node is being begun; the chunk is open as long as it is there.
    pub unsafe fn new(node: *mut pg_sys::PlanState, chunk: pg_sys::Relation) -> Self {
        // SAFETY: as the caller says.
        unsafe {
            let virtually = &raw const pg_sys::TTSOpsVirtual;
            let slot = pg_sys::MakeSingleTupleTableSlot((*chunk).rd_att, virtually);
            // The one system column that rows of batches have.
            (*slot).tts_tableOid = (*chunk).rd_id;
            Self { slot, context: (*node).ps_ExprContext }
        }
    }

    /// Takes these columns of a row, in place of the one before.
    ///
    /// # Safety
    /// They were loaded.
    pub unsafe fn fill(&self, block: &Block, columns: &[i16], row: usize) {
        // SAFETY: as the caller says; a virtual slot has room for all of its columns.
        unsafe {
            self.set(columns, |attnum| {
                let kind = compat::attribute(
                    (*self.slot).tts_tupleDescriptor,
                    usize::from(attnum.unsigned_abs()) - 1,
                );
                block::datum(block.column(attnum), row, kind.attlen == -1)
            });
        }
    }

    /// Takes these values.
    ///
    /// # Safety
    /// They are of the columns' types.
    pub unsafe fn set(&self, columns: &[i16], value: impl Fn(i16) -> Option<pg_sys::Datum>) {
        // SAFETY: as `fill`.
        unsafe {
            let slot = self.slot;
            pg_sys::MemoryContextReset((*self.context).ecxt_per_tuple_memory);
            pg_sys::ExecClearTuple(slot);
            let before = pg_sys::MemoryContextSwitchTo((*self.context).ecxt_per_tuple_memory);
            for attnum in columns {
                let at = usize::from(attnum.unsigned_abs()) - 1;
                let found = value(*attnum);
                *(*slot).tts_isnull.add(at) = found.is_none();
                *(*slot).tts_values.add(at) = found.unwrap_or_else(pg_sys::Datum::null);
            }
            pg_sys::MemoryContextSwitchTo(before);
            pg_sys::ExecStoreVirtualTuple(slot);
            (*self.context).ecxt_scantuple = slot;
        }
    }

    /// `None` for null.
    ///
    /// # Safety
    /// The expression reads no other columns than were filled last.
    pub unsafe fn evaluate(&self, state: *mut pg_sys::ExprState) -> Option<pg_sys::Datum> {
        // SAFETY: as the caller says.
        unsafe {
            let before = pg_sys::MemoryContextSwitchTo((*self.context).ecxt_per_tuple_memory);
            let evaluate = (*state).evalfunc.expect("an expression can be evaluated");
            let mut is_null = false;
            let value = pg_sys::ffi::pg_guard_ffi_boundary(|| {
                evaluate(state, self.context, &raw mut is_null)
            });
            pg_sys::MemoryContextSwitchTo(before);
            (!is_null).then_some(value)
        }
    }

    /// # Safety
    /// Once, while the node is ended.
    pub unsafe fn end(&self) {
        // SAFETY: as the caller says.
        unsafe { pg_sys::ExecDropSingleTupleTableSlot(self.slot) }
    }
}

/// The chunk's columns in an expression, in order; not those of the system.
///
/// # Safety
/// An expression of a plan of ours, in which it is relation 1.
pub unsafe fn columns_of(expression: *mut pg_sys::Node) -> Vec<i16> {
    let mut attnums: *mut pg_sys::Bitmapset = std::ptr::null_mut();
    // SAFETY: as the caller says.
    unsafe { pg_sys::pull_varattnos(expression, CHUNK, &raw mut attnums) };
    // SAFETY: made just now.
    let mut columns = unsafe { members(attnums) };
    columns.retain(|attnum| *attnum > 0);
    columns
}
