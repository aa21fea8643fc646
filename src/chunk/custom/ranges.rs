//! What a query's conditions say of the batches that can hold a row for it.
//!
//! Only of columns whose values a batch has the smallest and the largest of, in the order that the condition means: Postgres' own
//! integers, floats, dates, times and timestamps, by their own operators. Of texts, equality tells where a batch has one text alone.
//! Anything else says nothing.

use crate::chunk::companion;
use pgrx::{PgList, pg_sys};

/// Operator families of B-trees, as `pg_opfamily` has them: of integers, dates and timestamps, times, floats, texts.
const INTEGERS: u32 = 1976;
const DATETIMES: u32 = 434;
const TIMES: u32 = 1996;
const FLOATS: u32 = 1970;
const TEXTS: u32 = 1994;

/// A float as an integer, in the order of Postgres: NaN equals itself and is more than all else, both zeros are equal. Floats that
/// follow each other are integers that do, but for these.
pub fn ordered(value: f64) -> i64 {
    if value.is_nan() {
        return i64::MAX;
    }
    // Adding zero makes a positive one of a negative one.
    let bits = (value + 0.0).to_bits() as i64;
    if bits < 0 { bits ^ i64::MAX } else { bits }
}

/// A condition that can tell: a column, an operator's strategy, and what it is compared with.
#[derive(Clone, Copy)]
pub struct Condition {
    pub attnum: i16,
    strategy: i32,
    value: *mut pg_sys::Expr,
    /// The same, once it can be evaluated.
    state: *mut pg_sys::ExprState,
    /// The type of what it is compared with; of its elements, for `= ANY`.
    kind: pg_sys::Oid,
    is_any: bool,
}

/// Values that a column must have one of for its row to be returned.
#[derive(Clone)]
pub enum Wanted {
    Range {
        min: i64,
        max: i64,
    },
    /// Sorted.
    OneOf(Vec<i64>),
    /// No row can be.
    Nothing,
}

impl Wanted {
    /// Whether one of them lies between these.
    pub fn meets(&self, smallest: i64, largest: i64) -> bool {
        match self {
            Wanted::Range { min, max } => *min <= largest && *max >= smallest,
            Wanted::OneOf(values) => {
                let first = values.partition_point(|value| *value < smallest);
                values.get(first).is_some_and(|value| *value <= largest)
            }
            Wanted::Nothing => false,
        }
    }

    /// Whether all that may lie between these are among them.
    pub fn holds(&self, smallest: i64, largest: i64) -> bool {
        match self {
            Wanted::Range { min, max } => *min <= smallest && largest <= *max,
            _ => smallest == largest && self.meets(smallest, largest),
        }
    }
}

/// Whether one of a relation's conditions, as the planner has them, can tell.
///
/// # Safety
/// A list of `RestrictInfo`.
pub unsafe fn any(conditions: *mut pg_sys::List, rti: pg_sys::Index) -> bool {
    // SAFETY: as the caller says.
    unsafe {
        let conditions = PgList::<pg_sys::RestrictInfo>::from_pg(conditions);
        conditions.iter_ptr().any(|condition| of((*condition).clause, rti).is_some())
    }
}

/// What an expression says, where it can tell.
///
/// # Safety
/// One of a relation's conditions.
pub unsafe fn of(condition: *mut pg_sys::Expr, rti: pg_sys::Index) -> Option<Condition> {
    // SAFETY: an expression of the type that its tag says.
    unsafe {
        let (operator, arguments, collation, is_any) = match (*condition).type_ {
            pg_sys::NodeTag::T_OpExpr => {
                let op = condition.cast::<pg_sys::OpExpr>();
                ((*op).opno, (*op).args, (*op).inputcollid, false)
            }
            pg_sys::NodeTag::T_ScalarArrayOpExpr => {
                let op = condition.cast::<pg_sys::ScalarArrayOpExpr>();
                if !(*op).useOr {
                    return None;
                }
                ((*op).opno, (*op).args, (*op).inputcollid, true)
            }
            _ => return None,
        };
        let arguments = PgList::<pg_sys::Expr>::from_pg(arguments);
        let (left, right) = (arguments.get_ptr(0)?, arguments.get_ptr(1)?);
        let (column, value, turned) = match (column(left, rti), column(right, rti)) {
            (Some(column), None) => (column, right, false),
            (None, Some(column)) if !is_any => (column, left, true),
            _ => return None,
        };
        if pg_sys::contain_var_clause(value.cast())
            || pg_sys::contain_volatile_functions(value.cast())
            || pg_sys::contain_subplans(value.cast())
        {
            return None;
        }
        let operator = if turned { pg_sys::get_commutator(operator) } else { operator };
        let (attnum, of_column) = column;
        let (family, others) = family(of_column)?;
        let kind = pg_sys::exprType(value.cast());
        let kind = if is_any { pg_sys::get_element_type(kind) } else { kind };
        let strategy = pg_sys::get_op_opfamily_strategy(operator, pg_sys::Oid::from_u32(family));
        if !others.contains(&kind)
            || strategy == 0
            || ((is_any || family == TEXTS) && strategy != pg_sys::BTEqualStrategyNumber as i32)
            || (family == TEXTS && !pg_sys::get_collation_isdeterministic(collation))
        {
            return None;
        }
        Some(Condition { attnum, strategy, value, state: std::ptr::null_mut(), kind, is_any })
    }
}

/// A column of the relation, and its type.
unsafe fn column(expression: *mut pg_sys::Expr, rti: pg_sys::Index) -> Option<(i16, pg_sys::Oid)> {
    // SAFETY: an expression of the type that its tag says.
    unsafe {
        let mut expression = expression;
        // A varchar that is compared as text.
        if (*expression).type_ == pg_sys::NodeTag::T_RelabelType {
            expression = (*expression.cast::<pg_sys::RelabelType>()).arg;
        }
        if (*expression).type_ != pg_sys::NodeTag::T_Var {
            return None;
        }
        let var = expression.cast::<pg_sys::Var>();
        ((*var).varno as u32 == rti && (*var).varlevelsup == 0 && (*var).varattno > 0)
            .then(|| ((*var).varattno, (*var).vartype))
    }
}

/// The family of a type's operators, and the types of what it can be compared with here.
fn family(of: pg_sys::Oid) -> Option<(u32, &'static [pg_sys::Oid])> {
    match of {
        pg_sys::INT2OID | pg_sys::INT4OID | pg_sys::INT8OID => {
            Some((INTEGERS, &[pg_sys::INT2OID, pg_sys::INT4OID, pg_sys::INT8OID]))
        }
        pg_sys::FLOAT4OID | pg_sys::FLOAT8OID => {
            Some((FLOATS, &[pg_sys::FLOAT4OID, pg_sys::FLOAT8OID]))
        }
        pg_sys::DATEOID => Some((DATETIMES, &[pg_sys::DATEOID])),
        pg_sys::TIMESTAMPOID => Some((DATETIMES, &[pg_sys::TIMESTAMPOID])),
        pg_sys::TIMESTAMPTZOID => Some((DATETIMES, &[pg_sys::TIMESTAMPTZOID])),
        pg_sys::TIMEOID => Some((TIMES, &[pg_sys::TIMEOID])),
        pg_sys::TEXTOID | pg_sys::VARCHAROID => {
            Some((TEXTS, &[pg_sys::TEXTOID, pg_sys::VARCHAROID]))
        }
        _ => None,
    }
}

impl Condition {
    /// Whether it holds for those values that it [wants](Condition::wanted), and for no others: texts are told by what stands
    /// for them, which others may share.
    pub fn is_exact(&self) -> bool {
        !matches!(self.kind, pg_sys::TEXTOID | pg_sys::VARCHAROID)
    }

    /// Makes ready what it is compared with.
    ///
    /// # Safety
    /// The plan that it is of is being begun with this state.
    pub unsafe fn begin(&mut self, plan: *mut pg_sys::PlanState) {
        // SAFETY: as the caller says.
        self.state = unsafe { pg_sys::ExecInitExpr(self.value, plan) };
    }

    /// What its column must be, now.
    ///
    /// # Safety
    /// It has begun, and the plan is being run.
    pub unsafe fn wanted(&self, plan: *mut pg_sys::PlanState) -> Wanted {
        // SAFETY: as the caller says; the array is of the type that was looked at.
        unsafe {
            let context = (*plan).ps_ExprContext;
            let before = pg_sys::MemoryContextSwitchTo((*context).ecxt_per_tuple_memory);
            let evaluate = (*self.state).evalfunc.expect("an expression can be evaluated");
            let mut is_null = false;
            let value = pg_sys::ffi::pg_guard_ffi_boundary(|| {
                evaluate(self.state, context, &raw mut is_null)
            });
            let wanted = match (is_null, self.is_any) {
                (true, _) => Wanted::Nothing,
                (false, true) => self.one_of(value),
                (false, false) => self.compared(self.number(value)),
            };
            pg_sys::MemoryContextSwitchTo(before);
            wanted
        }
    }

    fn compared(&self, value: i64) -> Wanted {
        match self.strategy.unsigned_abs() {
            pg_sys::BTLessStrategyNumber => match value.checked_sub(1) {
                Some(max) => Wanted::Range { min: i64::MIN, max },
                None => Wanted::Nothing,
            },
            pg_sys::BTLessEqualStrategyNumber => Wanted::Range { min: i64::MIN, max: value },
            pg_sys::BTEqualStrategyNumber => Wanted::Range { min: value, max: value },
            pg_sys::BTGreaterEqualStrategyNumber => Wanted::Range { min: value, max: i64::MAX },
            _ => match value.checked_add(1) {
                Some(min) => Wanted::Range { min, max: i64::MAX },
                None => Wanted::Nothing,
            },
        }
    }

    /// Elements that are null are equal to nothing.
    unsafe fn one_of(&self, array: pg_sys::Datum) -> Wanted {
        // SAFETY: an array of the type that was looked at, which has these properties.
        unsafe {
            let (mut length, mut by_value, mut align) = (0_i16, false, 0);
            pg_sys::get_typlenbyvalalign(
                self.kind,
                &raw mut length,
                &raw mut by_value,
                &raw mut align,
            );
            let (mut elements, mut nulls, mut count) =
                (std::ptr::null_mut(), std::ptr::null_mut(), 0);
            pg_sys::deconstruct_array(
                pg_sys::pg_detoast_datum(array.cast_mut_ptr()).cast(),
                self.kind,
                length.into(),
                by_value,
                align,
                &raw mut elements,
                &raw mut nulls,
                &raw mut count,
            );
            let mut values: Vec<i64> = (0..count.unsigned_abs() as usize)
                .filter(|n| !*nulls.add(*n))
                .map(|n| self.number(*elements.add(n)))
                .collect();
            values.sort_unstable();
            Wanted::OneOf(values)
        }
    }

    /// A value as the ends of batches have it.
    #[expect(clippy::cast_possible_truncation, reason = "a datum holds no more than its type")]
    unsafe fn number(&self, value: pg_sys::Datum) -> i64 {
        let raw = value.value();
        match self.kind {
            // SAFETY: a varlena; a copy goes with the memory of the present row.
            pg_sys::TEXTOID | pg_sys::VARCHAROID => unsafe {
                let plain = pg_sys::pg_detoast_datum_packed(value.cast_mut_ptr());
                companion::fingerprint(pgrx::varlena_to_byte_slice(plain))
            },
            pg_sys::FLOAT4OID => ordered(f32::from_bits(raw as u32).into()),
            pg_sys::FLOAT8OID => ordered(f64::from_bits(raw as u64)),
            pg_sys::INT2OID => i64::from(raw as i16),
            pg_sys::INT4OID | pg_sys::DATEOID => i64::from(raw as i32),
            _ => raw as i64,
        }
    }
}
