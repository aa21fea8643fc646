//! The aggregates that are known here, by the numbers of Postgres' own functions.

use super::extension;
use pgrx::{PgList, pg_sys};

/// What an aggregate does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// `count(*)`.
    Rows,
    Count,
    Sum,
    Avg,
    Min,
    Max,
    /// `lake.first` and `lake.last`, by a time.
    First,
    Last,
}

/// An aggregate of a column. Of [`What::Rows`] the column is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Function {
    pub what: What,
    pub attnum: i16,
    /// The column of the time; 0 where there is none.
    pub by: i16,
}

impl What {
    const ALL: [Self; 8] = [
        Self::Rows,
        Self::Count,
        Self::Sum,
        Self::Avg,
        Self::Min,
        Self::Max,
        Self::First,
        Self::Last,
    ];

    /// By the OID of the aggregate, which is the same in every version.
    const fn named(aggregate: u32) -> Option<Self> {
        Some(match aggregate {
            2803 => Self::Rows,
            2147 => Self::Count,
            // Of int8, int4, int2, float8. Sums of float4 are rounded to that with every row.
            2107 | 2108 | 2109 | 2111 => Self::Sum,
            // And of float4.
            2100 | 2101 | 2102 | 2104 | 2105 => Self::Avg,
            // int8, int4, int2; float4, float8; date, time, timestamp, timestamptz.
            2131 | 2132 | 2133 | 2135 | 2136 | 2138 | 2139 | 2142 | 2143 => Self::Min,
            2115 | 2116 | 2117 | 2119 | 2120 | 2122 | 2123 | 2126 | 2127 => Self::Max,
            _ => return None,
        })
    }

    /// As it is written in a plan.
    pub fn number(self) -> i32 {
        Self::ALL.iter().position(|what| *what == self).map_or(-1, |at| at as i32)
    }

    pub fn numbered(number: i32) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }
}

/// The function of an aggregate over a column of this relation; `None` for others.
///
/// # Safety
/// An aggregate, as the planner has it.
pub unsafe fn of(aggregate: *const pg_sys::Aggref, rti: pg_sys::Index) -> Option<Function> {
    // SAFETY: as the caller says.
    unsafe {
        let what = What::named((*aggregate).aggfnoid.to_u32())
            .or_else(|| extension::aggregate((*aggregate).aggfnoid))?;
        if !(*aggregate).aggfilter.is_null()
            || !(*aggregate).aggdistinct.is_null()
            || !(*aggregate).aggorder.is_null()
            || (*aggregate).agglevelsup != 0
        {
            return None;
        }
        if what == What::Rows {
            return Some(Function { what, attnum: 0, by: 0 });
        }
        let arguments = PgList::<pg_sys::TargetEntry>::from_pg((*aggregate).args);
        let attnum = column((*arguments.get_ptr(0)?).expr, rti)?;
        let by = match (what, arguments.get_ptr(1)) {
            (What::First | What::Last, Some(by)) => column((*by).expr, rti)?,
            (_, None) => 0,
            _ => return None,
        };
        Some(Function { what, attnum, by })
    }
}

/// The number of the column, where the expression is one of this relation's.
///
/// # Safety
/// An expression, as the planner has it.
pub unsafe fn column(expression: *const pg_sys::Expr, rti: pg_sys::Index) -> Option<i16> {
    // SAFETY: the tag says what it is.
    unsafe {
        if (*expression).type_ != pg_sys::NodeTag::T_Var {
            return None;
        }
        let var = expression.cast::<pg_sys::Var>();
        ((*var).varno as u32 == rti && (*var).varlevelsup == 0 && (*var).varattno > 0)
            .then_some((*var).varattno)
    }
}
