//! What may be written to a chunk that has batches: new rows that can't repeat a key of compressed ones,
//! and whatever is done to rows of the heap. A statement that would change or lock a compressed row, or
//! may repeat its key, is refused.
//!
//! Batches change only under a lock that keeps writers out, so that what is found of them here stays so to the end of the transaction.

use super::companion::{self, Stored};
use super::routine::heap_call;
use super::{link, or_raise, refuse};
use crate::compat::{self, UpdatesIndexes};
use pgrx::{PgList, PgTupleDesc, pg_guard, pg_sys};
use std::cell::RefCell;
use std::ffi::c_int;
use std::ptr;
use std::rc::Rc;

/// Rows of batches have no address.
///
/// # Safety
/// The relation is open.
pub unsafe fn refuse_batch_row(rel: pg_sys::Relation, tid: pg_sys::ItemPointer) {
    // SAFETY: as Postgres calls it, the address is readable.
    unsafe {
        if (*tid).ip_posid == pg_sys::InvalidOffsetNumber as u16 {
            refuse(rel, "this statement would change, lock or merge one of them");
        }
    }
}

/// Refuses a row that may repeat a key of compressed ones.
unsafe fn check(rel: pg_sys::Relation, slot: *mut pg_sys::TupleTableSlot) {
    // SAFETY: the relation is open and locked for writing, the slot holds a row of it.
    unsafe {
        let Some(batches) = link::now(rel).and_then(|link| link.batches) else { return };
        let keys = keys(rel);
        if keys.is_empty() {
            return;
        }
        let ranges = ranges(batches);
        for key in keys {
            if key.is_distinct_by_null(slot) {
                continue;
            }
            // Of each key column that is an integer in the batches, where its value lies there.
            let tests: Vec<(usize, i64)> = key
                .columns
                .iter()
                .filter_map(|attnum| {
                    let at = ranges.stored.iter().position(|stored| stored.attnum == *attnum)?;
                    Some((at, integer(slot, *attnum)?))
                })
                .collect();
            let may_hold = |batch: &Vec<Option<(i64, i64)>>| {
                tests.iter().all(|(at, value)| {
                    batch[*at].is_some_and(|(min, max)| (min..=max).contains(value))
                })
            };
            if ranges.batches.iter().any(may_hold) {
                refuse(rel, "the new row lies among them and may repeat a key");
            }
        }
    }
}

/// What an index lets no two rows share.
struct Key {
    /// Of the plain columns among its keys.
    columns: Vec<i16>,
    nulls_are_distinct: bool,
}

impl Key {
    /// Whether a null among the row's keys makes it unlike any other.
    unsafe fn is_distinct_by_null(&self, slot: *mut pg_sys::TupleTableSlot) -> bool {
        self.nulls_are_distinct
            && self.columns.iter().any(|attnum| {
                // SAFETY: a column of the table.
                unsafe { value(slot, *attnum) }.is_none()
            })
    }
}

/// The keys of the table's unique and excluding indexes.
unsafe fn keys(rel: pg_sys::Relation) -> Vec<Key> {
    // SAFETY: the table is locked for writing, and so are indexes that exist.
    unsafe {
        let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
        let list = PgList::<pg_sys::Oid>::from_pg(pg_sys::RelationGetIndexList(rel));
        let mut keys = vec![];
        for oid in list.iter_oid() {
            let index = pg_sys::index_open(oid, lock);
            let form = (*index).rd_index;
            if (*form).indisunique || (*form).indisexclusion {
                let count = (*form).indnkeyatts.unsigned_abs().into();
                let columns = (*form).indkey.values.as_slice(count);
                keys.push(Key {
                    columns: if (*form).indisunique {
                        columns.iter().copied().filter(|attnum| *attnum > 0).collect()
                    } else {
                        vec![]
                    },
                    nulls_are_distinct: !(*form).indnullsnotdistinct,
                });
            }
            pg_sys::index_close(index, lock);
        }
        keys
    }
}

/// A column's value in a slot.
unsafe fn value(slot: *mut pg_sys::TupleTableSlot, attnum: i16) -> Option<pg_sys::Datum> {
    let mut is_null = false;
    // SAFETY: as the caller says.
    let datum = unsafe { pg_sys::slot_getattr(slot, attnum.into(), &raw mut is_null) };
    (!is_null).then_some(datum)
}

/// The value as the integer that the codec sees.
#[expect(clippy::cast_possible_truncation, reason = "a datum holds no more than its type")]
unsafe fn integer(slot: *mut pg_sys::TupleTableSlot, attnum: i16) -> Option<i64> {
    // SAFETY: a column of the table; passed by value, as only those have a range.
    unsafe {
        let att =
            compat::attribute((*slot).tts_tupleDescriptor, usize::from(attnum.unsigned_abs()) - 1);
        let raw = value(slot, attnum)?.value();
        Some(match att.attlen {
            1 => i64::from(raw as i8),
            2 => i64::from(raw as i16),
            4 => i64::from(raw as i32),
            _ => raw as i64,
        })
    }
}

/// Where the integers of each batch lie; `None` where a batch has none.
struct Ranges {
    companion: pg_sys::Oid,
    stored: Vec<Stored>,
    batches: Vec<Vec<Option<(i64, i64)>>>,
}

thread_local! {
    /// Of the companion that was asked for last: a companion never changes once it is read.
    static LAST: RefCell<Option<Rc<Ranges>>> = const { RefCell::new(None) };
}

unsafe fn ranges(companion: pg_sys::Oid) -> Rc<Ranges> {
    if let Some(last) = LAST.with_borrow(Clone::clone)
        && last.companion == companion
    {
        return last;
    }
    // SAFETY: the companion is there as long as its chunk is locked.
    let read = Rc::new(unsafe { read_ranges(companion) });
    LAST.set(Some(Rc::clone(&read)));
    read
}

unsafe fn read_ranges(companion: pg_sys::Oid) -> Ranges {
    // SAFETY: opened with a lock; everything that is opened is closed, or goes with an error.
    unsafe {
        let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
        let rel = pg_sys::table_open(companion, lock);
        let columns = PgTupleDesc::from_pg_is_copy(pg_sys::CreateTupleDescCopy((*rel).rd_att));
        let mut stored = or_raise(companion::stored(&columns));
        stored.retain(|stored| stored.range.is_some());
        let snapshot = pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot());
        let slot = pg_sys::table_slot_create(rel, ptr::null_mut());
        let flags = pg_sys::ScanOptions::SO_TYPE_SEQSCAN | pg_sys::ScanOptions::SO_ALLOW_PAGEMODE;
        let scan =
            heap_call!(scan_begin(rel, snapshot, 0, ptr::null_mut(), ptr::null_mut(), flags));
        let mut batches = vec![];
        let forward = pg_sys::ScanDirection::ForwardScanDirection;
        while heap_call!(scan_getnextslot(scan, forward, slot)) {
            pgrx::check_for_interrupts!();
            let range = |stored: &Stored| {
                let (min, max) = stored.range?;
                let (min, max) = (value(slot, min)?, value(slot, max)?);
                Some((min.value() as i64, max.value() as i64))
            };
            batches.push(stored.iter().map(range).collect());
        }
        heap_call!(scan_end(scan));
        pg_sys::ExecDropSingleTupleTableSlot(slot);
        pg_sys::UnregisterSnapshot(snapshot);
        pg_sys::table_close(rel, pg_sys::NoLock as pg_sys::LOCKMODE);
        Ranges { companion, stored, batches }
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
        check(rel, slot);
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
        check(rel, slot);
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
            check(rel, *slots.add(at));
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
        check(rel, slot);
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
