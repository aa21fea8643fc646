//! The access method's routine: a copy of heap's with the callbacks replaced that must know of batches.
//!
//! A routine of Postgres is called through [`heap_call`], so that its errors unwind through Rust.

use super::address::Address;
use super::{link, refuse, scan, thaw, writes};
use crate::compat::FileLocator;
use pgrx::datum::Internal;
use pgrx::prelude::*;
use std::ffi::c_int;
use std::sync::OnceLock;

/// Calls a callback of heap's routine.
macro_rules! heap_call {
    ($name:ident($($arg:expr),* $(,)?)) => {{
        let callback = (*$crate::chunk::routine::heap()).$name.expect("heap has every callback");
        pgrx::pg_sys::ffi::pg_guard_ffi_boundary(|| callback($($arg),*))
    }};
}
pub(super) use heap_call;

/// Heap's own routine, which lasts as long as the process.
pub fn heap() -> *const pg_sys::TableAmRoutine {
    // SAFETY: returns the address of a constant.
    unsafe { pg_sys::GetHeapamTableAmRoutine() }
}

struct Routine(pg_sys::TableAmRoutine);
// SAFETY: made once, never changed, and holds nothing but addresses of functions.
unsafe impl Sync for Routine {}
// SAFETY: as above.
unsafe impl Send for Routine {}

static ROUTINE: OnceLock<Routine> = OnceLock::new();

fn routine() -> *const pg_sys::TableAmRoutine {
    let made = ROUTINE.get_or_init(|| {
        // SAFETY: a copy of a constant struct.
        let mut routine = unsafe { std::ptr::read(heap()) };
        routine.scan_begin = Some(scan_begin);
        routine.scan_end = Some(scan_end);
        routine.scan_rescan = Some(scan_rescan);
        routine.scan_getnextslot = Some(scan_getnextslot);
        routine.scan_analyze_next_tuple = Some(scan_analyze_next_tuple);
        routine.index_fetch_begin = Some(index_fetch_begin);
        routine.tuple_fetch_row_version = Some(tuple_fetch_row_version);
        routine.tuple_satisfies_snapshot = Some(tuple_satisfies_snapshot);
        routine.tuple_insert = Some(writes::tuple_insert);
        routine.tuple_insert_speculative = Some(writes::tuple_insert_speculative);
        routine.multi_insert = Some(writes::multi_insert);
        routine.tuple_delete = Some(writes::tuple_delete);
        routine.tuple_update = Some(writes::tuple_update);
        routine.tuple_lock = Some(writes::tuple_lock);
        routine.relation_nontransactional_truncate = Some(relation_nontransactional_truncate);
        routine.relation_copy_data = Some(relation_copy_data);
        routine.relation_copy_for_cluster = Some(relation_copy_for_cluster);
        routine.index_build_range_scan = Some(index_build_range_scan);
        routine.index_validate_scan = Some(index_validate_scan);
        routine.relation_toast_am = Some(relation_toast_am);
        routine.relation_estimate_size = Some(relation_estimate_size);
        Routine(routine)
    });
    &raw const made.0
}

/// Whether the relation is of this access method.
///
/// # Safety
/// The relation is open.
pub unsafe fn is_ours(rel: pg_sys::Relation) -> bool {
    // SAFETY: as the caller says.
    unsafe { std::ptr::eq((*rel).rd_tableam, routine()) }
}

#[pg_extern(
    schema = "_lake",
    sql = r#"
CREATE FUNCTION _lake.chunk_handler(pg_catalog.internal) RETURNS pg_catalog.table_am_handler
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#
)]
pub fn chunk_handler() -> Internal {
    Internal::from(Some(pg_sys::Datum::from(routine())))
}

/// Whether the table has batches now.
///
/// # Safety
/// The relation is open and locked.
pub unsafe fn has_batches(rel: pg_sys::Relation) -> bool {
    // SAFETY: as the caller says.
    unsafe { link::now(rel).is_some_and(|link| link.batches.is_some()) }
}

#[pg_guard]
unsafe extern "C-unwind" fn scan_begin(
    rel: pg_sys::Relation,
    snapshot: pg_sys::Snapshot,
    nkeys: c_int,
    key: *mut pg_sys::ScanKeyData,
    pscan: pg_sys::ParallelTableScanDesc,
    flags: u32,
) -> pg_sys::TableScanDesc {
    // SAFETY: as Postgres calls it.
    unsafe {
        let scan = heap_call!(scan_begin(rel, snapshot, nkeys, key, pscan, flags));
        scan::begun(scan, snapshot, flags);
        if nkeys > 0 && (*scan).rs_flags & scan::HAS_BATCHES != 0 {
            refuse(rel, "it can't be scanned by keys");
        }
        scan
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn scan_end(scan: pg_sys::TableScanDesc) {
    // SAFETY: as Postgres calls it.
    unsafe {
        scan::ended(scan);
        heap_call!(scan_end(scan));
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn scan_rescan(
    scan: pg_sys::TableScanDesc,
    key: *mut pg_sys::ScanKeyData,
    set_params: bool,
    allow_strat: bool,
    allow_sync: bool,
    allow_pagemode: bool,
) {
    // SAFETY: as Postgres calls it.
    unsafe {
        scan::rescan(scan);
        heap_call!(scan_rescan(scan, key, set_params, allow_strat, allow_sync, allow_pagemode));
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn scan_getnextslot(
    scan: pg_sys::TableScanDesc,
    direction: pg_sys::ScanDirection::Type,
    slot: *mut pg_sys::TupleTableSlot,
) -> bool {
    // SAFETY: as Postgres calls it.
    unsafe {
        if (*scan).rs_flags & scan::HAS_BATCHES == 0 {
            return heap_call!(scan_getnextslot(scan, direction, slot));
        }
        scan::next(scan, direction, slot, || heap_call!(scan_getnextslot(scan, direction, slot)))
    }
}

/// A sample of the rows that came late says nothing of the chunk: the statistics stay as they were made of
/// all rows, before compression.
#[pg_guard]
unsafe extern "C-unwind" fn scan_analyze_next_tuple(
    scan: pg_sys::TableScanDesc,
    oldest: pg_sys::TransactionId,
    live: *mut f64,
    dead: *mut f64,
    slot: *mut pg_sys::TupleTableSlot,
) -> bool {
    // SAFETY: as Postgres calls it; to the end of the block, which lets go of it.
    unsafe {
        while heap_call!(scan_analyze_next_tuple(scan, oldest, live, dead, slot)) {
            if (*scan).rs_flags & scan::HAS_BATCHES == 0 {
                return true;
            }
        }
        false
    }
}

/// No plan goes by an index (see [`super::planner`]); what replicates changes looks rows up by one itself.
#[pg_guard]
unsafe extern "C-unwind" fn index_fetch_begin(
    rel: pg_sys::Relation,
) -> *mut pg_sys::IndexFetchTableData {
    // SAFETY: as Postgres calls it.
    unsafe {
        if pg_sys::IsLogicalWorker() && has_batches(rel) {
            refuse(rel, "changes that are replicated can't be applied to it");
        }
        heap_call!(index_fetch_begin(rel))
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn tuple_fetch_row_version(
    rel: pg_sys::Relation,
    tid: pg_sys::ItemPointer,
    snapshot: pg_sys::Snapshot,
    slot: *mut pg_sys::TupleTableSlot,
) -> bool {
    // SAFETY: as Postgres calls it.
    unsafe {
        match Address::read(*tid) {
            Some(address) => thaw::fetch(rel, address, snapshot, slot),
            None => heap_call!(tuple_fetch_row_version(rel, tid, snapshot, slot)),
        }
    }
}

/// A row of a batch that a scan has returned is seen by its snapshot, and lies in no page of the heap.
#[pg_guard]
unsafe extern "C-unwind" fn tuple_satisfies_snapshot(
    rel: pg_sys::Relation,
    slot: *mut pg_sys::TupleTableSlot,
    snapshot: pg_sys::Snapshot,
) -> bool {
    // SAFETY: as Postgres calls it.
    unsafe {
        if super::is_compressed((*slot).tts_tid) {
            return true;
        }
        heap_call!(tuple_satisfies_snapshot(rel, slot, snapshot))
    }
}

/// TRUNCATE of a table that the same transaction made or rewrote; any other gives it a new file.
#[pg_guard]
unsafe extern "C-unwind" fn relation_nontransactional_truncate(rel: pg_sys::Relation) {
    // SAFETY: as Postgres calls it.
    unsafe {
        if has_batches(rel) {
            refuse(rel, "it can't be truncated by the transaction that compressed it");
        }
        heap_call!(relation_nontransactional_truncate(rel));
    }
}

/// ALTER TABLE … SET TABLESPACE: copies the file alone.
#[pg_guard]
unsafe extern "C-unwind" fn relation_copy_data(rel: pg_sys::Relation, to: *const FileLocator) {
    // SAFETY: as Postgres calls it.
    unsafe {
        if has_batches(rel) {
            refuse(rel, "it can't be moved to another tablespace");
        }
        heap_call!(relation_copy_data(rel, to));
    }
}

/// VACUUM FULL and CLUSTER: copy the heap alone.
#[pg_guard]
#[allow(clippy::too_many_arguments)]
unsafe extern "C-unwind" fn relation_copy_for_cluster(
    old: pg_sys::Relation,
    new: pg_sys::Relation,
    index: pg_sys::Relation,
    use_sort: bool,
    oldest: pg_sys::TransactionId,
    xid_cutoff: *mut pg_sys::TransactionId,
    multi_cutoff: *mut pg_sys::MultiXactId,
    tuples: *mut f64,
    vacuumed: *mut f64,
    recently_dead: *mut f64,
) {
    // SAFETY: as Postgres calls it; both tables are heaps while heap copies.
    unsafe {
        if has_batches(old) {
            refuse(old, "VACUUM FULL and CLUSTER would leave them out");
        }
        let _old = AsHeap::new(old);
        let _new = AsHeap::new(new);
        heap_call!(relation_copy_for_cluster(
            old,
            new,
            index,
            use_sort,
            oldest,
            xid_cutoff,
            multi_cutoff,
            tuples,
            vacuumed,
            recently_dead,
        ));
    }
}

/// An index is over the rows of the heap: no plan uses it while there are batches, and decompression
/// makes it anew. One that is to be unique must hold for all rows.
#[pg_guard]
#[allow(clippy::too_many_arguments)]
unsafe extern "C-unwind" fn index_build_range_scan(
    table: pg_sys::Relation,
    index: pg_sys::Relation,
    info: *mut pg_sys::IndexInfo,
    allow_sync: bool,
    anyvisible: bool,
    progress: bool,
    start: pg_sys::BlockNumber,
    blocks: pg_sys::BlockNumber,
    callback: pg_sys::IndexBuildCallback,
    state: *mut std::ffi::c_void,
    scan: pg_sys::TableScanDesc,
) -> f64 {
    // SAFETY: as Postgres calls it; the table is a heap while heap reads it.
    unsafe {
        let restricts = (*info).ii_Unique || !(*info).ii_ExclusionOps.is_null();
        if restricts && !pg_sys::ReindexIsProcessingIndex((*index).rd_id) && has_batches(table) {
            refuse(table, "an index that is unique or excludes can't be made of it");
        }
        let _table = AsHeap::new(table);
        heap_call!(index_build_range_scan(
            table, index, info, allow_sync, anyvisible, progress, start, blocks, callback, state,
            scan,
        ))
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn index_validate_scan(
    table: pg_sys::Relation,
    index: pg_sys::Relation,
    info: *mut pg_sys::IndexInfo,
    snapshot: pg_sys::Snapshot,
    state: *mut pg_sys::ValidateIndexState,
) {
    // SAFETY: as above.
    unsafe {
        let _table = AsHeap::new(table);
        heap_call!(index_validate_scan(table, index, info, snapshot, state));
    }
}

/// Long values of late rows lie in a table of heap's, which has no batches.
#[pg_guard]
unsafe extern "C-unwind" fn relation_toast_am(_rel: pg_sys::Relation) -> pg_sys::Oid {
    pg_sys::HEAP_TABLE_AM_OID
}

/// What the planner counts: the heap's rows and those of the batches.
#[pg_guard]
unsafe extern "C-unwind" fn relation_estimate_size(
    rel: pg_sys::Relation,
    widths: *mut i32,
    pages: *mut pg_sys::BlockNumber,
    tuples: *mut f64,
    visible: *mut f64,
) {
    // SAFETY: as Postgres calls it.
    unsafe {
        heap_call!(relation_estimate_size(rel, widths, pages, tuples, visible));
        if let Some(link) = link::now(rel)
            && link.batches.is_some()
        {
            // Of a heap without a page the planner thinks it may have ten by now.
            if pg_sys::RelationGetNumberOfBlocksInFork(rel, pg_sys::ForkNumber::MAIN_FORKNUM) == 0 {
                (*pages, *tuples) = (0, 0.0);
            }
            *tuples += link.rows as f64;
        }
    }
}

/// Heap's functions refuse a table that isn't of heap's own routine: while this lives, it is.
struct AsHeap(pg_sys::Relation, *const pg_sys::TableAmRoutine);

impl AsHeap {
    unsafe fn new(rel: pg_sys::Relation) -> Self {
        // SAFETY: the relation is open as long as this lives; errors unwind through its drop.
        unsafe {
            let before = (*rel).rd_tableam;
            (*rel).rd_tableam = heap();
            Self(rel, before)
        }
    }
}

impl Drop for AsHeap {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { (*self.0).rd_tableam = self.1 }
    }
}
