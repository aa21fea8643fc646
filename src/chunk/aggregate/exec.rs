//! The node in the executor: what Postgres calls.

use super::NAME;
use super::work::Work;
use pgrx::{PgMemoryContexts, pg_guard, pg_sys};
use std::ptr;

pub struct ScanMethods(pub pg_sys::CustomScanMethods);
// SAFETY: a constant: addresses of a name and of functions.
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
struct Node {
    base: pg_sys::CustomScanState,
    work: *mut Work,
}

#[pg_guard]
unsafe extern "C-unwind" fn create(_scan: *mut pg_sys::CustomScan) -> *mut pg_sys::Node {
    // SAFETY: zeroed, which is an empty node of its type; Postgres frees it with the query's memory.
    unsafe {
        let node = pg_sys::palloc0(size_of::<Node>()).cast::<Node>();
        (*node).base.ss.ps.type_ = pg_sys::NodeTag::T_CustomScanState;
        (*node).base.methods = &raw const EXEC.0;
        node.cast()
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn begin(
    state: *mut pg_sys::CustomScanState,
    _estate: *mut pg_sys::EState,
    _flags: std::ffi::c_int,
) {
    // SAFETY: the executor's own node, made by `create`, of a plan made by us.
    unsafe {
        let rel = (*state).ss.ss_currentRelation;
        let work = Work::begin(&raw mut (*state).ss.ps, rel);
        (*state.cast::<Node>()).work =
            PgMemoryContexts::CurrentMemoryContext.leak_and_drop_on_delete(work);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn exec(
    state: *mut pg_sys::CustomScanState,
) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: the executor's own node.
    unsafe { pg_sys::ExecScan(&raw mut (*state).ss, Some(next), Some(recheck)) }
}

/// Groups need no second look: conditions were about rows.
#[pg_guard]
unsafe extern "C-unwind" fn recheck(
    _state: *mut pg_sys::ScanState,
    _slot: *mut pg_sys::TupleTableSlot,
) -> bool {
    true
}

#[pg_guard]
unsafe extern "C-unwind" fn next(state: *mut pg_sys::ScanState) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: the executor's own node, whose relation is open; its slot is a virtual one of the outputs.
    unsafe {
        let work = &mut *(*state.cast::<Node>()).work;
        let slot = (*state).ss_ScanTupleSlot;
        pg_sys::ExecClearTuple(slot);
        if !work.next(state, slot) {
            return slot;
        }
        pg_sys::ExecStoreVirtualTuple(slot)
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn rescan(state: *mut pg_sys::CustomScanState) {
    // SAFETY: the executor's own node.
    unsafe {
        let work = &mut *(*state.cast::<Node>()).work;
        pg_sys::ExecClearTuple((*state).ss.ss_ScanTupleSlot);
        work.restart(&raw mut (*state).ss.ps);
        pg_sys::ExecScanReScan(&raw mut (*state).ss);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn end(state: *mut pg_sys::CustomScanState) {
    // SAFETY: the executor's own node, once.
    unsafe {
        let work = &mut *(*state.cast::<Node>()).work;
        pg_sys::ExecClearTuple((*state).ss.ss_ScanTupleSlot);
        work.end();
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn explain(
    state: *mut pg_sys::CustomScanState,
    _ancestors: *mut pg_sys::List,
    to: *mut pg_sys::ExplainState,
) {
    // SAFETY: the executor's own node; labels are constants.
    unsafe {
        let work = &*(*state.cast::<Node>()).work;
        if !work.conditions.is_null() {
            let rel = (*state).ss.ss_currentRelation;
            let name = (*(*rel).rd_rel).relname.data.as_ptr();
            let context = pg_sys::deparse_context_for(name, (*rel).rd_id);
            let all = pg_sys::make_ands_explicit(work.conditions);
            let text = pg_sys::deparse_expression(all.cast(), context, false, false);
            pg_sys::ExplainPropertyText(c"Filter".as_ptr(), text, to);
        }
        let Some(counts) = work.counts().filter(|_| (*to).analyze) else { return };
        for (label, count) in [
            (c"Batches Read", counts.read - work.from_statistics),
            (c"Batches Skipped", counts.skipped),
            (c"Batches Answered by Statistics", work.from_statistics),
        ] {
            pg_sys::ExplainPropertyInteger(label.as_ptr(), ptr::null(), count, to);
        }
    }
}
