//! An aggregation in two halves, in the planner: what the first returns, how groups are made, what it costs.

use crate::compat;
use pgrx::{PgList, pg_sys};
use std::ptr;

unsafe extern "C-unwind" {
    fn get_agg_clause_costs(
        root: *mut pg_sys::PlannerInfo,
        split: pg_sys::AggSplit::Type,
        costs: *mut pg_sys::AggClauseCosts,
    );
}

/// What the query's aggregates cost, in whole or in part.
pub unsafe fn costs(
    root: *mut pg_sys::PlannerInfo,
    split: pg_sys::AggSplit::Type,
) -> pg_sys::AggClauseCosts {
    let mut costs = pg_sys::AggClauseCosts::default();
    // SAFETY: adds to what it is given.
    unsafe {
        pg_sys::ffi::pg_guard_ffi_boundary(|| get_agg_clause_costs(root, split, &raw mut costs));
    }
    costs
}

/// How groups are made. What a query groups by may come to nothing, a constant for instance: it still is one group only where there is
/// a row.
pub unsafe fn strategy(root: *mut pg_sys::PlannerInfo) -> pg_sys::AggStrategy::Type {
    // SAFETY: as the planner has it.
    unsafe {
        if (*(*root).parse).groupClause.is_null() {
            pg_sys::AggStrategy::AGG_PLAIN
        } else if compat::group_clause(root).is_null() {
            pg_sys::AggStrategy::AGG_SORTED
        } else {
            pg_sys::AggStrategy::AGG_HASHED
        }
    }
}

/// What the first half of the aggregation returns, as the second half looks for it: the grouping columns, and a partial
/// aggregate for every one in the output or in HAVING.
pub unsafe fn partial_target(
    root: *mut pg_sys::PlannerInfo,
    whole: *mut pg_sys::PathTarget,
    having: *mut pg_sys::Node,
) -> *mut pg_sys::PathTarget {
    // SAFETY: as the planner has them; aggregates are copied before they are marked.
    unsafe {
        let clause = compat::group_clause(root);
        let target = pg_sys::create_empty_pathtarget();
        let mut others = PgList::<pg_sys::Expr>::new();
        for (at, expression) in
            PgList::<pg_sys::Expr>::from_pg((*whole).exprs).iter_ptr().enumerate()
        {
            let refs = (*whole).sortgrouprefs;
            let number = if refs.is_null() { 0 } else { *refs.add(at) };
            if number > 0 && !pg_sys::get_sortgroupref_clause_noerr(number, clause).is_null() {
                pg_sys::add_column_to_pathtarget(target, expression, number);
            } else {
                others.push(expression);
            }
        }
        if !having.is_null() {
            others.push(having.cast());
        }
        let flags = pg_sys::PVC_INCLUDE_AGGREGATES
            | pg_sys::PVC_RECURSE_WINDOWFUNCS
            | pg_sys::PVC_INCLUDE_PLACEHOLDERS;
        let others = pg_sys::pull_var_clause(others.into_pg().cast(), flags as i32);
        pg_sys::add_new_columns_to_pathtarget(target, others);
        let mut marked = PgList::<pg_sys::Expr>::new();
        for expression in PgList::<pg_sys::Expr>::from_pg((*target).exprs).iter_ptr() {
            marked.push(if (*expression).type_ == pg_sys::NodeTag::T_Aggref {
                let copy: *mut pg_sys::Expr = pg_sys::copyObjectImpl(expression.cast()).cast();
                let split = pg_sys::AggSplit::AGGSPLIT_INITIAL_SERIAL;
                pg_sys::mark_partial_aggref(copy.cast(), split);
                copy
            } else {
                expression
            });
        }
        (*target).exprs = marked.into_pg();
        pg_sys::set_pathtarget_cost_width(root, target)
    }
}

/// The same of a chunk.
pub unsafe fn translated(
    root: *mut pg_sys::PlannerInfo,
    target: *mut pg_sys::PathTarget,
    part: *mut pg_sys::RelOptInfo,
) -> *mut pg_sys::PathTarget {
    // SAFETY: a copy is changed, by how the planner translates the parent's columns.
    unsafe {
        let copy = pg_sys::copy_pathtarget(target);
        if (*part).reloptkind != pg_sys::RelOptKind::RELOPT_BASEREL {
            let mut count = 0;
            let maps = pg_sys::find_appinfos_by_relids(root, (*part).relids, &raw mut count);
            let exprs = pg_sys::adjust_appendrel_attrs(root, (*copy).exprs.cast(), count, maps);
            (*copy).exprs = exprs.cast();
        }
        copy
    }
}

/// The planner's record of what is partially grouped of these relations.
pub unsafe fn upper(
    root: *mut pg_sys::PlannerInfo,
    relids: pg_sys::Relids,
    target: *mut pg_sys::PathTarget,
) -> *mut pg_sys::RelOptInfo {
    let kind = pg_sys::UpperRelationKind::UPPERREL_PARTIAL_GROUP_AGG;
    // SAFETY: finds it, or makes one that has no target yet.
    unsafe {
        let rel = pg_sys::fetch_upper_rel(root, kind, relids);
        if (*rel).reltarget.is_null() || (*(*rel).reltarget).exprs.is_null() {
            (*rel).reltarget = target;
        }
        rel
    }
}

/// How many groups there may be.
pub unsafe fn groups(
    root: *mut pg_sys::PlannerInfo,
    target: *mut pg_sys::PathTarget,
    rows: f64,
) -> f64 {
    // SAFETY: as the planner has them.
    unsafe {
        let mut keys = PgList::<pg_sys::Expr>::new();
        for expression in PgList::<pg_sys::Expr>::from_pg((*target).exprs).iter_ptr() {
            if (*expression).type_ != pg_sys::NodeTag::T_Aggref {
                keys.push(expression);
            }
        }
        if keys.is_empty() {
            return 1.0;
        }
        let keys = keys.into_pg();
        pg_sys::estimate_num_groups(root, keys, rows, ptr::null_mut(), ptr::null_mut())
    }
}
