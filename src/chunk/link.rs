//! Which companion holds a chunk's batches: rows of `_lake.series_compressed`, read without SQL, as it is
//! done at the start of each scan.

use pgrx::pg_sys;
use std::ffi::CStr;

const SCHEMA: &CStr = c"_lake";
const TABLE: &CStr = c"series_compressed";
const INDEX: &CStr = c"series_compressed_pkey";

/// `oideq`, and equality of a B-tree.
const OIDEQ: pg_sys::Oid = pg_sys::Oid::from_u32(184);
const EQUAL: u16 = 3;

/// What is written about a chunk's present file.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    /// The table of batches; `None` after decompression.
    pub batches: Option<pg_sys::Oid>,
    pub rows: i64,
    /// Who wrote the row, where that is still known.
    written_by: Option<pg_sys::TransactionId>,
    block: (u16, u16),
    offset: u16,
}

impl Link {
    fn is_same_version(&self, other: &Link) -> bool {
        (self.block, self.offset) == (other.block, other.offset)
    }

    /// Whether every snapshot that anybody still has sees this.
    ///
    /// # Safety
    /// The relation is open.
    pub unsafe fn is_seen_by_all(&self, rel: pg_sys::Relation) -> bool {
        // SAFETY: as the caller says.
        self.written_by.is_none_or(|xid| unsafe {
            pg_sys::TransactionIdPrecedes(xid, pg_sys::GetOldestNonRemovableTransactionId(rel))
        })
    }
}

/// What holds now: committed, or done by this transaction. The chunk is locked, so that it stays so.
///
/// # Safety
/// The relation is open and locked.
pub unsafe fn now(rel: pg_sys::Relation) -> Option<Link> {
    // SAFETY: without a snapshot the newest one is taken.
    unsafe { find(rel, std::ptr::null_mut()) }
}

/// The batches that a snapshot is to read. `Err` where the chunk was compressed or made plain after the
/// snapshot: then neither the heap nor the batches hold what it saw.
///
/// # Safety
/// The relation is open and locked, the snapshot an MVCC one.
pub unsafe fn seen_by(
    rel: pg_sys::Relation,
    snapshot: pg_sys::Snapshot,
) -> Result<Option<Link>, ()> {
    // SAFETY: as the caller says.
    let (now, then) = unsafe {
        let Some(now) = now(rel) else { return Ok(None) };
        (now, find(rel, snapshot))
    };
    match then {
        Some(then) if then.is_same_version(&now) => Ok(now.batches.is_some().then_some(now)),
        _ => Err(()),
    }
}

/// # Safety
/// The relation is open and locked; the snapshot is null or an MVCC one.
unsafe fn find(rel: pg_sys::Relation, snapshot: pg_sys::Snapshot) -> Option<Link> {
    // SAFETY: the catalogue table is opened with a lock and has the five columns that are read; what
    // is read of a tuple is copied before the scan ends.
    unsafe {
        let schema = pg_sys::get_namespace_oid(SCHEMA.as_ptr(), false);
        let table = pg_sys::get_relname_relid(TABLE.as_ptr(), schema);
        let index = pg_sys::get_relname_relid(INDEX.as_ptr(), schema);
        let storage = (*(*rel).rd_rel).relfilenode;
        let mut key = pg_sys::ScanKeyData::default();
        pg_sys::ScanKeyInit(&raw mut key, 1, EQUAL, OIDEQ, (*rel).rd_id.into());
        let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
        let links = pg_sys::table_open(table, lock);
        let scan = pg_sys::systable_beginscan(links, index, true, snapshot, 1, &raw mut key);
        let mut found = None;
        loop {
            let tuple = pg_sys::systable_getnext(scan);
            if tuple.is_null() {
                break;
            }
            let column = |number: i32| {
                let mut is_null = false;
                let datum = pg_sys::heap_getattr(tuple, number, (*links).rd_att, &mut is_null);
                (!is_null).then_some(datum)
            };
            let oid = |number| column(number).map(|d| pg_sys::Oid::from_u32(d.value() as u32));
            if oid(2) != Some(storage) {
                continue;
            }
            let header = (*tuple).t_data;
            let frozen = pg_sys::HEAP_XMIN_FROZEN as u16;
            found = Some(Link {
                batches: oid(3),
                rows: column(4).map_or(0, |d| d.value() as i64),
                written_by: ((*header).t_infomask & frozen != frozen)
                    .then_some((*header).t_choice.t_heap.t_xmin),
                block: ((*tuple).t_self.ip_blkid.bi_hi, (*tuple).t_self.ip_blkid.bi_lo),
                offset: (*tuple).t_self.ip_posid,
            });
        }
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(links, lock);
        found
    }
}
