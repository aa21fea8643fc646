//! Making the compressed rows of a chunk plain again, in one transaction, under a lock against everybody.
//!
//! The access method stays: it tells those whose snapshot is older than this that they can't read the
//! chunk any more, which heap wouldn't. `ALTER TABLE … SET ACCESS METHOD heap` takes it off.

use super::{find, link, require_read_committed};
use crate::chunk::{Rows, link as linked, routine};
use crate::compat;
use crate::error::Result;
use crate::regclass::RegClass;
use crate::spi;
use crate::workers::waits;
use pgrx::pg_sys;

/// How many rows there were.
pub fn decompress(chunk: RegClass) -> Result<i64> {
    require_read_committed("series_decompress_chunk")?;
    let (chunk, _) = find(chunk)?;
    let _settings = spi::LocalSettings::safe_search_path();
    waits::lock(&chunk)?;
    // SAFETY: the chunk is locked against everybody; what is opened is closed, or goes with the error.
    let rows = unsafe {
        let rel = pg_sys::table_open(chunk.oid, pg_sys::NoLock as pg_sys::LOCKMODE);
        pg_sys::CheckTableNotInUse(rel, c"lake.series_decompress_chunk".as_ptr());
        let batches = routine::is_ours(rel).then(|| linked::now(rel)).flatten();
        let rows = batches.and_then(|link| link.batches).map(|batches| insert(rel, batches));
        pg_sys::table_close(rel, pg_sys::NoLock as pg_sys::LOCKMODE);
        rows
    };
    let Some(rows) = rows else { return Ok(0) };
    link(&chunk, None, 0, 0)?;
    // SAFETY: the chunk is locked against everybody.
    unsafe {
        pg_sys::CommandCounterIncrement();
        compat::reindex(chunk.oid);
    }
    Ok(rows)
}

/// Inserts the rows of the batches into the heap: no trigger fires, and nothing is replicated, as no row is new.
unsafe fn insert(rel: pg_sys::Relation, batches: pg_sys::Oid) -> i64 {
    // SAFETY: as the caller says.
    unsafe {
        let snapshot = pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot());
        let mut rows = Rows::open(batches, snapshot);
        let command = pg_sys::GetCurrentCommandId(true);
        let options = (pg_sys::TABLE_INSERT_NO_LOGICAL | pg_sys::TABLE_INSERT_SKIP_FSM) as i32;
        let bulk = pg_sys::GetBulkInsertState();
        let mut inserted = 0;
        loop {
            pgrx::check_for_interrupts!();
            let tuple = rows.next((*rel).rd_att);
            if tuple.is_null() {
                break;
            }
            pg_sys::heap_insert(rel, tuple, command, options, bulk);
            inserted += 1;
        }
        pg_sys::FreeBulkInsertState(bulk);
        rows.close();
        pg_sys::UnregisterSnapshot(snapshot);
        inserted
    }
}
