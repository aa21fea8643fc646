//! Talking to the executor: typed helpers over SPI, and settings that hold for one call only.
//!
//! Values always go as parameters. SQL text is built from constants and from [`crate::names`].
//!
//! Every statement but [`rows_of_scan`] runs as a prepared one that may write, through pgrx's `select`: its `update` gives
//! each transaction a transaction id, which reads shouldn't use up and a standby can't give.

use crate::error::{Error, Result};
use pgrx::datum::DatumWithOid;
use pgrx::spi::{OwnedPreparedStatement, SpiHeapTupleData, SpiTupleTable};
use pgrx::{FromDatum, IntoDatum, PgOid, Spi, pg_sys};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::rc::Rc;

mod latest;

pub use latest::latest_rows;

/// Runs a statement and returns how many rows it wrote or returned.
pub fn execute(sql: &str, args: &[DatumWithOid<'_>]) -> Result<u64> {
    Spi::connect_mut(|client| {
        let plan = client.prepare_mut(sql, &types(args))?;
        Ok(client.select(&plan, None, args)?.len() as u64)
    })
}

/// The first column of the first row; `None` where there is no row or the value is null.
pub fn one<T: FromDatum + IntoDatum>(sql: &str, args: &[DatumWithOid<'_>]) -> Result<Option<T>> {
    Spi::connect_mut(|client| {
        let plan = client.prepare_mut(sql, &types(args))?;
        let table = client.select(&plan, Some(1), args)?;
        if table.is_empty() { Ok(None) } else { Ok(table.first().get_one::<T>()?) }
    })
}

/// As [`one`], for what can't be null.
pub fn scalar<T: FromDatum + IntoDatum>(sql: &str, args: &[DatumWithOid<'_>]) -> Result<T> {
    one(sql, args)?.ok_or_else(|| Error::internal(format!("no value from: {sql}")))
}

/// Every row through `read`, which takes columns by their ordinal, from 1.
pub fn rows<T>(
    sql: &str,
    args: &[DatumWithOid<'_>],
    mut read: impl FnMut(&SpiHeapTupleData<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    Spi::connect_mut(|client| {
        let plan = client.prepare_mut(sql, &types(args))?;
        let table: SpiTupleTable<'_> = client.select(&plan, None, args)?;
        let mut out = Vec::with_capacity(table.len());
        for row in table {
            pgrx::check_for_interrupts!();
            out.push(read(&row)?);
        }
        Ok(out)
    })
}

/// As [`rows`], for statements that read much: planned for these values, and in parallel where the
/// planner sees fit, which statements that are prepared to write never are.
pub fn rows_of_scan<T>(
    sql: &str,
    args: &[DatumWithOid<'_>],
    mut read: impl FnMut(&SpiHeapTupleData<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    Spi::connect(|client| {
        let table: SpiTupleTable<'_> = client.select(sql, None, args)?;
        let mut out = Vec::with_capacity(table.len());
        for row in table {
            pgrx::check_for_interrupts!();
            out.push(read(&row)?);
        }
        Ok(out)
    })
}

/// As [`rows`], through a plan kept for the life of the session: for statements on hot paths. The
/// text must have few shapes (names of stores, shapes of filters), values go as parameters.
pub fn cached_rows<T>(
    sql: &str,
    args: &[DatumWithOid<'_>],
    mut read: impl FnMut(&SpiHeapTupleData<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let plan = plan(sql, args)?;
    Spi::connect_mut(|client| {
        let table: SpiTupleTable<'_> = client.select(&*plan, None, args)?;
        let mut out = Vec::with_capacity(table.len());
        for row in table {
            pgrx::check_for_interrupts!();
            out.push(read(&row)?);
        }
        Ok(out)
    })
}

/// As [`one`], through a kept plan.
pub fn cached_one<T: FromDatum + IntoDatum>(
    sql: &str,
    args: &[DatumWithOid<'_>],
) -> Result<Option<T>> {
    Ok(cached_rows(sql, args, |row| get::<T>(row, 1))?.into_iter().next().flatten())
}

/// As [`execute`], through a kept plan.
pub fn cached_execute(sql: &str, args: &[DatumWithOid<'_>]) -> Result<u64> {
    let plan = plan(sql, args)?;
    Spi::connect_mut(|client| Ok(client.select(&*plan, None, args)?.len() as u64))
}

/// How many plans a session keeps before it starts anew.
const MAX_PLANS: usize = 256;

thread_local! {
    static PLANS: RefCell<HashMap<PlanKey, Rc<OwnedPreparedStatement>>> = RefCell::default();
}

/// The text, the types of the parameters, and the search path under which names were resolved
/// (Postgres itself replans when the path changes; nothing more is needed here).
type PlanKey = (String, Vec<pg_sys::Oid>);

fn plan(sql: &str, args: &[DatumWithOid<'_>]) -> Result<Rc<OwnedPreparedStatement>> {
    let key = (sql.to_owned(), args.iter().map(DatumWithOid::oid).collect());
    if let Some(plan) = PLANS.with_borrow(|plans| plans.get(&key).cloned()) {
        return Ok(plan);
    }
    let plan = Rc::new(Spi::connect_mut(|client| {
        Ok::<_, Error>(client.prepare_mut(sql, &types(args))?.keep())
    })?);
    PLANS.with_borrow_mut(|plans| {
        if plans.len() >= MAX_PLANS {
            plans.clear();
        }
        plans.insert(key, Rc::clone(&plan));
    });
    Ok(plan)
}

fn types(args: &[DatumWithOid<'_>]) -> Vec<PgOid> {
    args.iter().map(|arg| PgOid::from(arg.oid())).collect()
}

/// Reads a column; `None` for null.
pub fn get<T: FromDatum + IntoDatum>(
    row: &SpiHeapTupleData<'_>,
    ordinal: usize,
) -> Result<Option<T>> {
    Ok(row.get::<T>(ordinal)?)
}

/// Reads a column that can't be null.
pub fn need<T: FromDatum + IntoDatum>(row: &SpiHeapTupleData<'_>, ordinal: usize) -> Result<T> {
    get(row, ordinal)?.ok_or_else(|| Error::internal(format!("column {ordinal} is null")))
}

/// A setting's value as text; `None` where nothing in this session knows it.
pub fn setting(name: &str) -> Option<String> {
    let name = CString::new(name).ok()?;
    // SAFETY: the name outlives the call, which returns null for an unknown setting; what it returns
    // is copied before anything else runs.
    unsafe {
        let value = pg_sys::GetConfigOption(name.as_ptr(), true, false);
        (!value.is_null()).then(|| CStr::from_ptr(value).to_string_lossy().into_owned())
    }
}

/// Settings that end with this value: the counterpart of a function's `SET` clause. On error the
/// transaction (or subtransaction) that is aborted undoes them, so nothing ever leaks.
pub struct LocalSettings {
    level: i32,
}

impl LocalSettings {
    pub fn new() -> Self {
        // SAFETY: opens a nesting level; closed in drop, or by the abort that follows an error.
        Self { level: unsafe { pg_sys::NewGUCNestLevel() } }
    }

    /// `pg_catalog, pg_temp` as the search path, so that nobody's functions or operators stand in
    /// for Postgres' own in the statements that follow.
    pub fn safe_search_path() -> Self {
        let settings = Self::new();
        settings.set("search_path", "pg_catalog, pg_temp");
        settings
    }

    /// As [`LocalSettings::set`], where the value isn't that already.
    pub fn set_other(&self, name: &str, value: &str) {
        if setting(name).as_deref() != Some(value) {
            self.set(name, value);
        }
    }

    /// Sets a parameter as the caller could with `SET`. An unknown or refused one is an error.
    pub fn set(&self, name: &str, value: &str) {
        let (Ok(name), Ok(value)) = (CString::new(name), CString::new(value)) else {
            return;
        };
        // SAFETY: both strings outlive the call; the action applies to this nesting level.
        unsafe {
            pg_sys::set_config_option(
                name.as_ptr(),
                value.as_ptr(),
                if pg_sys::superuser() {
                    pg_sys::GucContext::PGC_SUSET
                } else {
                    pg_sys::GucContext::PGC_USERSET
                },
                pg_sys::GucSource::PGC_S_SESSION,
                pg_sys::GucAction::GUC_ACTION_SAVE,
                true,
                0,
                false,
            );
        }
    }
}

impl Drop for LocalSettings {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: closes the level opened in `new`; values set at it are restored.
            unsafe { pg_sys::AtEOXact_GUC(true, self.level) }
        }
    }
}

/// Runs `f` with [`LocalSettings::safe_search_path`].
pub fn with_safe_search_path<R>(f: impl FnOnce() -> R) -> R {
    let _path = LocalSettings::safe_search_path();
    f()
}
