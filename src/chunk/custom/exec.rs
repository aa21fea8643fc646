//! Runs the scan: opens a plain one, narrows it to what the plan wants, and hands its rows on.

use super::NAME;
use super::ranges::{self, Condition};
use crate::chunk::scan;
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
    conditions: Vec<Condition>,
    /// The conditions have been given values since the scan began anew.
    is_narrowed: bool,
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
        let mut conditions = ranges::all((*plan).qual, rti);
        conditions.iter_mut().for_each(|condition| condition.begin(&raw mut (*node).ss.ps));
        let ours = Ours { wanted, conditions, is_narrowed: false };
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
            let ranges = ours.conditions.iter();
            let ranges = ranges.map(|c| (c.attnum, c.wanted(&raw mut (*node).ps))).collect();
            scan::narrow((*state).scan, &ours.wanted, ranges);
            ours.is_narrowed = true;
        }
        let slot = (*node).ss_ScanTupleSlot;
        scan::next_values((*state).scan, (*state).slot, &ours.wanted, slot);
        slot
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
        (*(*state).ours).is_narrowed = false;
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
        let counts = scan::counts((*state).scan);
        for (label, count) in [(c"Batches Read", counts.read), (c"Batches Skipped", counts.skipped)]
        {
            pg_sys::ExplainPropertyInteger(label.as_ptr(), ptr::null(), count, to);
        }
    }
}
