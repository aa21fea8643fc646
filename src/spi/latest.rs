//! Statements that see what is committed now, whatever the transaction's own snapshot is: for triggers
//! that keep a table of the extension's in step with others, as Postgres itself checks foreign keys.

use crate::error::{Error, Result};
use pgrx::datum::DatumWithOid;
use pgrx::spi::SpiHeapTupleData;
use pgrx::{Spi, pg_sys};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CString, c_char};

thread_local! {
    static PLANS: RefCell<HashMap<(String, Vec<pg_sys::Oid>), pg_sys::SPIPlanPtr>> = RefCell::default();
}

/// As [`super::cached_rows`], with a snapshot taken now and the transaction's own changes.
pub fn latest_rows<T>(
    sql: &str,
    args: &[DatumWithOid<'_>],
    mut read: impl FnMut(&SpiHeapTupleData<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    Spi::connect_mut(|_client| {
        let plan = plan(sql, args)?;
        let mut values: Vec<pg_sys::Datum> = args
            .iter()
            .map(|arg| arg.datum().map_or(pg_sys::Datum::from(0), |d| d.sans_lifetime()))
            .collect();
        let nulls: Vec<c_char> = args
            .iter()
            .map(|arg| if arg.datum().is_some() { b' ' as c_char } else { b'n' as c_char })
            .collect();
        // SAFETY: SPI is connected; values and nulls are as many as the plan has parameters, of the
        // types it was made for, and outlive the call, which copies the snapshot. Errors are raised.
        let (count, table) = unsafe {
            pg_sys::SPI_tuptable = std::ptr::null_mut();
            let status = pg_sys::SPI_execute_snapshot(
                plan,
                values.as_mut_ptr(),
                nulls.as_ptr(),
                pg_sys::GetLatestSnapshot(),
                std::ptr::null_mut(),
                false,
                true,
                0,
            );
            if status < 0 {
                return Err(Error::internal(format!("SPI_execute_snapshot: {status}")));
            }
            (pg_sys::SPI_processed as usize, pg_sys::SPI_tuptable)
        };
        let mut out = Vec::new();
        if table.is_null() {
            return Ok(out);
        }
        for n in 0..count {
            pgrx::check_for_interrupts!();
            // SAFETY: a result has as many rows as were processed; it lives until SPI is left.
            let row = unsafe { SpiHeapTupleData::new((*table).tupdesc, *(*table).vals.add(n)) }?
                .ok_or_else(|| Error::internal("a row without columns"))?;
            out.push(read(&row)?);
        }
        Ok(out)
    })
}

/// The kept plan of a statement. To be called while SPI is connected.
fn plan(sql: &str, args: &[DatumWithOid<'_>]) -> Result<pg_sys::SPIPlanPtr> {
    let mut types: Vec<pg_sys::Oid> = args.iter().map(DatumWithOid::oid).collect();
    let key = (sql.to_owned(), types.clone());
    if let Some(plan) = PLANS.with_borrow(|plans| plans.get(&key).copied()) {
        return Ok(plan);
    }
    let text = CString::new(sql).map_err(|_| Error::internal("a statement with a NUL byte"))?;
    // SAFETY: text and types outlive the call, which raises what is wrong with the statement.
    let plan =
        unsafe { pg_sys::SPI_prepare(text.as_ptr(), types.len() as i32, types.as_mut_ptr()) };
    if plan.is_null() {
        return Err(Error::internal(format!("no plan for: {sql}")));
    }
    // Those beyond go with this connection to SPI. None is freed, as it may be running further out.
    PLANS.with_borrow_mut(|plans| {
        // SAFETY: a plan that is kept lives as long as the session.
        if plans.len() < super::MAX_PLANS && unsafe { pg_sys::SPI_keepplan(plan) } == 0 {
            plans.insert(key, plan);
        }
    });
    Ok(plan)
}
