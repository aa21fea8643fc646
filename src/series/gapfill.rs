//! Filling gaps in any query: `lake.gapfill` gives the buckets of a range, to join what there is to;
//! `lake.interpolate` and `lake.locf` (an aggregate, in SQL) are window functions that fill what is null.

use super::api::need;
use crate::error::Error;
use crate::series::time;
use crate::series::zone::{self, Zone};
use pgrx::datum::{AnyElement, Interval, TimestampWithTimeZone};
use pgrx::pg_sys;
use pgrx::pg_sys::ffi::pg_guard_ffi_boundary;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use std::ffi::{c_int, c_void};

extension_sql_file!(
    "../../sql/install/54_series_gapfill.sql",
    name = "series_gapfill_sql",
    requires = ["catalog", gapfill, interpolate, locf_step]
);

#[pg_extern(schema = "lake", stable, parallel_safe)]
pub fn gapfill(
    width: Option<Interval>,
    from_ts: Option<TimestampWithTimeZone>,
    to_ts: Option<TimestampWithTimeZone>,
    timezone: default!(Option<&str>, "NULL"),
    origin: default!(Option<TimestampWithTimeZone>, "NULL"),
) -> Result<SetOfIterator<'static, TimestampWithTimeZone>, ErrorReport> {
    let width = need("width", width)?;
    let from = time::from_pg(need("from_ts", from_ts)?);
    let to = time::from_pg(need("to_ts", to_ts)?);
    for (name, ts) in [("from_ts", from), ("to_ts", to)] {
        if !time::is_finite(ts) {
            return Err(Error::invalid_parameter(format!("{name} can't be infinite"))
                .hint("There would be no end of buckets.")
                .into());
        }
    }
    let zone = timezone.map_or_else(|| Ok(Zone::session()), Zone::named)?;
    let buckets = zone::buckets(&width, zone, zone::finite_origin(origin)?)?;
    let first = buckets.start(from);
    // Where the first is an instant that there is, the others are.
    time::to_pg(first)?;
    let mut next = Some(first);
    Ok(SetOfIterator::new(std::iter::from_fn(move || {
        pgrx::check_for_interrupts!();
        let here = next.filter(|here| *here < to)?;
        next = Some(buckets.next(here));
        time::to_pg(here).ok()
    })))
}

/// The step of the aggregate `lake.locf`: the last value stands. Strict, so that it never sees a null.
#[pg_extern(schema = "_lake", immutable, parallel_safe, strict)]
pub fn locf_step(_last: AnyElement, value: AnyElement) -> AnyElement {
    value
}

/// What the window remembers from row to row. All zero at first.
#[repr(C)]
struct Neighbours {
    before: Neighbour,
    after: Neighbour,
    /// The row of `after`, from 0, or beyond the last where there is none.
    after_row: i64,
    looked: bool,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Neighbour {
    there: bool,
    ts: i64,
    value: f64,
}

impl Neighbour {
    const NONE: Self = Self { there: false, ts: 0, value: 0.0 };
}

// Of the server's `windowapi.h`, which pgrx leaves out; the same in all versions.
unsafe extern "C-unwind" {
    fn WinGetPartitionLocalMemory(window: *mut c_void, size: usize) -> *mut c_void;
    fn WinGetCurrentPosition(window: *mut c_void) -> i64;
    fn WinGetFuncArgInPartition(
        window: *mut c_void,
        argument: c_int,
        offset: c_int,
        seek: c_int,
        set_mark: bool,
        is_null: *mut bool,
        is_out: *mut bool,
    ) -> pg_sys::Datum;
}

/// `WINDOW_SEEK_CURRENT`.
const FROM_CURRENT: c_int = 0;

/// The window of a call, and its arguments at rows around the current one.
struct Window(*mut c_void);

impl Window {
    /// Value and time of the row that is `offset` away; `None` beyond the partition.
    fn at(&self, offset: c_int) -> Option<Row> {
        let read = |argument| {
            let (mut is_null, mut is_out) = (false, false);
            // SAFETY: the window is that of the call in progress; what Postgres raises comes out as a
            // panic. Without a mark, rows before the current one stay readable.
            let datum = unsafe {
                pg_guard_ffi_boundary(|| {
                    WinGetFuncArgInPartition(
                        self.0,
                        argument,
                        offset,
                        FROM_CURRENT,
                        false,
                        &raw mut is_null,
                        &raw mut is_out,
                    )
                })
            };
            (!is_out).then_some((!is_null).then_some(datum))
        };
        let (value, ts) = (read(0)?, read(1)?);
        Some(Row {
            value: value.map(|datum| f64::from_bits(datum.value() as u64)),
            ts: ts.map(|datum| datum.value() as i64),
        })
    }
}

/// The arguments at a row.
struct Row {
    value: Option<f64>,
    ts: Option<i64>,
}

impl Row {
    /// What others may lie between: a value that has a time.
    fn neighbour(&self) -> Option<Neighbour> {
        Some(Neighbour { there: true, ts: self.ts?, value: self.value? })
    }
}

/// The value where there is one, else what a straight line from the one before to the one after in the
/// order of the window has at the time of the row; null before the first and after the last.
#[pg_extern(schema = "_lake", immutable, parallel_safe, sql = false)]
pub fn interpolate(fcinfo: pg_sys::FunctionCallInfo) -> Option<f64> {
    // SAFETY: declared WINDOW, so that Postgres calls it with a window as context only; the memory is
    // zeroed, which is a state, and lives as long as the partition.
    let (window, state, row) = unsafe {
        let window = (*fcinfo).context.cast::<c_void>();
        let size = size_of::<Neighbours>();
        let state = pg_guard_ffi_boundary(|| WinGetPartitionLocalMemory(window, size));
        let row = pg_guard_ffi_boundary(|| WinGetCurrentPosition(window));
        (Window(window), &mut *state.cast::<Neighbours>(), row)
    };
    let here = window.at(0)?;
    if let Some(value) = here.value {
        state.before = here.neighbour().unwrap_or(state.before);
        return Some(value);
    }
    if !state.looked || state.after_row <= row {
        state.looked = true;
        (state.after, state.after_row) = (Neighbour::NONE, i64::MAX);
        let mut offset: c_int = 1;
        while let Some(found) = window.at(offset) {
            pgrx::check_for_interrupts!();
            if let Some(found) = found.neighbour() {
                (state.after, state.after_row) = (found, row + i64::from(offset));
                break;
            }
            offset = offset.checked_add(1)?;
        }
    }
    if !state.before.there || !state.after.there {
        return None;
    }
    lake_chunks::gapfill::between(
        (state.before.ts, state.before.value),
        (state.after.ts, state.after.value),
        here.ts?,
    )
}
