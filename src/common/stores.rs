//! `lake.drop_store`: forgets a store, or drops its table too.

use crate::access;
use crate::catalog::dropped;
use crate::error::{Error, Result, SqlResult};
use crate::names::Relation;
use crate::regclass::RegClass;
use crate::spi;
use pgrx::prelude::*;
use pgrx::{PgSqlErrorCode, pg_sys};

/// Forgets everything about this table: all kinds of store on it, its metrics, jobs, history and
/// rejects; and drops it, with the table that goes with it, unless `keep_table`.
#[pg_extern(schema = "lake", volatile, parallel_unsafe)]
pub fn drop_store(
    store: Option<RegClass>,
    keep_table: default!(Option<bool>, "false"),
) -> SqlResult<()> {
    let Some(store) = store else {
        return Err(Error::null_value("store must not be null").into());
    };
    drop(store, keep_table.unwrap_or(false))?;
    Ok(())
}

fn drop(store: RegClass, keep_table: bool) -> Result<()> {
    let relation = Relation::by_oid(store.0)?;
    access::require_owner(&relation)?;
    let kinds = spi::rows(
        "SELECT companion::pg_catalog.oid FROM _lake.store \
         WHERE relid OPERATOR(pg_catalog.=) $1::pg_catalog.oid",
        &[relation.oid.into()],
        |row| spi::get::<pg_sys::Oid>(row, 1),
    )?;
    if kinds.is_empty() {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE,
            format!("{relation} is not a store"),
        )
        .hint("SELECT store FROM lake.stores shows those there are."));
    }
    // The companion's name is read before the catalogue forgets it.
    let companions = kinds
        .into_iter()
        .flatten()
        .filter_map(|oid| Relation::by_oid(oid).ok())
        .collect::<Vec<_>>();
    crate::series::rollup::drop_all(relation.oid)?;
    crate::geo::watch::drop_all(relation.oid)?;
    dropped::forget(&[relation.oid])?;
    if !keep_table {
        for companion in &companions {
            access::require_owner(companion)?;
        }
        // The store first, as what may refer to the others; one at a time, since TimescaleDB drops a
        // hypertable only by itself.
        for table in std::iter::once(&relation).chain(&companions) {
            spi::execute(&format!("DROP TABLE {table}"), &[])?;
        }
    }
    Ok(())
}
