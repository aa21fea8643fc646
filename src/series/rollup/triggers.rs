//! The triggers that write the log: there once for all rollups of a store.

use super::definition;
use crate::access;
use crate::catalog::Store;
use crate::error::Result;
use crate::names::{self, Relation};
use crate::spi;

/// Each with what it has to see.
const EVENTS: [(&str, &str); 4] = [
    ("insert", "REFERENCING NEW TABLE AS changed"),
    ("delete", "REFERENCING OLD TABLE AS changed"),
    ("update", "REFERENCING NEW TABLE AS changed OLD TABLE AS changed_before"),
    ("truncate", ""),
];

/// Makes them, or tells those that are there which transaction added a rollup last.
pub fn ensure(store: &Store) -> Result<()> {
    let added = access::as_extension_owner(|| {
        spi::scalar::<String>(
            "SELECT c.system_identifier::pg_catalog.text || ':' || pg_catalog.pg_current_xact_id()::pg_catalog.text \
             FROM pg_catalog.pg_control_system() c",
            &[],
        )
    })??;
    let table = &store.relation;
    let (added, time) = (names::literal(&added), names::literal(definition::time_column(store)?));
    for (event, tables) in EVENTS {
        spi::execute(
            &format!(
                "CREATE OR REPLACE TRIGGER lake_rollup_{event} AFTER {event} ON {table} {tables} \
                 FOR EACH STATEMENT EXECUTE FUNCTION _lake.rollup_changed({added}, {time})"
            ),
            &[],
        )?;
    }
    Ok(())
}

pub fn drop(table: &Relation) -> Result<()> {
    for (event, _) in EVENTS {
        spi::execute(&format!("DROP TRIGGER IF EXISTS lake_rollup_{event} ON {table}"), &[])?;
    }
    Ok(())
}
