//! Conditions on `lake.bucket(width, ts, …)` say something about `ts` as well, which the planner is told: it
//! then leaves out chunks, and reads by an index on time.
//!
//! A bucket begins no later than what it holds, and holds nothing past its end. So `bucket >= x` implies
//! `ts >= x`, and `bucket < x` implies that `ts` is no later than the end of the last bucket that begins
//! before `x` (`_lake.bucket_last`). What is implied is added to the condition, which stays: a query's answer can't
//! change. It is what makes a view of a rollup compute no more of what waits than is asked for.

use super::{time, zone};
use crate::error::{Result, SqlResult};
use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::prelude::*;
use pgrx::{PgList, is_a};
use std::ffi::CStr;

static mut PREVIOUS: pg_sys::get_relation_info_hook_type = None;

/// Called once, while the library is loaded.
pub fn install() {
    // SAFETY: one thread, before any query of this session is planned by us.
    unsafe {
        PREVIOUS = pg_sys::get_relation_info_hook;
        pg_sys::get_relation_info_hook = Some(on_relation_info);
    }
}

/// Runs when the conditions of a query are simplified, and not yet handed out to its relations.
#[pg_guard]
unsafe extern "C-unwind" fn on_relation_info(
    root: *mut pg_sys::PlannerInfo,
    relation: pg_sys::Oid,
    inherited: bool,
    info: *mut pg_sys::RelOptInfo,
) {
    // SAFETY: as the planner calls it; the tree of the query is its to change.
    unsafe {
        if let Some(previous) = PREVIOUS {
            pg_sys::ffi::pg_guard_ffi_boundary(|| previous(root, relation, inherited, info));
        }
        // Partitions and other children get the conditions of their parent.
        let tree = (*(*root).parse).jointree;
        if (*info).reloptkind != pg_sys::RelOptKind::RELOPT_BASEREL
            || tree.is_null()
            || (*tree).quals.is_null()
            || !is_a((*tree).quals, pg_sys::NodeTag::T_List)
        {
            return;
        }
        let mut implied = PgList::<pg_sys::Node>::new();
        for qual in PgList::<pg_sys::Node>::from_pg((*tree).quals.cast()).iter_ptr() {
            if let Some(condition) = Condition::read(qual) {
                condition.add_implied((*info).relid, &mut implied);
            }
        }
        if !implied.is_empty() {
            (*tree).quals = pg_sys::list_concat((*tree).quals.cast(), implied.into_pg()).cast();
        }
    }
}

/// `of strategy bound`, as in a B-tree; `of` is a `timestamptz`, and `bound` the same for all rows.
struct Condition {
    of: *mut pg_sys::Node,
    strategy: u32,
    bound: *mut pg_sys::Node,
}

impl Condition {
    /// # Safety
    /// An expression of a query that is being planned.
    unsafe fn read(qual: *mut pg_sys::Node) -> Option<Self> {
        // SAFETY: as the caller says; nodes are what their tags say.
        unsafe {
            if !is_a(qual, pg_sys::NodeTag::T_OpExpr) {
                return None;
            }
            let op = qual.cast::<pg_sys::OpExpr>();
            let args = PgList::<pg_sys::Node>::from_pg((*op).args);
            let (left, right) = (args.get_ptr(0)?, args.get_ptr(1)?);
            let (of, bound, opno) = if Bucket::read(left).is_some() {
                (left, right, (*op).opno)
            } else {
                Bucket::read(right)?;
                (right, left, pg_sys::get_commutator((*op).opno))
            };
            let strategy = u32::try_from(pg_sys::get_op_opfamily_strategy(opno, family())).ok()?;
            (strategy != 0 && is_fixed(bound)).then_some(Self { of, strategy, bound })
        }
    }

    /// Adds what follows for a column of the relation.
    ///
    /// # Safety
    /// As for [`Condition::read`].
    unsafe fn add_implied(&self, relid: pg_sys::Index, to: &mut PgList<pg_sys::Node>) {
        // SAFETY: as the caller says; what is taken over is copied.
        unsafe {
            let Some(bucket) = Bucket::read(self.of) else { return };
            for (strategy, bound) in bucket.bounds(self.strategy, self.bound) {
                let condition = Self { of: bucket.of, strategy, bound };
                if is_column_of(bucket.of, relid) {
                    if let Some(clause) = condition.clause() {
                        to.push(clause);
                    }
                } else {
                    // A bucket of a bucket, or nothing.
                    condition.add_implied(relid, to);
                }
            }
        }
    }

    unsafe fn clause(&self) -> Option<*mut pg_sys::Node> {
        // SAFETY: valid expressions, of the types that the operator is found by.
        unsafe {
            let operator = pg_sys::get_opfamily_member(
                family(),
                pg_sys::TIMESTAMPTZOID,
                pg_sys::exprType(self.bound),
                i16::try_from(self.strategy).ok()?,
            );
            let operand = |node: *mut pg_sys::Node| pg_sys::copyObjectImpl(node.cast()).cast();
            (operator != pg_sys::InvalidOid).then(|| {
                pg_sys::make_opclause(
                    operator,
                    pg_sys::BOOLOID,
                    false,
                    operand(self.of),
                    operand(self.bound),
                    pg_sys::InvalidOid,
                    pg_sys::InvalidOid,
                )
                .cast()
            })
        }
    }
}

/// A call of `lake.bucket`.
struct Bucket {
    call: *mut pg_sys::FuncExpr,
    of: *mut pg_sys::Node,
    /// Width, time zone and origin, the same for all rows.
    rest: [*mut pg_sys::Node; 3],
}

impl Bucket {
    unsafe fn read(node: *mut pg_sys::Node) -> Option<Self> {
        // SAFETY: a node is what its tag says.
        unsafe {
            if !is_a(node, pg_sys::NodeTag::T_FuncExpr) {
                return None;
            }
            let call = node.cast::<pg_sys::FuncExpr>();
            if (*call).funcresulttype != pg_sys::TIMESTAMPTZOID
                || !is_named((*call).funcid, c"lake", c"bucket")
            {
                return None;
            }
            let args = PgList::<pg_sys::Node>::from_pg((*call).args);
            let rest = [args.get_ptr(0)?, args.get_ptr(2)?, args.get_ptr(3)?];
            rest.iter().all(|arg| is_fixed(*arg)).then_some(Self {
                call,
                of: args.get_ptr(1)?,
                rest,
            })
        }
    }

    /// What a bound of the bucket says of what is in it.
    unsafe fn bounds(
        &self,
        strategy: u32,
        bound: *mut pg_sys::Node,
    ) -> Vec<(u32, *mut pg_sys::Node)> {
        use pg_sys::{
            BTEqualStrategyNumber as EQUAL, BTGreaterEqualStrategyNumber as FROM,
            BTGreaterStrategyNumber as PAST, BTLessEqualStrategyNumber as UP_TO,
            BTLessStrategyNumber as BEFORE,
        };
        let mut bounds = Vec::new();
        if matches!(strategy, FROM | PAST) {
            bounds.push((strategy, bound));
        } else if strategy == EQUAL {
            bounds.push((FROM, bound));
        }
        if matches!(strategy, BEFORE | UP_TO | EQUAL) {
            // SAFETY: as the caller says.
            let last = unsafe { self.last(bound, strategy != BEFORE) };
            bounds.extend(last.map(|last| (UP_TO, last)));
        }
        bounds
    }

    /// A call of `_lake.bucket_last`.
    unsafe fn last(&self, bound: *mut pg_sys::Node, included: bool) -> Option<*mut pg_sys::Node> {
        // SAFETY: copies of valid expressions, of the types that the function takes.
        unsafe {
            if pg_sys::exprType(bound) != pg_sys::TIMESTAMPTZOID {
                return None;
            }
            let function = bucket_last_function()?;
            let [width, zone, origin] = self.rest;
            let mut args = PgList::<pg_sys::Node>::new();
            for arg in [width, bound, zone, origin] {
                args.push(pg_sys::copyObjectImpl(arg.cast()).cast());
            }
            args.push(pg_sys::makeBoolConst(included, false));
            let call = pg_sys::makeFuncExpr(
                function,
                pg_sys::TIMESTAMPTZOID,
                args.into_pg(),
                pg_sys::InvalidOid,
                (*self.call).inputcollid,
                pg_sys::CoercionForm::COERCE_EXPLICIT_CALL,
            );
            Some(call.cast())
        }
    }
}

/// The order of times.
fn family() -> pg_sys::Oid {
    let wanted = pg_sys::TYPECACHE_BTREE_OPFAMILY as i32;
    // SAFETY: of a type that there is; entries stay for the life of the process.
    unsafe { (*pg_sys::lookup_type_cache(pg_sys::TIMESTAMPTZOID, wanted)).btree_opf }
}

/// Whether an expression is the same for all rows, and each time it is computed.
unsafe fn is_fixed(node: *mut pg_sys::Node) -> bool {
    // SAFETY: a valid expression.
    unsafe {
        !pg_sys::contain_var_clause(node)
            && !pg_sys::contain_subplans(node)
            && !pg_sys::contain_volatile_functions(node)
    }
}

unsafe fn is_column_of(node: *mut pg_sys::Node, relid: pg_sys::Index) -> bool {
    // SAFETY: a node is what its tag says.
    unsafe {
        is_a(node, pg_sys::NodeTag::T_Var) && {
            let column = node.cast::<pg_sys::Var>();
            (*column).varlevelsup == 0 && u32::try_from((*column).varno).is_ok_and(|no| no == relid)
        }
    }
}

unsafe fn is_named(function: pg_sys::Oid, schema: &CStr, name: &CStr) -> bool {
    // SAFETY: what isn't null is a string of this context.
    unsafe {
        let is = |found: *mut std::ffi::c_char, wanted: &CStr| {
            !found.is_null() && CStr::from_ptr(found) == wanted
        };
        is(pg_sys::get_func_name(function), name)
            && is(pg_sys::get_namespace_name(pg_sys::get_func_namespace(function)), schema)
    }
}

/// `None` where the extension in this database is older than the library.
fn bucket_last_function() -> Option<pg_sys::Oid> {
    let types = [
        pg_sys::INTERVALOID,
        pg_sys::TIMESTAMPTZOID,
        pg_sys::TEXTOID,
        pg_sys::TIMESTAMPTZOID,
        pg_sys::BOOLOID,
    ];
    // SAFETY: the list and its strings live until the function returns.
    let found = unsafe {
        let mut name = PgList::<pg_sys::Node>::new();
        for part in [c"_lake", c"bucket_last"] {
            name.push(pg_sys::makeString(part.as_ptr().cast_mut()).cast());
        }
        pg_sys::LookupFuncName(name.into_pg(), types.len() as i32, types.as_ptr(), true)
    };
    (found != pg_sys::InvalidOid).then_some(found)
}

/// The last instant of the last bucket that begins before an instant, or at it. An infinity is its own, and stands
/// for what no `timestamptz` can hold.
fn last(
    width: &Interval,
    bound: TimestampWithTimeZone,
    timezone: Option<&str>,
    origin: Option<TimestampWithTimeZone>,
    included: bool,
) -> Result<TimestampWithTimeZone> {
    let instant = time::from_pg(bound);
    if !time::is_finite(instant) {
        return Ok(bound);
    }
    let buckets = zone::of(width, timezone, origin)?;
    let start = buckets.start(instant - i64::from(!included));
    let end = buckets.next(start);
    // From the last bucket of all time on, nothing is left out.
    let last = if end < lake_chunks::END_INSTANT { time::to_pg(end - 1).ok() } else { None };
    Ok(last.unwrap_or_else(TimestampWithTimeZone::positive_infinity))
}

#[pg_extern(schema = "_lake", stable, parallel_safe)]
pub fn bucket_last(
    width: Option<Interval>,
    bound: Option<TimestampWithTimeZone>,
    timezone: Option<&str>,
    origin: Option<TimestampWithTimeZone>,
    included: Option<bool>,
) -> SqlResult<Option<TimestampWithTimeZone>> {
    let (Some(width), Some(bound), Some(included)) = (width, bound, included) else {
        return Ok(None);
    };
    Ok(Some(last(&width, bound, timezone, origin, included)?))
}
