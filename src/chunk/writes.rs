//! Writing to a chunk that has batches: a new row is compared with the keys of compressed ones, a compressed
//! row that is changed or locked is thawed first.

use super::address::Address;
use super::keys::check;
use super::routine::heap_call;
use super::thaw;
use crate::compat::UpdatesIndexes;
use pgrx::{pg_guard, pg_sys};
use std::ffi::c_int;

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
        let mut place = match thaw::place(rel, *tid, cid, policy(wait)) {
            Ok(place) => place,
            Err(outcome) => return outcome,
        };
        let (at, command) = (&raw mut place.tid, place.command);
        let outcome = heap_call!(tuple_delete(
            rel,
            at,
            command,
            snapshot,
            crosscheck,
            wait,
            failure,
            changing_part
        ));
        place.tell(outcome, failure)
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
        let mut place = match thaw::place(rel, *tid, cid, policy(wait)) {
            Ok(place) => place,
            Err(outcome) => return outcome,
        };
        check(rel, slot, false);
        let (at, command) = (&raw mut place.tid, place.command);
        let outcome = heap_call!(tuple_update(
            rel,
            at,
            slot,
            command,
            snapshot,
            crosscheck,
            wait,
            failure,
            mode,
            update_indexes
        ));
        place.tell(outcome, failure)
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
        let mut place = match thaw::place(rel, *tid, cid, wait) {
            Ok(place) => place,
            Err(outcome) => return outcome,
        };
        let moved = Address::read(*tid).is_some();
        let at = if moved { &raw mut place.tid } else { tid };
        let command = place.command;
        let outcome =
            heap_call!(tuple_lock(rel, at, snapshot, slot, command, mode, wait, flags, failure));
        place.tell(outcome, failure)
    }
}

const fn policy(wait: bool) -> pg_sys::LockWaitPolicy::Type {
    if wait { pg_sys::LockWaitPolicy::LockWaitBlock } else { pg_sys::LockWaitPolicy::LockWaitSkip }
}
