//! Offers the node to the planner: the groups of a chunk, or of all chunks of a table, as partial aggregates that Postgres combines.
//!
//! Chunks without batches are aggregated in halves as well, by Postgres. Where any part of the query isn't known here, it is
//! planned as ever: grouping sets, aggregates of expressions, with DISTINCT, ORDER BY or FILTER, row level security.

use super::function;
use super::halves::{costs, groups, partial_target, strategy, translated, upper};
use super::plan::PATH;
use crate::chunk::custom;
use crate::compat;
use pgrx::{PgList, pg_guard, pg_sys};
use std::ptr;

static mut PREVIOUS: pg_sys::create_upper_paths_hook_type = None;

pub fn install() {
    // SAFETY: one thread, before any query of this session is planned by us.
    unsafe {
        PREVIOUS = pg_sys::create_upper_paths_hook;
        pg_sys::create_upper_paths_hook = Some(on_upper_paths);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_upper_paths(
    root: *mut pg_sys::PlannerInfo,
    stage: pg_sys::UpperRelationKind::Type,
    input: *mut pg_sys::RelOptInfo,
    output: *mut pg_sys::RelOptInfo,
    extra: *mut std::ffi::c_void,
) {
    // SAFETY: as the planner calls it; of this stage, with this kind of extra data where there is grouping to be done.
    unsafe {
        if let Some(previous) = PREVIOUS {
            pg_sys::ffi::pg_guard_ffi_boundary(|| previous(root, stage, input, output, extra));
        }
        if stage == pg_sys::UpperRelationKind::UPPERREL_GROUP_AGG
            && let Some(extra) = extra.cast::<pg_sys::GroupPathExtraData>().as_ref()
            && may_be_split(root, input, output, extra)
        {
            offer(root, input, output, extra);
        }
    }
}

/// Whether the query groups the rows of one table, and can do so in two steps.
unsafe fn may_be_split(
    root: *mut pg_sys::PlannerInfo,
    input: *mut pg_sys::RelOptInfo,
    output: *mut pg_sys::RelOptInfo,
    extra: &pg_sys::GroupPathExtraData,
) -> bool {
    let can = |flag: u32| extra.flags.unsigned_abs() & flag != 0;
    // SAFETY: as the planner has them.
    unsafe {
        (*input).reloptkind == pg_sys::RelOptKind::RELOPT_BASEREL
            && (*input).rtekind == pg_sys::RTEKind::RTE_RELATION
            && (*output).reloptkind == pg_sys::RelOptKind::RELOPT_UPPER_REL
            && (*input).lateral_relids.is_null()
            && (*root).qual_security_level == 0
            && (*(*root).parse).groupingSets.is_null()
            && can(pg_sys::GROUPING_CAN_PARTIAL_AGG)
            && (compat::group_clause(root).is_null() || can(pg_sys::GROUPING_CAN_USE_HASH))
            && !pg_sys::is_dummy_rel(input)
    }
}

unsafe fn offer(
    root: *mut pg_sys::PlannerInfo,
    input: *mut pg_sys::RelOptInfo,
    output: *mut pg_sys::RelOptInfo,
    extra: &pg_sys::GroupPathExtraData,
) {
    // SAFETY: as the planner has them; what is made lives as long as its planning.
    unsafe {
        let parts = parts(input);
        if !parts.iter().any(|part| custom::has_our_scan(*part)) {
            return;
        }
        let target = partial_target(root, (*output).reltarget, extra.havingQual);
        let clause = compat::group_clause(root);
        let groups = groups(root, target, (*(*input).cheapest_total_path).rows);
        let mut paths = PgList::<pg_sys::Path>::new();
        let mut any = false;
        for part in parts {
            let below = (*part).cheapest_total_path;
            if below.is_null() || !(*below).param_info.is_null() {
                return;
            }
            let of_part = translated(root, target, part);
            let upper = upper(root, (*part).relids, of_part);
            let rows = groups.min((*below).rows).max(1.0);
            let known = custom::has_our_scan(part) && is_known(root, part, of_part);
            any |= known;
            paths.push(if known {
                ours(upper, below, rows)
            } else {
                let strategy = strategy(root);
                let split = pg_sys::AggSplit::AGGSPLIT_INITIAL_SERIAL;
                let nothing = ptr::null_mut();
                let agg = pg_sys::create_agg_path(
                    root,
                    upper,
                    below,
                    of_part,
                    strategy,
                    split,
                    clause,
                    nothing,
                    ptr::null(),
                    rows,
                );
                agg.cast()
            });
        }
        if !any {
            return;
        }
        let upper = upper(root, (*output).relids, target);
        let together = pg_sys::create_append_path(
            root,
            upper,
            paths.into_pg(),
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
            0,
            false,
            -1.0,
        );
        (*together).path.pathtarget = target;
        let costs = costs(root, pg_sys::AggSplit::AGGSPLIT_FINAL_DESERIAL);
        let whole = pg_sys::create_agg_path(
            root,
            output,
            together.cast(),
            (*output).reltarget,
            strategy(root),
            pg_sys::AggSplit::AGGSPLIT_FINAL_DESERIAL,
            clause,
            extra.havingQual.cast(),
            &raw const costs,
            groups,
        );
        pg_sys::add_path(output, whole.cast());
    }
}

/// The chunks of a table that the query may need; a table that isn't partitioned is its own.
unsafe fn parts(input: *mut pg_sys::RelOptInfo) -> Vec<*mut pg_sys::RelOptInfo> {
    // SAFETY: as the planner has it: as many parts as it says, of which those are there that are alive.
    unsafe {
        if (*input).nparts <= 0 || (*input).part_rels.is_null() {
            return vec![input];
        }
        (0..(*input).nparts)
            .filter(|n| pg_sys::bms_is_member(*n, (*input).live_parts))
            .map(|n| *(*input).part_rels.offset(n as isize))
            .filter(|part| !part.is_null() && !pg_sys::is_dummy_rel(*part))
            .collect()
    }
}

/// Whether our node can return all of this of a chunk.
unsafe fn is_known(
    root: *mut pg_sys::PlannerInfo,
    part: *mut pg_sys::RelOptInfo,
    target: *mut pg_sys::PathTarget,
) -> bool {
    // SAFETY: as the planner has them.
    unsafe {
        let conditions = PgList::<pg_sys::RestrictInfo>::from_pg((*part).baserestrictinfo);
        let targets = PgList::<pg_sys::Expr>::from_pg((*target).exprs);
        conditions.iter_ptr().all(|c| !(*c).pseudoconstant && is_plain(root, (*c).clause))
            && targets.iter_ptr().all(|expression| {
                if (*expression).type_ == pg_sys::NodeTag::T_Aggref {
                    function::of(expression.cast(), (*part).relid).is_some()
                } else {
                    is_key(expression) && is_plain(root, expression)
                }
            })
    }
}

/// Whether an expression may be evaluated once for rows that have the same values, and depends on nothing else.
unsafe fn is_plain(root: *mut pg_sys::PlannerInfo, expression: *mut pg_sys::Expr) -> bool {
    // SAFETY: as the planner has them.
    unsafe {
        !pg_sys::contain_volatile_functions(expression.cast())
            && !pg_sys::contain_subplans(expression.cast())
            // Results of other parts of the query may change while it runs.
            && ((*(*root).glob).paramExecTypes.is_null()
                || pg_sys::pull_paramids(expression).is_null())
    }
}

/// Whether values of the type are equal if and only if their bytes are.
unsafe fn is_key(expression: *mut pg_sys::Expr) -> bool {
    // SAFETY: as the planner has it.
    unsafe {
        match pg_sys::exprType(expression.cast()) {
            pg_sys::BOOLOID
            | pg_sys::INT2OID
            | pg_sys::INT4OID
            | pg_sys::INT8OID
            | pg_sys::OIDOID
            | pg_sys::DATEOID
            | pg_sys::TIMEOID
            | pg_sys::TIMESTAMPOID
            | pg_sys::TIMESTAMPTZOID
            | pg_sys::UUIDOID => true,
            pg_sys::TEXTOID | pg_sys::VARCHAROID => {
                pg_sys::get_collation_isdeterministic(pg_sys::exprCollation(expression.cast()))
            }
            _ => false,
        }
    }
}

/// So many rows of the same group are thought to follow each other.
const RUN: f64 = 16.0;

/// At less than what the scan costs, as no rows are made.
unsafe fn ours(
    upper: *mut pg_sys::RelOptInfo,
    below: *mut pg_sys::Path,
    rows: f64,
) -> *mut pg_sys::Path {
    // SAFETY: a node of its type, of zeroes but for what is set.
    unsafe {
        let custom = pg_sys::palloc0(size_of::<pg_sys::CustomPath>()).cast::<pg_sys::CustomPath>();
        (*custom).path.type_ = pg_sys::NodeTag::T_CustomPath;
        (*custom).path.pathtype = pg_sys::NodeTag::T_CustomScan;
        (*custom).path.parent = upper;
        (*custom).path.pathtarget = (*upper).reltarget;
        // The planner knows little of how many values an expression has, and says too many rather than too few.
        let rows = rows.min((*below).rows / RUN).max(1.0);
        (*custom).path.rows = rows;
        (*custom).path.startup_cost = (*below).total_cost * 0.2;
        (*custom).path.total_cost = (*custom).path.startup_cost + rows * pg_sys::cpu_tuple_cost;
        (*custom).flags = pg_sys::CUSTOMPATH_SUPPORT_PROJECTION;
        (*custom).methods = &raw const PATH.0;
        custom.cast()
    }
}
