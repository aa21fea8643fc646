//! Plain scans: first the rows of the heap, then those of the batches.
//!
//! The scan itself is heap's. What it needs for the batches lies beside it, by its address, and goes when
//! its memory does, be it by an error. It is opened when the scan begins, so that the companion is locked from then on.

use super::reader::Counts;
pub use super::reader::Reader;
use super::rows::Rows;
use super::{link, raise, refuse};
use crate::error::Error;
use pgrx::{pg_guard, pg_sys};
use std::cell::RefCell;
use std::collections::HashMap;

/// A bit of `rs_flags` that heap doesn't use: there are batches to be read after the heap.
pub const HAS_BATCHES: u32 = 1 << 30;

thread_local! {
    static SCANS: RefCell<HashMap<usize, Scan>> = RefCell::default();
}

/// What a scan of a chunk with batches is at.
struct Scan {
    rows: Rows,
    heap_is_done: bool,
}

/// Called once heap has begun a scan: opens the batches where there are any and the kind of scan returns
/// rows in any order. Others are refused.
///
/// # Safety
/// The scan was begun by heap, with these flags, in the current memory context.
pub unsafe fn begun(scan: pg_sys::TableScanDesc, snapshot: pg_sys::Snapshot, flags: u32) {
    SCANS.with_borrow_mut(|scans| scans.remove(&(scan as usize)));
    // SAFETY: the scan is heap's, of a relation that is open and locked.
    unsafe {
        let rel = (*scan).rs_rd;
        let Some(now) = link::now(rel) else { return };
        let is_mvcc =
            !snapshot.is_null() && (*snapshot).snapshot_type == pg_sys::SnapshotType::SNAPSHOT_MVCC;
        if !is_mvcc {
            // Index builds read the heap part by heap's own functions, ANALYZE by others; a plain scan stops at the first row.
            if now.batches.is_some() {
                (*scan).rs_flags |= HAS_BATCHES;
            }
            return;
        }
        let Ok(link) = link::seen_by(rel, snapshot) else {
            raise(
                Error::new(
                    pgrx::PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE,
                    format!(
                        "{} was compressed or decompressed after this transaction's snapshot was taken",
                        super::name(rel)
                    ),
                )
                .hint("Run the transaction again."),
            )
        };
        let Some(batches) = link.and_then(|link| link.batches) else { return };
        use pg_sys::ScanOptions::*;
        for (kind, what) in [
            (SO_TYPE_BITMAPSCAN, "no index holds them, so that it can't be read by one"),
            (SO_TYPE_SAMPLESCAN, "TABLESAMPLE would leave them out"),
            (SO_TYPE_TIDSCAN, "they have no ctid, so that it can't be read by that"),
            (SO_TYPE_TIDRANGESCAN, "they have no ctid, so that it can't be read by that"),
        ] {
            if flags & kind != 0 {
                refuse(rel, what);
            }
        }
        (*scan).rs_flags |= HAS_BATCHES;
        if !(*scan).rs_parallel.is_null() || flags & SO_TYPE_ANALYZE != 0 {
            return;
        }
        let rows = Rows::open(batches, snapshot);
        forget_with_memory(scan);
        SCANS.with_borrow_mut(|scans| {
            scans.insert(scan as usize, Scan { rows, heap_is_done: false });
        });
    }
}

/// The next row of a scan that [`HAS_BATCHES`].
///
/// # Safety
/// As the executor calls it; `next` is heap's own.
pub unsafe fn next(
    scan: pg_sys::TableScanDesc,
    direction: pg_sys::ScanDirection::Type,
    slot: *mut pg_sys::TupleTableSlot,
    next_of_heap: impl FnOnce() -> bool,
) -> bool {
    // SAFETY: as the caller says. The scan's state is taken out while it is used, so that nothing is
    // borrowed where Postgres may raise an error; then it is lost with the scan.
    unsafe {
        let rel = (*scan).rs_rd;
        let Some(mut state) = SCANS.with_borrow_mut(|scans| scans.remove(&(scan as usize))) else {
            refuse(rel, "this kind of scan would leave them out")
        };
        if direction != pg_sys::ScanDirection::ForwardScanDirection {
            refuse(
                rel,
                "a cursor can't read them backward (DECLARE … SCROLL over a sorted query can)",
            );
        }
        let found = if !state.heap_is_done && next_of_heap() {
            true
        } else {
            state.heap_is_done = true;
            let tuple = state.rows.next((*slot).tts_tupleDescriptor);
            if tuple.is_null() {
                pg_sys::ExecClearTuple(slot);
                false
            } else {
                (*tuple).t_tableOid = (*rel).rd_id;
                pg_sys::ExecForceStoreHeapTuple(tuple, slot, false);
                (*slot).tts_tid = (*tuple).t_self;
                (*slot).tts_tableOid = (*rel).rd_id;
                true
            }
        };
        SCANS.with_borrow_mut(|scans| scans.insert(scan as usize, state));
        found
    }
}

/// Hands the batches of a scan to a function; `None` where it has none.
///
/// # Safety
/// The scan was begun.
pub unsafe fn with_batches<T>(
    scan: pg_sys::TableScanDesc,
    take: impl FnOnce(&mut Reader) -> T,
) -> Option<T> {
    // As in `next`: taken out while it is used.
    let mut state = SCANS.with_borrow_mut(|scans| scans.remove(&(scan as usize)));
    // SAFETY: as the caller says.
    unsafe {
        if state.is_none() && (*scan).rs_flags & HAS_BATCHES != 0 {
            refuse((*scan).rs_rd, "this kind of scan would leave them out");
        }
    }
    let found = state.as_mut().map(|state| take(&mut state.rows.reader));
    if let Some(state) = state {
        SCANS.with_borrow_mut(|scans| scans.insert(scan as usize, state));
    }
    found
}

/// What has been read so far; nothing where there are no batches.
pub fn counts(scan: pg_sys::TableScanDesc) -> Counts {
    SCANS.with_borrow(|scans| {
        scans.get(&(scan as usize)).map_or_else(Counts::default, |state| state.rows.reader.counts)
    })
}

/// # Safety
/// Heap rescans it as well.
pub unsafe fn rescan(scan: pg_sys::TableScanDesc) {
    if let Some(mut state) = SCANS.with_borrow_mut(|scans| scans.remove(&(scan as usize))) {
        state.heap_is_done = false;
        // SAFETY: the scan goes on.
        unsafe { state.rows.rewind() };
        SCANS.with_borrow_mut(|scans| scans.insert(scan as usize, state));
    }
}

/// # Safety
/// Heap ends it as well.
pub unsafe fn ended(scan: pg_sys::TableScanDesc) {
    if let Some(state) = SCANS.with_borrow_mut(|scans| scans.remove(&(scan as usize))) {
        // SAFETY: the transaction that began it.
        unsafe { state.rows.close() };
    }
}

/// Has the state of a scan that ends by an error forgotten when its memory goes.
unsafe fn forget_with_memory(scan: pg_sys::TableScanDesc) {
    #[pg_guard]
    unsafe extern "C-unwind" fn forget(scan: *mut std::ffi::c_void) {
        // What it refers to goes with the transaction; here only what Rust has allocated.
        SCANS.with_borrow_mut(|scans| scans.remove(&(scan as usize)));
    }
    // SAFETY: the callback lies in the context whose reset calls it, which is the scan's own.
    unsafe {
        let callback = pg_sys::palloc0(size_of::<pg_sys::MemoryContextCallback>())
            .cast::<pg_sys::MemoryContextCallback>();
        (*callback).func = Some(forget);
        (*callback).arg = scan.cast();
        pg_sys::MemoryContextRegisterResetCallback(pg_sys::CurrentMemoryContext, callback);
    }
}
