//! Rows that a statement changes or locks: a plain scan, told to leave out batches that can't hold one.
//!
//! The scan must be Postgres' own, so that rows which others have changed meanwhile are looked at again as ever. This node lies above it, opens
//! it, narrows it, and hands on what it returns.

use super::ranges;
use crate::chunk::scan;
use crate::chunk::select::Telling;
use pgrx::{PgList, PgMemoryContexts, pg_guard, pg_sys};
use std::ffi::CStr;
use std::ptr;

/// As it is called in plans.
const NAME: &CStr = c"LakeChunkTarget";

struct Methods<T>(T);
// SAFETY: constants: addresses of a name and of functions.
unsafe impl<T> Sync for Methods<T> {}

static PATH: Methods<pg_sys::CustomPathMethods> = Methods(pg_sys::CustomPathMethods {
    CustomName: NAME.as_ptr(),
    PlanCustomPath: Some(plan),
    ReparameterizeCustomPathByChild: None,
});

static SCAN: Methods<pg_sys::CustomScanMethods> = Methods(pg_sys::CustomScanMethods {
    CustomName: NAME.as_ptr(),
    CreateCustomScanState: Some(create),
});

static EXEC: Methods<pg_sys::CustomExecMethods> = Methods(pg_sys::CustomExecMethods {
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

pub fn install() {
    // SAFETY: registers a constant, once in each process, under a name of its own.
    unsafe { pg_sys::RegisterCustomScanMethods(&raw const SCAN.0) }
}

/// Lays the node above a relation's plain scan, where a condition can tell which batches matter.
///
/// # Safety
/// A relation with batches whose rows the statement changes or locks, once its paths are made.
pub unsafe fn wrap(rel: *mut pg_sys::RelOptInfo) {
    // SAFETY: paths of the relation, which live as long as its planning.
    unsafe {
        let paths = PgList::<pg_sys::Path>::from_pg((*rel).pathlist);
        let plain = paths.iter_ptr().find(|path| (**path).pathtype == pg_sys::NodeTag::T_SeqScan);
        let Some(plain) = plain.filter(|plain| (**plain).param_info.is_null()) else { return };
        if !ranges::any((*rel).baserestrictinfo, (*rel).relid) {
            return;
        }
        let custom = pg_sys::palloc0(size_of::<pg_sys::CustomPath>()).cast::<pg_sys::CustomPath>();
        (*custom).path = *plain;
        (*custom).path.type_ = pg_sys::NodeTag::T_CustomPath;
        (*custom).path.pathtype = pg_sys::NodeTag::T_CustomScan;
        (*custom).path.parallel_safe = false;
        (*custom).flags = pg_sys::CUSTOMPATH_SUPPORT_PROJECTION;
        (*custom).methods = &raw const PATH.0;
        let mut below = PgList::<pg_sys::Path>::new();
        below.push(plain);
        (*custom).custom_paths = below.into_pg();
        let (startup, total) = ((*plain).startup_cost, (*plain).total_cost);
        (*custom).path.total_cost = startup + (total - startup) / 2.0;
        (*rel).pathlist = pg_sys::list_delete_ptr((*rel).pathlist, plain.cast());
        pg_sys::add_path(rel, custom.cast());
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn plan(
    _root: *mut pg_sys::PlannerInfo,
    _rel: *mut pg_sys::RelOptInfo,
    path: *mut pg_sys::CustomPath,
    targets: *mut pg_sys::List,
    _conditions: *mut pg_sys::List,
    plans: *mut pg_sys::List,
) -> *mut pg_sys::Plan {
    // SAFETY: as the planner calls it, with the plain scan's plan, which has the conditions; the node is zeroed, which is
    // an empty one of its type.
    unsafe {
        let below = PgList::<pg_sys::Plan>::from_pg(plans).get_ptr(0).expect("there is one");
        let scan = pg_sys::palloc0(size_of::<pg_sys::CustomScan>()).cast::<pg_sys::CustomScan>();
        (*scan).scan.plan.type_ = pg_sys::NodeTag::T_CustomScan;
        (*scan).scan.plan.targetlist = targets;
        (*scan).custom_scan_tlist = pg_sys::copyObjectImpl((*below).targetlist.cast()).cast();
        (*scan).custom_plans = plans;
        (*scan).flags = (*path).flags;
        (*scan).methods = &raw const SCAN.0;
        scan.cast()
    }
}

/// Postgres' state of the node, with ours behind it.
#[repr(C)]
struct State {
    base: pg_sys::CustomScanState,
    /// The plain scan's.
    below: *mut pg_sys::ScanState,
    /// Null where it isn't a plain scan.
    telling: *mut Telling,
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
    estate: *mut pg_sys::EState,
    flags: std::ffi::c_int,
) {
    // SAFETY: the executor's own node, made by `create`, of a plan made by us.
    unsafe {
        let state = node.cast::<State>();
        let plan = (*node).ss.ps.plan.cast::<pg_sys::CustomScan>();
        let below = PgList::<pg_sys::Plan>::from_pg((*plan).custom_plans);
        let below = below.get_ptr(0).expect("there is one");
        let child = pg_sys::ExecInitNode(below, estate, flags);
        let mut children = PgList::<pg_sys::PlanState>::new();
        children.push(child);
        (*node).custom_ps = children.into_pg();
        (*state).below = child.cast();
        if (*below).type_ == pg_sys::NodeTag::T_SeqScan {
            let rti = (*below.cast::<pg_sys::SeqScan>()).scan.scanrelid;
            let (telling, _) = Telling::begin((*below).qual, rti, &raw mut (*node).ss.ps);
            (*state).telling =
                PgMemoryContexts::CurrentMemoryContext.leak_and_drop_on_delete(telling);
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn exec(
    node: *mut pg_sys::CustomScanState,
) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: the executor's own node.
    unsafe { pg_sys::ExecScan(&raw mut (*node).ss, Some(next), Some(recheck)) }
}

/// The row that is looked at again comes from below as well.
#[pg_guard]
unsafe extern "C-unwind" fn recheck(
    node: *mut pg_sys::ScanState,
    _slot: *mut pg_sys::TupleTableSlot,
) -> bool {
    // SAFETY: the executor's own node.
    unsafe { fetch(node) }
}

#[pg_guard]
unsafe extern "C-unwind" fn next(node: *mut pg_sys::ScanState) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: the executor's own node.
    unsafe {
        let state = node.cast::<State>();
        let query = (*node).ps.state;
        if !(*state).is_narrowed && !(*state).telling.is_null() && (*query).es_epq_active.is_null()
        {
            narrow(node);
            (*state).is_narrowed = true;
        }
        fetch(node);
        (*node).ss_ScanTupleSlot
    }
}

/// Opens the plain scan, as it would itself, and tells it which batches may be left out.
unsafe fn narrow(node: *mut pg_sys::ScanState) {
    // SAFETY: the executor's own node, above a plain scan's.
    unsafe {
        let state = node.cast::<State>();
        let below = (*state).below;
        if (*below).ss_currentScanDesc.is_null() {
            let query = (*node).ps.state;
            let before = pg_sys::MemoryContextSwitchTo((*query).es_query_cxt);
            (*below).ss_currentScanDesc = pg_sys::table_beginscan(
                (*below).ss_currentRelation,
                (*query).es_snapshot,
                0,
                ptr::null_mut(),
            );
            pg_sys::MemoryContextSwitchTo(before);
        }
        let ranges = (*(*state).telling).refresh(&raw mut (*node).ps);
        scan::with_batches((*below).ss_currentScanDesc, |reader| reader.ranges = ranges);
    }
}

/// Copies the next row from below into the node's slot, whether there is one or not.
unsafe fn fetch(node: *mut pg_sys::ScanState) -> bool {
    // SAFETY: the executor's own node; both slots have the same columns.
    unsafe {
        let slot = (*node).ss_ScanTupleSlot;
        pg_sys::ExecClearTuple(slot);
        let found = pg_sys::ExecProcNode((*node.cast::<State>()).below.cast());
        if found.is_null() || u32::from((*found).tts_flags) & pg_sys::TTS_FLAG_EMPTY != 0 {
            return false;
        }
        let count = (*(*slot).tts_tupleDescriptor).natts;
        if i32::from((*found).tts_nvalid) < count {
            pg_sys::slot_getsomeattrs_int(found, count);
        }
        let count = count.unsigned_abs() as usize;
        ptr::copy_nonoverlapping((*found).tts_values, (*slot).tts_values, count);
        ptr::copy_nonoverlapping((*found).tts_isnull, (*slot).tts_isnull, count);
        pg_sys::ExecStoreVirtualTuple(slot);
        true
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn rescan(node: *mut pg_sys::CustomScanState) {
    // SAFETY: the executor's own node.
    unsafe {
        let state = node.cast::<State>();
        (*state).is_narrowed = false;
        let below = (*state).below.cast::<pg_sys::PlanState>();
        if !(*node).ss.ps.chgParam.is_null() {
            pg_sys::UpdateChangedParamSet(below, (*node).ss.ps.chgParam);
        }
        if (*below).chgParam.is_null() {
            pg_sys::ExecReScan(below);
        }
        pg_sys::ExecScanReScan(&raw mut (*node).ss);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn end(node: *mut pg_sys::CustomScanState) {
    // SAFETY: the executor's own node, once.
    unsafe {
        pg_sys::ExecClearTuple((*node).ss.ss_ScanTupleSlot);
        pg_sys::ExecEndNode((*node.cast::<State>()).below.cast());
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn explain(
    node: *mut pg_sys::CustomScanState,
    _ancestors: *mut pg_sys::List,
    to: *mut pg_sys::ExplainState,
) {
    // SAFETY: the executor's own node.
    unsafe {
        let scan = (*(*node.cast::<State>()).below).ss_currentScanDesc;
        if (*to).analyze && !scan.is_null() {
            super::exec::explain_counts(scan, to);
        }
    }
}
