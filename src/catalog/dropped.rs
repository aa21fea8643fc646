//! Tables that are gone take their rows of the catalogue with them: at once by an event trigger, and
//! at the next visit of a worker where event triggers were off.

use crate::access;
use crate::chunk::companion;
use crate::error::{Result, SqlResult};
use crate::spi;
use pgrx::pg_sys;
use pgrx::prelude::*;

/// The tables of the catalogue that hold rows about a store, the store itself last; a job before its
/// runs, as the end of a run locks them.
const ABOUT_STORES: [&str; 15] = [
    "job",
    "job_run",
    "metric",
    "reject",
    "series_keep",
    "series_dropping",
    "series_thinned",
    "vector_load",
    "vector_index",
    "vector_recall",
    "vector_finding",
    "vector_cost",
    "rollup",
    "geo_watch",
    "store",
];

/// Deletes what the catalogue holds about these tables, and forgets those that were companions.
/// Returns how many stores that were. The caller's right to drop them has been used already.
pub fn forget(tables: &[pg_sys::Oid]) -> Result<u64> {
    if tables.is_empty() {
        return Ok(0);
    }
    for table in tables {
        crate::vector::changed(*table);
    }
    if spi::scalar::<bool>(
        "SELECT EXISTS (SELECT FROM _lake.series_compressed WHERE chunk = ANY ($1))",
        &[tables.to_vec().into()],
    )? {
        companion::sweep()?;
    }
    access::as_extension_owner(|| {
        let mut stores = 0;
        for table in ABOUT_STORES {
            stores = spi::execute(
                &format!(
                    "DELETE FROM _lake.{table} WHERE relid::pg_catalog.oid = ANY ($1::pg_catalog.oid[])"
                ),
                &[tables.to_vec().into()],
            )?;
        }
        spi::execute(
            "DELETE FROM _lake.rollup WHERE view::pg_catalog.oid = ANY ($1::pg_catalog.oid[]) \
             OR parts::pg_catalog.oid = ANY ($1::pg_catalog.oid[])",
            &[tables.to_vec().into()],
        )?;
        spi::execute(
            "DELETE FROM _lake.rollup_log l WHERE NOT EXISTS \
             (SELECT FROM _lake.rollup r WHERE r.rollup_id = l.rollup_id)",
            &[],
        )?;
        spi::execute(
            "DELETE FROM _lake.geo_watch WHERE fences::pg_catalog.oid = ANY ($1::pg_catalog.oid[]) \
             OR events::pg_catalog.oid = ANY ($1::pg_catalog.oid[]) \
             OR inside::pg_catalog.oid = ANY ($1::pg_catalog.oid[])",
            &[tables.to_vec().into()],
        )?;
        spi::execute(
            "UPDATE _lake.store SET companion = NULL \
             WHERE companion::pg_catalog.oid = ANY ($1::pg_catalog.oid[])",
            &[tables.to_vec().into()],
        )?;
        Ok(stores)
    })?
}

/// Forgets every table that isn't there any more. Returns how many stores that were.
pub fn prune() -> Result<u64> {
    companion::sweep()?;
    let mut gone = Vec::new();
    for table in ABOUT_STORES {
        gone.extend(spi::rows(
            &format!(
                "SELECT DISTINCT t.relid::pg_catalog.oid FROM _lake.{table} t \
                 WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = t.relid)"
            ),
            &[],
            |row| spi::need::<pg_sys::Oid>(row, 1),
        )?);
    }
    gone.extend(spi::rows(
        "SELECT s.companion::pg_catalog.oid FROM _lake.store s WHERE s.companion IS NOT NULL \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = s.companion)",
        &[],
        |row| spi::need::<pg_sys::Oid>(row, 1),
    )?);
    forget(&gone)
}

/// The event trigger on `sql_drop`. It runs for whoever drops anything, so it does as little as can
/// be; dropping the extension itself drops the trigger and the catalogue with it.
#[pg_extern(
    schema = "_lake",
    sql = r#"
CREATE FUNCTION _lake.on_drop() RETURNS pg_catalog.event_trigger
    LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
REVOKE ALL ON FUNCTION _lake.on_drop() FROM PUBLIC;
"#
)]
fn on_drop() -> SqlResult<()> {
    let dropped = spi::rows(
        "SELECT objid FROM pg_catalog.pg_event_trigger_dropped_objects() \
         WHERE classid OPERATOR(pg_catalog.=) 1259::pg_catalog.oid \
           AND objsubid OPERATOR(pg_catalog.=) 0 \
           AND object_type OPERATOR(pg_catalog.<>) 'index'",
        &[],
        |row| spi::need::<pg_sys::Oid>(row, 1),
    )?;
    let catalogue = spi::one::<bool>(
        "SELECT pg_catalog.to_regclass('_lake.store') IS NOT NULL \
            AND pg_catalog.to_regclass('_lake.visit') IS NOT NULL",
        &[],
    )?;
    if catalogue == Some(true) {
        forget(&dropped)?;
    }
    Ok(())
}

extension_sql!(
    r#"
CREATE EVENT TRIGGER lake_stores_drop ON sql_drop EXECUTE FUNCTION _lake.on_drop();
COMMENT ON EVENT TRIGGER lake_stores_drop IS 'a store dropped by hand leaves nothing in the catalogue of lake_stores';
"#,
    name = "drop_trigger",
    requires = [on_drop, "catalog"]
);
