//! Compressing a chunk, in one transaction.
//!
//! Rows are read and batches written under a lock that keeps writers out and lets readers go on. Only then the
//! chunk is locked against everybody, for as long as it takes to give it an empty file. Rows that are compressed
//! already are read and written again with those that came since.

use super::{find, link, require_read_committed};
use crate::catalog::Store;
use crate::chunk::companion::{self, Stored, Writer};
use crate::chunk::{column, is_compressed};
use crate::compat;
use crate::error::{Error, Result};
use crate::gucs;
use crate::names::Relation;
use crate::regclass::RegClass;
use crate::spi;
use crate::workers::waits;
use pgrx::pg_sys;
use pgrx::pg_sys::ffi::pg_guard_ffi_boundary;
use serde_json::Value;
use std::ptr;

/// What was done; all zero where there was nothing to do.
#[derive(Debug, Default, Clone, Copy)]
pub struct Compressed {
    pub rows: i64,
    pub bytes_before: i64,
    pub bytes_after: i64,
}

pub fn compress(chunk: RegClass) -> Result<Compressed> {
    require_read_committed("series_compress_chunk")?;
    let (chunk, store) = find(chunk)?;
    let settings = spi::LocalSettings::safe_search_path();
    settings.set("lock_timeout", &gucs::worker_lock_timeout_ms().to_string());
    let waiting = waits::Wait::begin();
    spi::execute(&format!("LOCK TABLE ONLY {chunk} IN SHARE ROW EXCLUSIVE MODE"), &[])?;
    drop(waiting);
    refuse(&chunk, &store)?;
    let before = Before::of(&chunk)?;
    if before.heap_bytes == 0 {
        return Ok(Compressed::default());
    }
    if before.rows == 0 {
        // The statistics that stay while the rows are compressed.
        spi::execute(&format!("ANALYZE {chunk}"), &[])?;
    }
    let layout = layout(&chunk)?;
    let batches = companion::create(chunk.oid, &layout)?;
    let Written { rows, plain } = write(&chunk, batches, &layout, &order(&chunk, &store)?)?;
    if plain == 0 {
        companion::drop(batches)?;
        return Ok(Compressed::default());
    }
    waits::lock(&chunk)?;
    empty(&chunk);
    if !before.is_ours {
        spi::execute(&format!("ALTER TABLE {chunk} SET ACCESS METHOD lake_chunk"), &[])?;
    }
    // Of those that were compressed some may have been thawed, and be among the plain ones.
    let still = (rows - plain) as f64 / before.rows.max(1) as f64;
    let bytes_before = (before.compressed_bytes as f64 * still) as i64 + before.bytes;
    link(&chunk, Some(batches), rows, bytes_before)?;
    companion::sweep()?;
    let bytes_after = size(batches)?;
    Ok(Compressed { rows, bytes_before, bytes_after })
}

/// What the chunk is before.
struct Before {
    is_ours: bool,
    /// Of the file of plain rows.
    heap_bytes: i64,
    /// The same with indexes and TOAST.
    bytes: i64,
    /// Of the rows that are compressed: how many, and what they took as plain ones.
    rows: i64,
    compressed_bytes: i64,
}

impl Before {
    fn of(chunk: &Relation) -> Result<Self> {
        let found = spi::rows(
            "SELECT a.amname = 'lake_chunk', pg_catalog.pg_relation_size(c.oid), \
                    pg_catalog.pg_total_relation_size(c.oid), \
                    COALESCE(s.rows, 0), COALESCE(s.bytes_before, 0) \
             FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_am a ON a.oid = c.relam \
             LEFT JOIN _lake.series_compressed s \
               ON s.chunk = c.oid AND s.storage = c.relfilenode AND s.batches IS NOT NULL \
             WHERE c.oid = $1",
            &[chunk.oid.into()],
            |row| {
                Ok(Before {
                    is_ours: spi::need(row, 1)?,
                    heap_bytes: spi::need(row, 2)?,
                    bytes: spi::need(row, 3)?,
                    rows: spi::need(row, 4)?,
                    compressed_bytes: spi::need(row, 5)?,
                })
            },
        )?;
        found.into_iter().next().ok_or_else(|| Error::internal(format!("{chunk} is gone")))
    }
}

/// 0A000 for what can't be compressed rightly.
fn refuse(chunk: &Relation, store: &Store) -> Result<()> {
    match reason_against(chunk, store)? {
        None => Ok(()),
        Some(reason) => Err(Error::unsupported(format!("{chunk} can't be compressed: {reason}"))
            .hint("It stays as it is; the other chunks of the store can be compressed.")),
    }
}

/// Why a chunk can't be compressed rightly; `None` where it can.
pub fn reason_against(chunk: &Relation, store: &Store) -> Result<Option<String>> {
    let reasons = spi::rows(
        "SELECT CASE \
           WHEN c.relkind <> 'r' THEN 'it is not an ordinary table' \
           WHEN c.relpersistence <> 'p' THEN 'it is unlogged or temporary' \
           WHEN a.amname NOT IN ('heap', 'lake_chunk') THEN 'its access method is ' || a.amname \
           WHEN EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent = c.oid) \
             THEN 'other tables inherit from it' \
           WHEN EXISTS (SELECT FROM pg_catalog.pg_constraint k \
                        WHERE k.contype = 'f' AND k.confrelid IN (c.oid, $2)) \
             THEN 'foreign keys refer to its rows, which have to be locked for that' END \
         FROM pg_catalog.pg_class c \
         LEFT JOIN pg_catalog.pg_am a ON a.oid = c.relam \
         WHERE c.oid = $1",
        &[chunk.oid.into(), store.oid().into()],
        |row| spi::get::<String>(row, 1),
    )?;
    Ok(reasons.into_iter().flatten().next())
}

/// What the rows of a chunk come to: how many they are, and bytes. Nothing stays of the trial, during which the chunk must
/// be locked, against being dropped at least.
pub fn trial(chunk: &Relation, store: &Store) -> Result<(i64, i64)> {
    let layout = layout(chunk)?;
    let batches = companion::create(chunk.oid, &layout)?;
    let Written { rows, .. } = write(chunk, batches, &layout, &order(chunk, store)?)?;
    let bytes = size(batches)?;
    companion::drop(batches)?;
    Ok((rows, bytes))
}

/// With indexes and TOAST.
fn size(table: pg_sys::Oid) -> Result<i64> {
    spi::scalar(
        "SELECT pg_catalog.pg_total_relation_size($1::pg_catalog.regclass)",
        &[table.into()],
    )
}

/// Every column that has values of its own in the rows.
fn layout(chunk: &Relation) -> Result<Vec<Stored>> {
    let mut columns = vec![];
    // SAFETY: the table is locked.
    unsafe {
        let rel = pg_sys::table_open(chunk.oid, pg_sys::NoLock as pg_sys::LOCKMODE);
        for at in 0..(*(*rel).rd_att).natts.unsigned_abs() as usize {
            let att = compat::attribute((*rel).rd_att, at);
            if !att.attisdropped && att.attgenerated != b'v' as std::ffi::c_char {
                columns.push((att.attnum, column::kind_of(att)?));
            }
        }
        pg_sys::table_close(rel, pg_sys::NoLock as pg_sys::LOCKMODE);
    }
    Ok(companion::layout(&columns))
}

/// The columns by which rows are put in order, so that what is alike comes together: those that the store is
/// segmented by, then time. A column that was renamed since is left out, which costs space alone.
fn order(chunk: &Relation, store: &Store) -> Result<Order> {
    let set = store.options.get("compression");
    let listed = |key: &str| -> Vec<String> {
        let list = set.and_then(|set| set.get(key)).or_else(|| store.options.get(key));
        let list = list.and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut names = listed("segment_by");
    if store.companion.is_some() {
        names.push("series_id".to_owned());
    }
    let is_segmented = !names.is_empty();
    names.extend(listed("order_by"));
    names.extend(store.option_str("time_column").map(str::to_owned));
    let columns = spi::rows(
        "SELECT a.attnum FROM pg_catalog.unnest($2) WITH ORDINALITY AS n (name, place) \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = $1 AND a.attname = n.name::pg_catalog.name \
         WHERE a.attnum > 0 AND NOT a.attisdropped ORDER BY n.place",
        &[chunk.oid.into(), names.into()],
        |row| spi::need::<i16>(row, 1),
    )?;
    Ok(Order { columns, is_segmented })
}

/// In which order rows are written.
struct Order {
    columns: Vec<i16>,
    /// By the first of them: batches end with its values.
    is_segmented: bool,
}

/// Rows that were written, and how many of them were plain ones.
struct Written {
    rows: i64,
    plain: i64,
}

/// Writes all rows of the chunk, in this order, into the companion, and returns how many there are.
///
/// They are read below SQL: row security hides nothing, and whatever the transaction's snapshot is, these
/// are the rows as of now.
fn write(
    chunk: &Relation,
    batches: pg_sys::Oid,
    layout: &[Stored],
    order: &Order,
) -> Result<Written> {
    let no_lock = pg_sys::NoLock as pg_sys::LOCKMODE;
    // SAFETY: both tables are locked; what is opened is closed, or goes with the error. Whatever may
    // raise an error in a loop is behind a boundary.
    unsafe {
        let rel = pg_sys::table_open(chunk.oid, no_lock);
        let companion = pg_sys::table_open(batches, pg_sys::RowExclusiveLock as pg_sys::LOCKMODE);
        let columns = (*rel).rd_att;
        let sort = sort(columns, &order.columns);
        let snapshot = pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot());
        let scan = pg_sys::table_beginscan(rel, snapshot, 0, ptr::null_mut());
        let slot = pg_sys::table_slot_create(rel, ptr::null_mut());
        let next = (*(*rel).rd_tableam).scan_getnextslot.expect("a table is scanned");
        let forward = pg_sys::ScanDirection::ForwardScanDirection;
        let mut plain = 0;
        while pg_guard_ffi_boundary(|| next(scan, forward, slot)) {
            pgrx::check_for_interrupts!();
            plain += i64::from(!is_compressed((*slot).tts_tid));
            pg_sys::tuplesort_puttupleslot(sort, slot);
        }
        pg_sys::table_endscan(scan);
        pg_sys::UnregisterSnapshot(snapshot);
        pg_sys::ExecDropSingleTupleTableSlot(slot);
        pg_sys::tuplesort_performsort(sort);
        let sorted =
            pg_sys::MakeSingleTupleTableSlot(columns, &raw const pg_sys::TTSOpsMinimalTuple);
        let mut writer = Writer::new(
            companion,
            layout,
            order.columns.first().copied().filter(|_| order.is_segmented),
        );
        while pg_sys::tuplesort_gettupleslot(sort, true, false, sorted, ptr::null_mut()) {
            pgrx::check_for_interrupts!();
            pg_sys::slot_getsomeattrs_int(sorted, (*columns).natts);
            writer.push(sorted)?;
        }
        writer.flush()?;
        let rows = writer.written;
        pg_sys::ExecDropSingleTupleTableSlot(sorted);
        pg_sys::tuplesort_end(sort);
        pg_sys::table_close(companion, no_lock);
        pg_sys::table_close(rel, no_lock);
        pg_sys::CommandCounterIncrement();
        Ok(Written { rows, plain })
    }
}

/// A sort by these columns, as far as their types have an order.
unsafe fn sort(columns: pg_sys::TupleDesc, order: &[i16]) -> *mut pg_sys::Tuplesortstate {
    let (mut numbers, mut operators, mut collations, mut nulls_first) =
        (vec![], vec![], vec![], vec![]);
    // SAFETY: the numbers are those of columns; the sort copies what it is given.
    unsafe {
        for attnum in order {
            let att = compat::attribute(columns, usize::from(attnum.unsigned_abs()) - 1);
            let entry = pg_sys::lookup_type_cache(att.atttypid, pg_sys::TYPECACHE_LT_OPR as i32);
            if (*entry).lt_opr != pg_sys::InvalidOid && !numbers.contains(attnum) {
                numbers.push(*attnum);
                operators.push((*entry).lt_opr);
                // Any order brings together what is alike; that of bytes is the fastest.
                collations.push(match att.attcollation {
                    pg_sys::InvalidOid => pg_sys::InvalidOid,
                    _ => pg_sys::C_COLLATION_OID,
                });
                nulls_first.push(false);
            }
        }
        pg_sys::tuplesort_begin_heap(
            columns,
            i32::try_from(numbers.len()).unwrap_or(0),
            numbers.as_mut_ptr(),
            operators.as_mut_ptr(),
            collations.as_mut_ptr(),
            nulls_first.as_mut_ptr(),
            pg_sys::maintenance_work_mem,
            ptr::null_mut(),
            pg_sys::TUPLESORT_NONE as i32,
        )
    }
}

unsafe extern "C-unwind" {
    /// What serializable transactions have read of a table's rows they have then read of the whole.
    fn TransferPredicateLocksToHeapRelation(rel: pg_sys::Relation);
}

/// Gives the chunk, its TOAST table and its indexes empty files. Not by TRUNCATE, whose triggers would fire, and which would
/// be replicated: the rows aren't gone.
fn empty(chunk: &Relation) {
    let lock = pg_sys::AccessExclusiveLock as pg_sys::LOCKMODE;
    let no_lock = pg_sys::NoLock as pg_sys::LOCKMODE;
    // SAFETY: the table is locked against everybody, and not open elsewhere in this session.
    unsafe {
        let rel = pg_sys::table_open(chunk.oid, no_lock);
        pg_sys::CheckTableNotInUse(rel, c"lake.series_compress_chunk".as_ptr());
        TransferPredicateLocksToHeapRelation(rel);
        compat::new_file(rel);
        let toast = (*(*rel).rd_rel).reltoastrelid;
        if toast != pg_sys::InvalidOid {
            let toast = pg_sys::table_open(toast, lock);
            compat::new_file(toast);
            pg_sys::table_close(toast, no_lock);
        }
        pg_sys::table_close(rel, no_lock);
        compat::reindex(chunk.oid);
        pg_sys::CommandCounterIncrement();
    }
}
