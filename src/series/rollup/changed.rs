//! The trigger that notes which buckets a statement changed.
//!
//! The entries are written as the extension's owner; what they say comes from [`touched`] and from
//! Postgres, which says what table it is.

use super::touched::{self, Touched};
use crate::access;
use crate::error::{Error, Result, SqlResult};
use crate::names::Relation;
use crate::spi;
use crate::trigger;
use pgrx::prelude::*;
use std::ffi::CStr;

#[pg_extern(
    schema = "_lake",
    sql = r#"
CREATE FUNCTION _lake.rollup_changed() RETURNS pg_catalog.trigger
    LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#
)]
fn rollup_changed(fcinfo: pg_sys::FunctionCallInfo) -> SqlResult<i64> {
    // SAFETY: this is a call by Postgres.
    let data = unsafe { trigger::data(fcinfo, "_lake.rollup_changed") }?;
    // SAFETY: trigger data is whole while the trigger runs; its arguments are C strings.
    let (table, event, arguments) = unsafe {
        let trigger = (*data).tg_trigger;
        let arguments: Vec<String> = (0..usize::try_from((*trigger).tgnargs).unwrap_or_default())
            .map(|n| CStr::from_ptr(*(*trigger).tgargs.add(n)).to_string_lossy().into_owned())
            .collect();
        ((*(*data).tg_relation).rd_id, (*data).tg_event & pg_sys::TRIGGER_EVENT_OPMASK, arguments)
    };
    let [added, time_column] = arguments.as_slice() else {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
            "_lake.rollup_changed takes two arguments",
        )
        .hint("lake.series_add_rollup makes the triggers that call it.")
        .into());
    };
    refuse_old_snapshot(table, added)?;
    // SAFETY: the relation is open while its trigger runs.
    let unreadable = unsafe { touched::has_foreign_rows((*data).tg_relation) };
    if event == pg_sys::TRIGGER_EVENT_TRUNCATE || unreadable {
        access::as_extension_owner(|| {
            spi::cached_execute(
                "INSERT INTO _lake.rollup_log (rollup_id, lo, hi) \
                 SELECT r.rollup_id, '-infinity', 'infinity' \
                 FROM _lake.rollup r WHERE r.relid OPERATOR(pg_catalog.=) $1::pg_catalog.regclass",
                &[table.into()],
            )
        })??;
        return Ok(0);
    }
    // SAFETY: the trigger is running.
    let (first, last) = unsafe { Touched::read(data, time_column) }?.ends()?;
    if first.is_empty() {
        return Ok(0);
    }
    access::as_extension_owner(|| {
        spi::cached_execute(
            "INSERT INTO _lake.rollup_log (rollup_id, lo, hi) \
             SELECT r.rollup_id, e.lo, e.hi \
             FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) AS c (first, last) \
             CROSS JOIN _lake.rollup r \
             CROSS JOIN LATERAL (SELECT lake.bucket(r.bucket, c.first, r.timezone) AS lo, \
                                        _lake.bucket_end(r.bucket, c.last, r.timezone) AS hi) e \
             WHERE r.relid OPERATOR(pg_catalog.=) $1::pg_catalog.regclass \
               AND (r.frozen_until IS NULL OR e.hi OPERATOR(pg_catalog.>) r.frozen_until)",
            &[table.into(), first.into(), last.into()],
        )
    })??;
    Ok(0)
}

/// A snapshot older than the last rollup doesn't show it, and what is written would go unnoticed.
/// `added` is which server and transaction added that.
fn refuse_old_snapshot(table: pg_sys::Oid, added: &str) -> Result<()> {
    // SAFETY: reads a variable of the current transaction.
    let committed = unsafe { pg_sys::XactIsoLevel } <= pg_sys::XACT_READ_COMMITTED as i32;
    let Some((server, transaction)) = added.split_once(':') else {
        return Ok(());
    };
    if committed {
        return Ok(());
    }
    let old = spi::scalar::<bool>(
        "SELECT c.system_identifier::pg_catalog.text OPERATOR(pg_catalog.=) $1 \
            AND $2::pg_catalog.xid8 OPERATOR(pg_catalog.<>) pg_catalog.pg_current_xact_id() \
            AND NOT pg_catalog.pg_visible_in_snapshot($2::pg_catalog.xid8, pg_catalog.pg_current_snapshot()) \
         FROM pg_catalog.pg_control_system() c",
        &[server.into(), transaction.into()],
    )?;
    if old {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE,
            format!(
                "could not serialize access: a rollup was added to {} since this transaction began",
                Relation::by_oid(table)?
            ),
        )
        .hint("Run the transaction again."));
    }
    Ok(())
}
