//! What may be written to a chunk that has batches: new rows that can't repeat a key of compressed ones,
//! and whatever is done to rows of the heap. A statement that would change or lock a compressed row, or
//! may repeat its key, is refused.

use super::keys::check;
use super::refuse;
use super::routine::heap_call;
use crate::compat::UpdatesIndexes;
use pgrx::{pg_guard, pg_sys};
use std::ffi::c_int;

/// Rows of batches have no address.
///
/// # Safety
/// The relation is open.
pub unsafe fn refuse_batch_row(rel: pg_sys::Relation, tid: pg_sys::ItemPointer) {
    // SAFETY: as Postgres calls it, the address is readable.
    unsafe {
        if (*tid).ip_posid == pg_sys::InvalidOffsetNumber {
            refuse(rel, "this statement would change, lock or merge one of them");
        }
    }
}

#[pg_guard]
pub unsafe extern "C-unwind" fn tuple_insert(
    rel: pg_sys::Relation,
    slot: *mut pg_sys::TupleTableSlot,
    cid: pg_sys::CommandId,
    options: c_int,
    bistate: *mut pg_sys::BulkInsertStateData,
) {
    // SAFETY: as Postgres calls it.
    unsafe {
        check(rel, slot, false);
        heap_call!(tuple_insert(rel, slot, cid, options, bistate));
    }
}

#[pg_guard]
pub unsafe extern "C-unwind" fn tuple_insert_speculative(
    rel: pg_sys::Relation,
    slot: *mut pg_sys::TupleTableSlot,
    cid: pg_sys::CommandId,
    options: c_int,
    bistate: *mut pg_sys::BulkInsertStateData,
    token: u32,
) {
    // SAFETY: as Postgres calls it.
    unsafe {
        check(rel, slot, true);
        heap_call!(tuple_insert_speculative(rel, slot, cid, options, bistate, token));
    }
}

#[pg_guard]
pub unsafe extern "C-unwind" fn multi_insert(
    rel: pg_sys::Relation,
    slots: *mut *mut pg_sys::TupleTableSlot,
    count: c_int,
    cid: pg_sys::CommandId,
    options: c_int,
    bistate: *mut pg_sys::BulkInsertStateData,
) {
    // SAFETY: as Postgres calls it: so many slots.
    unsafe {
        for at in 0..count.unsigned_abs() as usize {
            check(rel, *slots.add(at), false);
        }
        heap_call!(multi_insert(rel, slots, count, cid, options, bistate));
    }
}

#[pg_guard]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C-unwind" fn tuple_delete(
    rel: pg_sys::Relation,
    tid: pg_sys::ItemPointer,
    cid: pg_sys::CommandId,
    snapshot: pg_sys::Snapshot,
    crosscheck: pg_sys::Snapshot,
    wait: bool,
    failure: *mut pg_sys::TM_FailureData,
    changing_part: bool,
) -> pg_sys::TM_Result::Type {
    // SAFETY: as Postgres calls it.
    unsafe {
        refuse_batch_row(rel, tid);
        heap_call!(tuple_delete(rel, tid, cid, snapshot, crosscheck, wait, failure, changing_part))
    }
}

#[pg_guard]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C-unwind" fn tuple_update(
    rel: pg_sys::Relation,
    tid: pg_sys::ItemPointer,
    slot: *mut pg_sys::TupleTableSlot,
    cid: pg_sys::CommandId,
    snapshot: pg_sys::Snapshot,
    crosscheck: pg_sys::Snapshot,
    wait: bool,
    failure: *mut pg_sys::TM_FailureData,
    mode: *mut pg_sys::LockTupleMode::Type,
    update_indexes: *mut UpdatesIndexes,
) -> pg_sys::TM_Result::Type {
    // SAFETY: as Postgres calls it.
    unsafe {
        refuse_batch_row(rel, tid);
        check(rel, slot, false);
        heap_call!(tuple_update(
            rel,
            tid,
            slot,
            cid,
            snapshot,
            crosscheck,
            wait,
            failure,
            mode,
            update_indexes
        ))
    }
}

#[pg_guard]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C-unwind" fn tuple_lock(
    rel: pg_sys::Relation,
    tid: pg_sys::ItemPointer,
    snapshot: pg_sys::Snapshot,
    slot: *mut pg_sys::TupleTableSlot,
    cid: pg_sys::CommandId,
    mode: pg_sys::LockTupleMode::Type,
    wait: pg_sys::LockWaitPolicy::Type,
    flags: u8,
    failure: *mut pg_sys::TM_FailureData,
) -> pg_sys::TM_Result::Type {
    // SAFETY: as Postgres calls it.
    unsafe {
        refuse_batch_row(rel, tid);
        heap_call!(tuple_lock(rel, tid, snapshot, slot, cid, mode, wait, flags, failure))
    }
}
