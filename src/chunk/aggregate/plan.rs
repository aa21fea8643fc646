//! What a plan of ours holds: for each output an aggregate or a key, the conditions, and the keys' expressions. In all of them the
//! chunk is relation 1, whatever it is in the query.

use super::function::{self, Function, What};
use super::{NAME, exec};
use crate::chunk::evaluate::CHUNK;
use pgrx::{PgList, pg_guard, pg_sys};
use std::ffi::c_int;

/// One column of what is returned.
#[derive(Debug, Clone, Copy)]
pub enum Output {
    Aggregate(Function),
    /// The number of the key.
    Key(usize),
}

pub struct Private {
    pub outputs: Vec<Output>,
    pub conditions: *mut pg_sys::List,
    pub keys: Vec<*mut pg_sys::Expr>,
}

/// Marks a key among the outputs.
const KEY: i32 = -1;

pub struct Methods(pub pg_sys::CustomPathMethods);
// SAFETY: a constant: addresses of a name and of functions.
unsafe impl Sync for Methods {}

pub static PATH: Methods = Methods(pg_sys::CustomPathMethods {
    CustomName: NAME.as_ptr(),
    PlanCustomPath: Some(plan),
    ReparameterizeCustomPathByChild: None,
});

#[pg_guard]
unsafe extern "C-unwind" fn plan(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    path: *mut pg_sys::CustomPath,
    targets: *mut pg_sys::List,
    _conditions: *mut pg_sys::List,
    _plans: *mut pg_sys::List,
) -> *mut pg_sys::Plan {
    // SAFETY: as the planner calls it, with the relation that the path was made for; the node is zeroed, which is an
    // empty one of its type.
    unsafe {
        let chunk = pg_sys::bms_next_member((*rel).relids, -1);
        let base = *(*root).simple_rel_array.offset(chunk as isize);
        let scan = pg_sys::palloc0(size_of::<pg_sys::CustomScan>()).cast::<pg_sys::CustomScan>();
        (*scan).scan.plan.type_ = pg_sys::NodeTag::T_CustomScan;
        (*scan).scan.plan.targetlist = targets;
        (*scan).scan.scanrelid = (*base).relid;
        (*scan).flags = (*path).flags;
        (*scan).methods = &raw const exec::SCAN.0;
        (*scan).custom_scan_tlist = pg_sys::copyObjectImpl(targets.cast()).cast();
        (*scan).custom_private = private(base, targets);
        scan.cast()
    }
}

unsafe fn private(base: *mut pg_sys::RelOptInfo, targets: *mut pg_sys::List) -> *mut pg_sys::List {
    // SAFETY: as `plan`; copies are changed, not what the planner has.
    unsafe {
        let rti = (*base).relid;
        let mut numbers: *mut pg_sys::List = std::ptr::null_mut();
        let mut keys = PgList::<pg_sys::Expr>::new();
        for target in PgList::<pg_sys::TargetEntry>::from_pg(targets).iter_ptr() {
            let expression = (*target).expr;
            let aggregate = ((*expression).type_ == pg_sys::NodeTag::T_Aggref)
                .then(|| function::of(expression.cast(), rti))
                .flatten();
            let of_output = match aggregate {
                Some(Function { what, attnum, by }) => [what.number(), attnum.into(), by.into()],
                None => {
                    keys.push(expression);
                    [KEY, keys.len() as i32 - 1, 0]
                }
            };
            for number in of_output {
                numbers = pg_sys::lappend_int(numbers, number);
            }
        }
        let conditions = pg_sys::extract_actual_clauses((*base).baserestrictinfo, false);
        let mut all = PgList::<pg_sys::Node>::new();
        all.push(numbers.cast());
        for expressions in [conditions, keys.into_pg()] {
            let copy = pg_sys::copyObjectImpl(expressions.cast()).cast::<pg_sys::Node>();
            pg_sys::fix_opfuncids(copy);
            pg_sys::ChangeVarNodes(copy, rti as c_int, CHUNK as c_int, 0);
            all.push(copy);
        }
        all.into_pg()
    }
}

impl Private {
    /// # Safety
    /// A plan of ours.
    pub unsafe fn of(plan: *const pg_sys::CustomScan) -> Self {
        // SAFETY: as `private` has made it.
        unsafe {
            let all = PgList::<pg_sys::List>::from_pg((*plan).custom_private);
            let list = |n| all.get_ptr(n).unwrap_or(std::ptr::null_mut());
            let count = pg_sys::list_length(list(0));
            let number = |n| pg_sys::list_nth_int(list(0), n);
            let column = |n| i16::try_from(number(n)).unwrap_or(0);
            let outputs = (0..count)
                .step_by(3)
                .map(|n| match What::numbered(number(n)) {
                    Some(what) => {
                        let (attnum, by) = (column(n + 1), column(n + 2));
                        Output::Aggregate(Function { what, attnum, by })
                    }
                    None => Output::Key(number(n + 1).unsigned_abs() as usize),
                })
                .collect();
            let keys = PgList::<pg_sys::Expr>::from_pg(list(2)).iter_ptr().collect();
            Self { outputs, conditions: list(1), keys }
        }
    }
}
