//! Runs the scan: opens a plain one, narrows it to what the plan wants, and hands its rows on.

use super::NAME;
use super::cells::Cells;
use crate::chunk::block::Block;
use crate::chunk::routine::heap_call;
use crate::chunk::scan;
use crate::chunk::select::Telling;
use pgrx::{PgMemoryContexts, pg_guard, pg_sys};
use std::ptr;

pub struct ScanMethods(pub pg_sys::CustomScanMethods);
// SAFETY: a constant: addresses of a name and of a function.
unsafe impl Sync for ScanMethods {}

pub static SCAN: ScanMethods = ScanMethods(pg_sys::CustomScanMethods {
    CustomName: NAME.as_ptr(),
    CreateCustomScanState: Some(create),
});

struct ExecMethods(pg_sys::CustomExecMethods);
// SAFETY: as above.
unsafe impl Sync for ExecMethods {}

static EXEC: ExecMethods = ExecMethods(pg_sys::CustomExecMethods {
    CustomName: NAME.as_ptr(),
    BeginCustomScan: Some(begin),
    ExecCustomScan: Some(exec),
    EndCustomScan: Some(end),
    ReScanCustomScan: Some(rescan),
    MarkPosCustomScan: None,
    RestrPosCustomScan: None,
    EstimateDSMCustomScan: None,
    InitializeDSMCustomScan: None,
    ReInitializeDSMCustomScan: None,
    InitializeWorkerCustomScan: None,
    ShutdownCustomScan: None,
    ExplainCustomScan: Some(explain),
});

/// Postgres' state of the node, with ours behind it.
#[repr(C)]
struct State {
    base: pg_sys::CustomScanState,
    /// The plain scan; null before the first row is asked for.
    scan: pg_sys::TableScanDesc,
    /// Where rows of the heap come to.
    slot: *mut pg_sys::TupleTableSlot,
    ours: *mut Ours,
}

struct Ours {
    /// Of the columns that the plan reads, in order.
    wanted: Vec<i16>,
    telling: Telling,
    /// The conditions have been given values since the scan began anew.
    is_narrowed: bool,
    heap_is_done: bool,
    /// Of the present batch.
    cells: Cells,
}

#[pg_guard]
unsafe extern "C-unwind" fn create(_scan: *mut pg_sys::CustomScan) -> *mut pg_sys::Node {
    // SAFETY: zeroed, which is an empty node of its type; Postgres frees it with the query's memory.
    unsafe {
        let state = pg_sys::palloc0(size_of::<State>()).cast::<State>();
        (*state).base.ss.ps.type_ = pg_sys::NodeTag::T_CustomScanState;
        (*state).base.methods = &raw const EXEC.0;
        state.cast()
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn begin(
    node: *mut pg_sys::CustomScanState,
    _estate: *mut pg_sys::EState,
    _flags: std::ffi::c_int,
) {
    // SAFETY: the executor's own node, made by `create`, of a plan made by us.
    unsafe {
        let state = node.cast::<State>();
        let plan = (*node).ss.ps.plan;
        let rti = (*plan.cast::<pg_sys::CustomScan>()).scan.scanrelid;
        let mut attnums: *mut pg_sys::Bitmapset = ptr::null_mut();
        pg_sys::pull_varattnos((*plan).targetlist.cast(), rti, &raw mut attnums);
        pg_sys::pull_varattnos((*plan).qual.cast(), rti, &raw mut attnums);
        let wanted = members(attnums).into_iter().filter(|attnum| *attnum > 0).collect();
        let (telling, _) = Telling::begin((*plan).qual, rti, &raw mut (*node).ss.ps);
        let cells = Cells::default();
        let ours = Ours { wanted, telling, is_narrowed: false, heap_is_done: false, cells };
        (*state).ours = PgMemoryContexts::CurrentMemoryContext.leak_and_drop_on_delete(ours);
    }
}

/// The numbers of columns in a set that `pull_varattnos` made.
///
/// # Safety
/// It is one.
pub unsafe fn members(attnums: *mut pg_sys::Bitmapset) -> Vec<i16> {
    let mut found = vec![];
    let mut member = -1;
    loop {
        // SAFETY: as the caller says.
        member = unsafe { pg_sys::bms_next_member(attnums, member) };
        if member < 0 {
            return found;
        }
        let attnum = member + pg_sys::FirstLowInvalidHeapAttributeNumber;
        found.push(i16::try_from(attnum).unwrap_or(0));
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn exec(
    node: *mut pg_sys::CustomScanState,
) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: the executor's own node.
    unsafe { pg_sys::ExecScan(&raw mut (*node).ss, Some(next), Some(recheck)) }
}

/// Rows of the scan need no second look: it has no conditions of its own.
#[pg_guard]
unsafe extern "C-unwind" fn recheck(
    _node: *mut pg_sys::ScanState,
    _slot: *mut pg_sys::TupleTableSlot,
) -> bool {
    true
}

#[pg_guard]
unsafe extern "C-unwind" fn next(node: *mut pg_sys::ScanState) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: the executor's own node, whose relation is open; its slot is a virtual one of the
    // relation's columns.
    unsafe {
        let state = node.cast::<State>();
        let ours = &mut *(*state).ours;
        if (*state).scan.is_null() {
            let rel = (*node).ss_currentRelation;
            let query = (*node).ps.state;
            // The scan lasts as long as the query, whoever asks for its first row.
            let before = pg_sys::MemoryContextSwitchTo((*query).es_query_cxt);
            (*state).slot = pg_sys::table_slot_create(rel, ptr::null_mut());
            (*state).scan = pg_sys::table_beginscan(rel, (*query).es_snapshot, 0, ptr::null_mut());
            pg_sys::MemoryContextSwitchTo(before);
        }
        if !ours.is_narrowed {
            let ranges = ours.telling.refresh(&raw mut (*node).ps);
            scan::with_batches((*state).scan, |reader| reader.ranges = ranges);
            ours.is_narrowed = true;
        }
        let slot = (*node).ss_ScanTupleSlot;
        clear(slot);
        if ours.fill((*state).scan, (*state).slot, slot) {
            // As `ExecStoreVirtualTuple` does.
            (*slot).tts_flags &= !(pg_sys::TTS_FLAG_EMPTY as u16);
            (*slot).tts_nvalid = (*(*slot).tts_tupleDescriptor).natts as i16;
            (*slot).tts_tableOid = (*(*node).ss_currentRelation).rd_id;
        }
        slot
    }
}

/// Empties a virtual slot. Calls Postgres only where there is memory to be freed: for every row, calls take as long as all else.
unsafe fn clear(slot: *mut pg_sys::TupleTableSlot) {
    // SAFETY: a slot; what is set is what Postgres sets.
    unsafe {
        if u32::from((*slot).tts_flags) & pg_sys::TTS_FLAG_SHOULDFREE != 0 {
            pg_sys::ExecClearTuple(slot);
        } else {
            (*slot).tts_flags |= pg_sys::TTS_FLAG_EMPTY as u16;
            (*slot).tts_nvalid = 0;
        }
    }
}

impl Ours {
    /// Puts the next row into a virtual slot; false at the end. Values last until the next call.
    unsafe fn fill(
        &mut self,
        scan: pg_sys::TableScanDesc,
        from_heap: *mut pg_sys::TupleTableSlot,
        slot: *mut pg_sys::TupleTableSlot,
    ) -> bool {
        // SAFETY: the scan was begun; the slots are of its relation's columns.
        unsafe {
            if !self.heap_is_done {
                let forward = pg_sys::ScanDirection::ForwardScanDirection;
                if heap_call!(scan_getnextslot(scan, forward, from_heap)) {
                    copy(from_heap, &self.wanted, slot);
                    return true;
                }
                self.heap_is_done = true;
                // Columns that nobody wants aren't set any more.
                all_null(slot);
            }
            while !self.cells.next(slot) {
                let columns_of = (*slot).tts_tupleDescriptor;
                let next = scan::with_batches(scan, |reader| {
                    reader.advance().then(|| {
                        let mut block = Block::of_batch(reader, columns_of);
                        self.telling.apply(&mut block);
                        if block.rows() == 0 {
                            Cells::default()
                        } else {
                            Cells::new(&mut block, &self.wanted, columns_of)
                        }
                    })
                });
                let Some(cells) = next.flatten() else { return false };
                self.cells = cells;
            }
            true
        }
    }
}

unsafe fn all_null(slot: *mut pg_sys::TupleTableSlot) {
    // SAFETY: a virtual slot has room for all of its columns.
    unsafe {
        let count = (*(*slot).tts_tupleDescriptor).natts.unsigned_abs() as usize;
        std::slice::from_raw_parts_mut((*slot).tts_isnull, count).fill(true);
    }
}

/// The wanted columns of a row of the heap, whose page stays pinned until the next.
unsafe fn copy(from: *mut pg_sys::TupleTableSlot, wanted: &[i16], to: *mut pg_sys::TupleTableSlot) {
    // SAFETY: slots of the same columns, the second a virtual one.
    unsafe {
        all_null(to);
        if let Some(last) = wanted.last() {
            pg_sys::slot_getsomeattrs_int(from, i32::from(*last));
        }
        for attnum in wanted {
            let at = usize::from(attnum.unsigned_abs()) - 1;
            *(*to).tts_values.add(at) = *(*from).tts_values.add(at);
            *(*to).tts_isnull.add(at) = *(*from).tts_isnull.add(at);
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn rescan(node: *mut pg_sys::CustomScanState) {
    // SAFETY: the executor's own node.
    unsafe {
        let state = node.cast::<State>();
        if !(*state).scan.is_null() {
            pg_sys::ExecClearTuple((*node).ss.ss_ScanTupleSlot);
            pg_sys::table_rescan((*state).scan, ptr::null_mut());
        }
        let ours = &mut *(*state).ours;
        (ours.is_narrowed, ours.heap_is_done) = (false, false);
        ours.cells = Cells::default();
        pg_sys::ExecScanReScan(&raw mut (*node).ss);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn end(node: *mut pg_sys::CustomScanState) {
    // SAFETY: the executor's own node, once.
    unsafe {
        let state = node.cast::<State>();
        if !(*state).scan.is_null() {
            pg_sys::ExecClearTuple((*node).ss.ss_ScanTupleSlot);
            pg_sys::ExecDropSingleTupleTableSlot((*state).slot);
            pg_sys::table_endscan((*state).scan);
            (*state).scan = ptr::null_mut();
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn explain(
    node: *mut pg_sys::CustomScanState,
    _ancestors: *mut pg_sys::List,
    to: *mut pg_sys::ExplainState,
) {
    // SAFETY: the executor's own node; labels are constants.
    unsafe {
        let state = node.cast::<State>();
        if !(*to).analyze || (*state).scan.is_null() {
            return;
        }
        explain_counts((*state).scan, to);
    }
}

/// Shows how many batches a scan has read, and how many it has left out.
///
/// # Safety
/// The scan was begun.
pub unsafe fn explain_counts(scan: pg_sys::TableScanDesc, to: *mut pg_sys::ExplainState) {
    let counts = scan::counts(scan);
    for (label, count) in [(c"Batches Read", counts.read), (c"Batches Skipped", counts.skipped)] {
        // SAFETY: labels are constants.
        unsafe { pg_sys::ExplainPropertyInteger(label.as_ptr(), ptr::null(), count, to) }
    }
}
