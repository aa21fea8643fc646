//! What a statement trigger sees: its data, and the rows that the statement wrote, read as they are.
//!
//! Nothing is planned and nothing of the table's owner is called, so this is cheap for the smallest of
//! statements and lends nobody's rights to anybody.

use crate::error::{Error, Result};
use pgrx::{PgSqlErrorCode, pg_sys};

/// How many rows are read between looks for interrupts.
const ROWS_PER_LOOK: usize = 4096;

/// The data of the trigger that calls `function`. 39P01 where none does.
///
/// # Safety
/// `fcinfo` is what Postgres called with.
pub unsafe fn data(
    fcinfo: pg_sys::FunctionCallInfo,
    function: &str,
) -> Result<*const pg_sys::TriggerData> {
    // SAFETY: a call by a trigger has its data as the context, which lives as long as the call.
    unsafe {
        let context = (*fcinfo).context;
        if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_TriggerData {
            return Err(Error::new(
                PgSqlErrorCode::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
                format!("{function} is called by triggers alone"),
            ));
        }
        Ok(context.cast::<pg_sys::TriggerData>())
    }
}

/// The transition tables of a trigger that is running, old rows before new ones; none for a trigger
/// that was made without.
///
/// # Safety
/// `data` is of a trigger that is running.
pub unsafe fn tables(
    data: *const pg_sys::TriggerData,
) -> impl Iterator<Item = *mut pg_sys::Tuplestorestate> {
    // SAFETY: as the caller promises.
    let tables = unsafe { [(*data).tg_oldtable, (*data).tg_newtable] };
    tables.into_iter().filter(|table| !table.is_null())
}

/// Calls `f` with one attribute of each row, where it isn't null.
///
/// # Safety
/// `table` is a transition table of rows as `columns` says, of which `attribute` is one; `f` keeps no
/// datum beyond its call.
pub unsafe fn each(
    table: *mut pg_sys::Tuplestorestate,
    columns: pg_sys::TupleDesc,
    attribute: i16,
    mut f: impl FnMut(pg_sys::Datum),
) {
    let wanted = usize::try_from(attribute - 1).unwrap_or_default();
    // SAFETY: as the caller promises. The table is read by a pointer of our own; others have theirs.
    unsafe {
        let pointer = pg_sys::tuplestore_alloc_read_pointer(table, pg_sys::EXEC_FLAG_REWIND as i32);
        pg_sys::tuplestore_select_read_pointer(table, pointer);
        pg_sys::tuplestore_rescan(table);
        let slot = pg_sys::MakeSingleTupleTableSlot(columns, &raw const pg_sys::TTSOpsMinimalTuple);
        let mut rows = 0;
        while pg_sys::tuplestore_gettupleslot(table, true, false, slot) {
            rows += 1;
            if rows % ROWS_PER_LOOK == 0 {
                pgrx::check_for_interrupts!();
            }
            pg_sys::slot_getsomeattrs_int(slot, i32::from(attribute));
            if !*(*slot).tts_isnull.add(wanted) {
                f(*(*slot).tts_values.add(wanted));
            }
        }
        pg_sys::ExecDropSingleTupleTableSlot(slot);
    }
}
