//! Offers the scan to the planner, in the place of the plain scan of a chunk with batches.

use super::{NAME, exec, ranges, target};
use crate::chunk::{link, routine};
use pgrx::{PgList, pg_guard, pg_sys};
use std::ptr;

static mut PREVIOUS: pg_sys::set_rel_pathlist_hook_type = None;

struct Methods(pg_sys::CustomPathMethods);
// SAFETY: a constant: addresses of a name and of functions.
unsafe impl Sync for Methods {}

static PATH: Methods = Methods(pg_sys::CustomPathMethods {
    CustomName: NAME.as_ptr(),
    PlanCustomPath: Some(plan),
    ReparameterizeCustomPathByChild: None,
});

pub fn install() {
    // SAFETY: one thread, before any query of this session is planned by us.
    unsafe {
        PREVIOUS = pg_sys::set_rel_pathlist_hook;
        pg_sys::set_rel_pathlist_hook = Some(on_paths);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_paths(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    rti: pg_sys::Index,
    rte: *mut pg_sys::RangeTblEntry,
) {
    // SAFETY: as the planner calls it, with a relation that it has locked.
    unsafe {
        if let Some(previous) = PREVIOUS {
            pg_sys::ffi::pg_guard_ffi_boundary(|| previous(root, rel, rti, rte));
        }
        if (*rte).rtekind == pg_sys::RTEKind::RTE_RELATION
            && (*rte).relkind == pg_sys::RELKIND_RELATION as std::ffi::c_char
            && (*rte).tablesample.is_null()
            && has_batches((*rte).relid)
        {
            if is_written_or_locked(root, rti) {
                target::wrap(rel);
            } else if reads_columns_alone(rel, rti)
                && let Some(custom) = replace(rel)
            {
                sort(root, rel, custom);
            }
        }
    }
}

unsafe fn has_batches(table: pg_sys::Oid) -> bool {
    // SAFETY: the planner has it locked.
    unsafe {
        let rel = pg_sys::relation_open(table, pg_sys::NoLock as pg_sys::LOCKMODE);
        let found =
            routine::is_ours(rel) && link::now(rel).is_some_and(|link| link.batches.is_some());
        pg_sys::relation_close(rel, pg_sys::NoLock as pg_sys::LOCKMODE);
        found
    }
}

/// Whether a relation is read by our scan.
///
/// # Safety
/// As the planner has it, once its paths are made.
pub unsafe fn has_our_scan(rel: *mut pg_sys::RelOptInfo) -> bool {
    // SAFETY: as the caller says; other paths of that kind have other methods.
    unsafe {
        PgList::<pg_sys::Path>::from_pg((*rel).pathlist).iter_ptr().any(|path| {
            let mut path = path;
            // What computes the columns that are wanted may lie above it.
            if (*path).type_ == pg_sys::NodeTag::T_ProjectionPath {
                path = (*path.cast::<pg_sys::ProjectionPath>()).subpath;
            }
            (*path).type_ == pg_sys::NodeTag::T_CustomPath
                && ptr::eq((*path.cast::<pg_sys::CustomPath>()).methods, &raw const PATH.0)
        })
    }
}

/// Whether the statement changes or locks rows of the relation, or may have to find them again.
unsafe fn is_written_or_locked(root: *mut pg_sys::PlannerInfo, rti: pg_sys::Index) -> bool {
    // SAFETY: as the planner made them.
    unsafe {
        let number = i32::try_from(rti).unwrap_or(i32::MAX);
        let marks = PgList::<pg_sys::PlanRowMark>::from_pg((*root).rowMarks);
        (*(*root).parse).resultRelation == number
            || pg_sys::bms_is_member(number, (*root).all_result_relids)
            || marks.iter_ptr().any(|mark| (*mark).rti == rti)
    }
}

/// Not system columns, which rows of batches haven't, but for the table's OID; nor rows as a whole.
unsafe fn reads_columns_alone(rel: *mut pg_sys::RelOptInfo, rti: pg_sys::Index) -> bool {
    // SAFETY: the relation's target and conditions, as the planner made them.
    unsafe {
        let mut attnums: *mut pg_sys::Bitmapset = ptr::null_mut();
        pg_sys::pull_varattnos((*(*rel).reltarget).exprs.cast(), rti, &raw mut attnums);
        let conditions = PgList::<pg_sys::RestrictInfo>::from_pg((*rel).baserestrictinfo);
        for condition in conditions.iter_ptr() {
            pg_sys::pull_varattnos((*condition).clause.cast(), rti, &raw mut attnums);
        }
        exec::members(attnums)
            .iter()
            .all(|attnum| *attnum > 0 || i32::from(*attnum) == pg_sys::TableOidAttributeNumber)
    }
}

/// Where few rows are wanted in an order that partitions may be in, chunk by chunk is faster than all of them: that is tried where a
/// chunk can be had in this order.
unsafe fn sort(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    custom: *mut pg_sys::CustomPath,
) {
    // SAFETY: as the planner has them.
    unsafe {
        let wanted = (*root).query_pathkeys;
        let keys = PgList::<pg_sys::PathKey>::from_pg(wanted);
        // By columns alone: what is computed of them may not be at hand where the planner looks for it later.
        let columns = PgList::<pg_sys::Expr>::from_pg((*(*rel).reltarget).exprs);
        let is_column = |key: *mut pg_sys::PathKey| {
            columns.iter_ptr().any(|column| {
                let class = (*key).pk_eclass;
                (*column).type_ == pg_sys::NodeTag::T_Var
                    && !pg_sys::find_ec_member_matching_expr(class, column, (*rel).relids).is_null()
            })
        };
        if (*root).limit_tuples > 0.0 && !keys.is_empty() && keys.iter_ptr().all(is_column) {
            let limit = (*root).limit_tuples;
            let sorted = pg_sys::create_sort_path(root, rel, custom.cast(), wanted, limit);
            pg_sys::add_path(rel, sorted.cast());
        }
    }
}

/// Takes the plain scan's place, at less than its cost. Returns a path of the same scan that isn't among the relation's.
unsafe fn replace(rel: *mut pg_sys::RelOptInfo) -> Option<*mut pg_sys::CustomPath> {
    // SAFETY: paths of the relation, which live as long as its planning.
    unsafe {
        let paths = PgList::<pg_sys::Path>::from_pg((*rel).pathlist);
        let plain = paths.iter_ptr().find(|path| (**path).pathtype == pg_sys::NodeTag::T_SeqScan);
        let plain = plain?;
        let custom = pg_sys::palloc0(size_of::<pg_sys::CustomPath>()).cast::<pg_sys::CustomPath>();
        // All that is common: target, parameters, rows, whether it may run in a worker.
        (*custom).path = *plain;
        (*custom).path.type_ = pg_sys::NodeTag::T_CustomPath;
        (*custom).path.pathtype = pg_sys::NodeTag::T_CustomScan;
        (*custom).flags = pg_sys::CUSTOMPATH_SUPPORT_PROJECTION;
        (*custom).methods = &raw const PATH.0;
        // Batches that are left out cost nothing. How many those are isn't known before; where there is a condition
        // that can tell, the part of the rows that are expected stands for it.
        let skips = ranges::any((*rel).baserestrictinfo, (*rel).relid);
        let part = if skips && (*rel).tuples > 0.0 {
            ((*rel).rows / (*rel).tuples).clamp(0.01, 1.0)
        } else {
            1.0
        };
        let (startup, total) = ((*plain).startup_cost, (*plain).total_cost);
        (*custom).path.total_cost = startup + (total - startup) * part / 2.0;
        (*rel).pathlist = pg_sys::list_delete_ptr((*rel).pathlist, plain.cast());
        // Kept apart, as the planner frees what it doesn't take.
        let kept = pg_sys::palloc0(size_of::<pg_sys::CustomPath>()).cast::<pg_sys::CustomPath>();
        *kept = *custom;
        pg_sys::add_path(rel, custom.cast());
        Some(kept)
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn plan(
    _root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    path: *mut pg_sys::CustomPath,
    targets: *mut pg_sys::List,
    conditions: *mut pg_sys::List,
    _plans: *mut pg_sys::List,
) -> *mut pg_sys::Plan {
    // SAFETY: as the planner calls it; the node is zeroed, which is an empty one of its type.
    unsafe {
        let scan = pg_sys::palloc0(size_of::<pg_sys::CustomScan>()).cast::<pg_sys::CustomScan>();
        (*scan).scan.plan.type_ = pg_sys::NodeTag::T_CustomScan;
        (*scan).scan.plan.targetlist = targets;
        (*scan).scan.plan.qual = pg_sys::extract_actual_clauses(conditions, false);
        (*scan).scan.scanrelid = (*rel).relid;
        (*scan).flags = (*path).flags;
        (*scan).methods = &raw const exec::SCAN.0;
        scan.cast()
    }
}
