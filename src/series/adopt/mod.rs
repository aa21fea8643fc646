//! A plain table with rows becomes a store cut into chunks, in one transaction: all of it or nothing.
//!
//! The rows are copied into the chunks of a new table, under a lock that holds writers back and lets
//! readers go on; then the new table takes the place of the old one, which nobody may use for that
//! moment. Writers who have waited find the new table by its name.
//!
//! - [`refuse`] — what can't be carried over, said before anything is done.
//! - [`carry`] — what belongs to a table beside its rows: indexes, keys, grants, policies, triggers.

mod carry;
mod refuse;

use crate::access;
use crate::error::{Error, Result};
use crate::gucs;
use crate::names::{self, Relation};
use crate::series::{identity, native};
use crate::spi;
use crate::workers::waits;
use carry::Belongings;
use lake_chunks::Micros;
use lake_chunks::range::Width;
use pgrx::PgSqlErrorCode;
use pgrx::datum::TimestampWithTimeZone;
use std::time::Duration;

/// How long the last moment, when nobody may use the table, is waited for while hardly anybody waits
/// behind. After that others do, for `lake_stores.worker_lock_timeout`.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether this is a table of rows that isn't cut in any way.
pub fn is_plain(table: &Relation) -> Result<bool> {
    spi::scalar("SELECT relkind = 'r' FROM pg_catalog.pg_class WHERE oid = $1", &[table.oid.into()])
}

/// Moves the table's rows into chunks of this width and returns what has taken its place. The current
/// user has the rights of its owner, and the column is a `timestamptz`.
pub fn move_into_chunks(table: &Relation, column: &str, width: Width) -> Result<Relation> {
    refuse::what_cannot_be_carried(table, column)?;
    let owner = access::owner_of(table)?;
    native::owner_may_create(table, owner)?;
    access::as_role(owner, || {
        let settings = spi::LocalSettings::new();
        // Rows that a policy hides would be lost: an error instead.
        settings.set("row_security", "off");
        settings.set("quote_all_identifiers", "off");
        spi::execute(&format!("LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE"), &[])?;
        refuse::unfit_times(table, column)?;
        let mut belongings = Belongings::of(table)?;
        let new = create(table, column)?;
        let name = new.to_string();
        native::make_named(&new, &table.name, width, &instants(table, column, width)?)?;
        copy(table, &name)?;
        belongings.before(&new)?;
        waits::lock_within(table, PATIENCE, gucs::worker_lock_timeout())?;
        belongings.free_sequences(&new)?;
        spi::execute(&format!("DROP TABLE {table}"), &[])?;
        spi::execute(&format!("ALTER TABLE {name} RENAME TO {}", names::ident(&table.name)), &[])?;
        belongings.after()?;
        let adopted = Relation::by_oid(new.oid)?;
        identity::follow_all(&adopted)?;
        Ok(adopted)
    })
}

/// An empty table of the same columns, partitioned. Keys and indexes come once there are rows.
fn create(table: &Relation, column: &str) -> Result<Relation> {
    let name = format!("lake_adopt_{}", table.oid.to_u32());
    let qualified = table.sibling(&name);
    let tablespace = spi::one::<String>(
        "SELECT t.spcname::text FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_tablespace t ON t.oid = c.reltablespace WHERE c.oid = $1",
        &[table.oid.into()],
    )?
    .map_or_else(String::new, |name| format!(" TABLESPACE {}", names::ident(&name)));
    spi::execute(
        &format!(
            "CREATE TABLE {qualified} (LIKE {table} INCLUDING ALL EXCLUDING INDEXES) \
             PARTITION BY RANGE ({}){tablespace}",
            names::ident(column)
        ),
        &[],
    )?;
    let oid = spi::scalar(
        "SELECT pg_catalog.to_regclass($1)::pg_catalog.oid",
        &[qualified.as_str().into()],
    )?;
    Relation::by_oid(oid)
}

/// One instant for each chunk that the rows need, sorted.
fn instants(table: &Relation, column: &str, width: Width) -> Result<Vec<Micros>> {
    let column = names::ident(column);
    let mut found = spi::rows(
        &format!(
            "SELECT pg_catalog.min({column}) FROM {table} GROUP BY pg_catalog.date_bin( \
                 pg_catalog.make_interval(secs => $1), {column}, '2000-01-03 00:00+00'::pg_catalog.timestamptz)"
        ),
        &[seconds(width).into()],
        |row| spi::need::<TimestampWithTimeZone>(row, 1),
    )?
    .into_iter()
    .map(crate::series::time::from_pg)
    .collect::<Vec<_>>();
    found.sort_unstable();
    if found.len() > native::MAX_NEW_CHUNKS {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
            format!(
                "{table}: its rows need {} chunks; at most {} are made at once",
                found.len(),
                native::MAX_NEW_CHUNKS
            ),
        )
        .hint("Take a larger chunk_interval."));
    }
    Ok(found)
}

/// Every row, and a count of both sides that says so.
fn copy(table: &Relation, new: &str) -> Result<()> {
    let columns = spi::rows(
        "SELECT attname::text FROM pg_catalog.pg_attribute \
         WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum",
        &[table.oid.into()],
        |row| spi::need::<String>(row, 1),
    )?;
    let columns: Vec<String> = columns.iter().map(|column| names::ident(column)).collect();
    let columns = columns.join(", ");
    spi::execute(
        &format!(
            "INSERT INTO {new} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM ONLY {table}"
        ),
        &[],
    )?;
    let count =
        |table: &str| spi::scalar::<i64>(&format!("SELECT pg_catalog.count(*) FROM {table}"), &[]);
    let (before, after) = (count(&format!("ONLY {table}"))?, count(new)?);
    if before != after {
        return Err(Error::internal(format!("{table} has {before} rows, and {after} were moved")));
    }
    Ok(())
}

/// Widths are whole minutes, ten years at most.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn seconds(width: Width) -> f64 {
    (width.micros() / 1_000_000) as f64
}
