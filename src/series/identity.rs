//! What logical replication tells the rows of a native chunk apart by: the same as of its table. Postgres hands
//! a replica identity on to no partition, and goes by that of the partition alone.

use crate::error::Result;
use crate::names::{self, Relation};
use crate::spi;
use pgrx::pg_sys;

/// Gives a chunk the replica identity of its table. The current user is the owner.
pub fn follow(table: &Relation, chunk: &Relation) -> Result<()> {
    let of_table = spi::cached_one::<String>(
        "SELECT relreplident::pg_catalog.text FROM pg_catalog.pg_class WHERE oid = $1",
        &[table.oid.into()],
    )?;
    let identity = match of_table.as_deref() {
        Some("f") => "FULL".to_owned(),
        Some("n") => "NOTHING".to_owned(),
        Some("i") => match index_of(table, chunk)? {
            Some(index) => format!("USING INDEX {}", names::ident(&index)),
            None => return Ok(()),
        },
        // The primary key, which is what a new table has.
        _ => return Ok(()),
    };
    spi::execute(&format!("ALTER TABLE {chunk} REPLICA IDENTITY {identity}"), &[])?;
    Ok(())
}

/// As [`follow`], for all chunks.
pub fn follow_all(table: &Relation) -> Result<()> {
    let chunks = spi::rows(
        "SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = $1 ORDER BY inhrelid",
        &[table.oid.into()],
        |row| spi::need::<pg_sys::Oid>(row, 1),
    )?;
    for chunk in chunks {
        pgrx::check_for_interrupts!();
        follow(table, &Relation::by_oid(chunk)?)?;
    }
    Ok(())
}

/// The chunk's part of the index that the table is identified by.
fn index_of(table: &Relation, chunk: &Relation) -> Result<Option<String>> {
    spi::one::<String>(
        "SELECT c.relname::pg_catalog.text FROM pg_catalog.pg_index t \
         JOIN pg_catalog.pg_inherits h ON h.inhparent = t.indexrelid \
         JOIN pg_catalog.pg_index p ON p.indexrelid = h.inhrelid AND p.indrelid = $2 \
         JOIN pg_catalog.pg_class c ON c.oid = p.indexrelid \
         WHERE t.indrelid = $1 AND t.indisreplident",
        &[table.oid.into(), chunk.oid.into()],
    )
}
