//! The trigger that notes which buckets a statement changed.
//!
//! It reads the transition tables with the rights of whoever writes, as what they hold, and what is
//! called to read it, is up to the table's owner; only the entries are written as the extension's owner.

use crate::access;
use crate::error::{Error, Result, SqlResult};
use crate::names::Relation;
use crate::spi;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;
use std::ffi::CStr;

/// One range for each day that was touched.
const RANGES: &str = "SELECT pg_catalog.array_agg(d.first), pg_catalog.array_agg(d.last) \
     FROM (SELECT pg_catalog.min(c.ts) AS first, pg_catalog.max(c.ts) AS last FROM (";
const BY_DAY: &str = ") c GROUP BY pg_catalog.date_trunc('day', c.ts)) d";

type Ends = Vec<TimestampWithTimeZone>;

#[pg_extern(
    schema = "_lake",
    sql = r#"
CREATE FUNCTION _lake.rollup_changed() RETURNS pg_catalog.trigger
    LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#
)]
fn rollup_changed(fcinfo: pg_sys::FunctionCallInfo) -> SqlResult<i64> {
    // SAFETY: Postgres passes a call; one by a trigger has its data as the context, which lives as
    // long as the call.
    let data = unsafe {
        let context = (*fcinfo).context;
        if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_TriggerData {
            return Err(Error::new(
                PgSqlErrorCode::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
                "_lake.rollup_changed is called by triggers alone",
            )
            .into());
        }
        context.cast::<pg_sys::TriggerData>()
    };
    // SAFETY: trigger data is whole while the trigger runs; its arguments are C strings.
    let (table, event, argument) = unsafe {
        let trigger = (*data).tg_trigger;
        let argument = ((*trigger).tgnargs > 0)
            .then(|| CStr::from_ptr(*(*trigger).tgargs).to_string_lossy().into_owned());
        ((*(*data).tg_relation).rd_id, (*data).tg_event & pg_sys::TRIGGER_EVENT_OPMASK, argument)
    };
    refuse_old_snapshot(table, argument.as_deref())?;
    if event == pg_sys::TRIGGER_EVENT_TRUNCATE {
        access::as_extension_owner(|| {
            spi::cached_execute(
                "INSERT INTO _lake.rollup_log (rollup_id, lo, hi) \
                 SELECT r.rollup_id, COALESCE(r.frozen_until, '-infinity'), 'infinity' \
                 FROM _lake.rollup r WHERE r.relid OPERATOR(pg_catalog.=) $1::pg_catalog.regclass",
                &[table.into()],
            )
        })??;
        return Ok(0);
    }
    let tables = if event == pg_sys::TRIGGER_EVENT_UPDATE {
        "SELECT n.ts FROM changed n UNION ALL SELECT o.ts FROM changed_before o"
    } else {
        "SELECT n.ts FROM changed n"
    };
    let Some((first, last)) = touched(data, tables)? else { return Ok(0) };
    access::as_extension_owner(|| {
        spi::cached_execute(
            "INSERT INTO _lake.rollup_log (rollup_id, lo, hi) \
             SELECT r.rollup_id, GREATEST(e.lo, r.frozen_until), e.hi \
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

/// The first and last instants of the days that a statement touched; `None` where it touched no row.
fn touched(data: *mut pg_sys::TriggerData, tables: &str) -> Result<Option<(Ends, Ends)>> {
    Spi::connect_mut(|client| {
        // SAFETY: makes the transition tables visible to this connection, while the trigger runs.
        unsafe { pg_sys::SPI_register_trigger_data(data) };
        for row in client.select(&format!("{RANGES}{tables}{BY_DAY}"), None, &[])? {
            if let Some(first) = row.get::<Ends>(1)? {
                return Ok(Some((first, row.get::<Ends>(2)?.unwrap_or_default())));
            }
        }
        Ok(None)
    })
}

/// A snapshot older than the last rollup doesn't show it, and what is written would go unnoticed.
/// `added` is which server and transaction added that.
fn refuse_old_snapshot(table: pg_sys::Oid, added: Option<&str>) -> Result<()> {
    // SAFETY: reads a variable of the current transaction.
    let committed = unsafe { pg_sys::XactIsoLevel } <= pg_sys::XACT_READ_COMMITTED as i32;
    let Some((server, transaction)) = added.and_then(|added| added.split_once(':')) else {
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
