//! Compressed chunks: the table access method `lake_chunk`, a thin one over heap.
//!
//! A chunk with compressed rows has two parts: the heap, where rows that come late go, and batches in a
//! companion table, an ordinary heap of its own. Which companion belongs to which chunk is written in
//! `_lake.series_compressed`, by the chunk's OID **and the file of its heap part**: whatever gives the
//! table a new file (TRUNCATE, a rewriting ALTER TABLE, which has read the batches as well) thereby lets
//! go of its batches, in the same transaction and undone with it.
//!
//! - [`routine`] — the access method: heap's own callbacks, but for those that must know of batches.
//! - [`scan`] — plain scans: the rows of the heap, then those of the batches, under one snapshot; [`rows`] — the rows
//!   of batches; [`reader`] — the batches themselves, their statistics and columns.
//! - [`writes`] — what may be written beside batches, and what is refused; [`keys`] — whether a new row
//!   repeats a key of theirs; [`batches`] — single columns of single batches, for that.
//! - [`thaw`] — what is changed or locked moves into the heap, batch by batch; [`address`] — the `ctid` of
//!   compressed rows.
//! - [`custom`] — a scan for queries, which reads no more columns and batches than they need.
//! - [`aggregate`] — aggregates from batches, without rows.
//! - For both: [`block`] — columns of some rows, [`select`] — those that conditions leave, [`evaluate`] — expressions of single rows.
//! - [`planner`] — no plan goes by an index while there are batches.
//! - [`link`] — from the chunk to its batches; [`companion`] — the table of batches.
//! - [`mod@column`] — datums to columns of [`lake_codec`] and back.
//!
//! What can't be answered rightly is an error with a hint; nothing is left out in silence.

mod address;
mod aggregate;
mod batches;
mod block;
pub mod column;
pub mod companion;
mod custom;
mod evaluate;
mod keys;
pub mod link;
mod planner;
mod reader;
pub mod routine;
mod rows;
mod scan;
mod select;
mod thaw;
mod writes;

use crate::error::Error;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, pg_sys};

pub use rows::Rows;

/// Whether a row that a scan has returned is compressed, by its `ctid`.
pub fn is_compressed(tid: pg_sys::ItemPointerData) -> bool {
    address::Address::read(tid).is_some() || tid.ip_posid == rows::NOWHERE.ip_posid
}

/// Called once, while the library is loaded: by preloading, or by the first look at such a table.
pub fn install() {
    planner::install();
    custom::install();
    aggregate::install();
}

/// Raises an error from a callback, which has nobody to return it to.
fn raise(error: Error) -> ! {
    ErrorReport::from(error).report(PgLogLevel::ERROR);
    unreachable!("an error was raised")
}

fn or_raise<T>(result: crate::error::Result<T>) -> T {
    result.unwrap_or_else(|error| raise(error))
}

/// The chunk's name, as SQL, for messages.
///
/// # Safety
/// The relation is open.
unsafe fn name(rel: pg_sys::Relation) -> String {
    // SAFETY: as the caller says.
    let oid = unsafe { (*rel).rd_id };
    crate::names::Relation::by_oid(oid).map_or_else(|_| oid.to_u32().to_string(), |r| r.to_string())
}

/// The statement that makes the chunk plain again, for hints.
///
/// # Safety
/// The relation is open.
unsafe fn decompress_hint(rel: pg_sys::Relation) -> String {
    // SAFETY: as the caller says.
    let name = unsafe { name(rel) };
    format!(
        "Make it plain first: SELECT * FROM lake.series_decompress_chunk({});",
        crate::names::literal(&name)
    )
}

/// 0A000: what can't be done with a chunk that has compressed rows.
///
/// # Safety
/// The relation is open.
unsafe fn refuse(rel: pg_sys::Relation, what: &str) -> ! {
    // SAFETY: as the caller says.
    let (name, hint) = unsafe { (name(rel), decompress_hint(rel)) };
    raise(Error::unsupported(format!("{name} has compressed rows: {what}")).hint(hint))
}
