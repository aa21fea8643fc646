//! The trigger on places and areas that are watched.

use super::compare::{self, Scope};
use super::definition;
use crate::error::{Error, Result, SqlResult};
use crate::names::{self, Relation};
use crate::trigger;
use pgrx::prelude::*;
use std::collections::BTreeSet;
use std::ffi::{CStr, CString};

/// As many ids are compared in one statement.
const BATCH: usize = 10_000;

#[pg_extern(
    schema = "_lake",
    sql = r#"
CREATE FUNCTION _lake.geo_watch_changed() RETURNS pg_catalog.trigger
    LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#
)]
fn geo_watch_changed(fcinfo: pg_sys::FunctionCallInfo) -> SqlResult<i64> {
    // SAFETY: this is a call by Postgres.
    let data = unsafe { trigger::data(fcinfo, "_lake.geo_watch_changed") }?;
    // SAFETY: trigger data is whole while the trigger runs.
    let (table, truncated) = unsafe {
        let event = (*data).tg_event & pg_sys::TRIGGER_EVENT_OPMASK;
        ((*(*data).tg_relation).rd_id, event == pg_sys::TRIGGER_EVENT_TRUNCATE)
    };
    for watch in definition::of_table(table)? {
        for (side, of_places) in [(&watch.places, true), (&watch.fences, false)] {
            if side.table.oid != table {
                continue;
            }
            if truncated {
                compare::lock(&watch, &Scope::All);
                compare::compare(&watch, &Scope::All, false)?;
                continue;
            }
            // SAFETY: the trigger is running.
            let (ids, of) = unsafe { changed_ids(data, &side.table, &side.id_name) }?;
            for ids in ids.chunks(BATCH) {
                pgrx::check_for_interrupts!();
                let scope =
                    if of_places { Scope::Places(ids, &of) } else { Scope::Fences(ids, &of) };
                compare::lock(&watch, &scope);
                compare::compare(&watch, &scope, false)?;
            }
        }
    }
    Ok(0)
}

/// The ids of rows as they were and as they are, as texts, each once; and their type.
///
/// # Safety
/// `data` is of a trigger that is running.
unsafe fn changed_ids(
    data: *const pg_sys::TriggerData,
    table: &Relation,
    column: &str,
) -> Result<(Vec<String>, String)> {
    let mut ids = BTreeSet::new();
    // SAFETY: the relation is open while its trigger runs, and its transition tables have its columns;
    // an output function takes any value of its type and returns a C string.
    unsafe {
        let (attribute, kind) = attribute(table, column)?;
        let (mut output, mut varlena) = (pg_sys::InvalidOid, false);
        pg_sys::getTypeOutputInfo(kind, &raw mut output, &raw mut varlena);
        for rows in trigger::tables(data) {
            trigger::each(rows, (*(*data).tg_relation).rd_att, attribute, |id| {
                let text = pg_sys::OidOutputFunctionCall(output, id);
                ids.insert(CStr::from_ptr(text).to_string_lossy().into_owned());
                pg_sys::pfree(text.cast());
            });
        }
        let of = CStr::from_ptr(pg_sys::format_type_be_qualified(kind));
        Ok((ids.into_iter().collect(), of.to_string_lossy().into_owned()))
    }
}

/// Number and type of the column of ids. 42703 where it is gone.
fn attribute(table: &Relation, column: &str) -> Result<(i16, pg_sys::Oid)> {
    let name = CString::new(column).unwrap_or_default();
    // SAFETY: both look into the catalogue.
    unsafe {
        let attribute = pg_sys::get_attnum(table.oid, name.as_ptr());
        if attribute > 0 {
            return Ok((attribute, pg_sys::get_atttype(table.oid, attribute)));
        }
    }
    Err(Error::new(
        PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
        format!("{table} is watched by its column {}, which is gone", names::ident(column)),
    )
    .hint("Give it its name back, or end the watch: SELECT lake.geo_unwatch(events) FROM lake.geo_watches;"))
}
