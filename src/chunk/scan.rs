//! Plain scans: first the rows of the heap, then those of the batches.
//!
//! The scan itself is heap's. What it needs for the batches lies beside it, by its address, and goes when
//! its memory does, be it by an error. It is opened when the scan begins, so that the companion is locked from then on.

use super::address::Address;
use super::column::{self, Cursor};
use super::companion::{self, ROWS, Stored};
use super::custom::Wanted;
use super::routine::heap_call;
use super::{link, or_raise, raise, refuse};
use crate::compat;
use crate::error::{Error, Result};
use pgrx::{PgTupleDesc, pg_guard, pg_sys};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ptr;

/// A bit of `rs_flags` that heap doesn't use: there are batches to be read after the heap.
pub const HAS_BATCHES: u32 = 1 << 30;

thread_local! {
    static SCANS: RefCell<HashMap<usize, Scan>> = RefCell::default();
}

/// What a scan of a chunk with batches is at.
struct Scan {
    rows: Rows,
    heap_is_done: bool,
}

/// The rows of all batches, one after the other.
pub struct Rows {
    companion: pg_sys::Relation,
    scan: pg_sys::TableScanDesc,
    batch: *mut pg_sys::TupleTableSlot,
    /// For one row at a time.
    memory: pg_sys::MemoryContext,
    stored: Vec<Stored>,
    /// Of each stored column; `None` where nobody wants it.
    cursors: Vec<Option<Cursor>>,
    /// Rows of the batch, and those that haven't been returned.
    rows: usize,
    left: usize,
    /// The columns that are wanted; `None` for all.
    wanted: Option<Vec<i16>>,
    /// What columns must be in rows that are wanted.
    ranges: Vec<(i16, Wanted)>,
    counts: Counts,
}

/// Batches, since the scan was opened.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    pub read: i64,
    pub skipped: i64,
}

/// The address of a row of a batch that can't be told: none.
pub const NOWHERE: pg_sys::ItemPointerData = pg_sys::ItemPointerData {
    ip_blkid: pg_sys::BlockIdData { bi_hi: u16::MAX, bi_lo: u16::MAX },
    ip_posid: 0,
};

const PLAIN_SCAN: u32 = pg_sys::ScanOptions::SO_TYPE_SEQSCAN
    | pg_sys::ScanOptions::SO_ALLOW_STRAT
    | pg_sys::ScanOptions::SO_ALLOW_PAGEMODE;

impl Rows {
    /// # Safety
    /// The snapshot lasts as long as this; memory is taken from the current context.
    pub unsafe fn open(batches: pg_sys::Oid, snapshot: pg_sys::Snapshot) -> Self {
        // SAFETY: the companion is opened with a lock, which is kept.
        unsafe {
            let companion =
                pg_sys::table_open(batches, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
            let columns =
                PgTupleDesc::from_pg_is_copy(pg_sys::CreateTupleDescCopy((*companion).rd_att));
            let stored = or_raise(companion::stored(&columns));
            let scan = heap_call!(scan_begin(
                companion,
                snapshot,
                0,
                ptr::null_mut(),
                ptr::null_mut(),
                PLAIN_SCAN
            ));
            Self {
                companion,
                scan,
                batch: pg_sys::table_slot_create(companion, ptr::null_mut()),
                memory: row_memory(),
                stored,
                cursors: vec![],
                rows: 0,
                left: 0,
                wanted: None,
                ranges: vec![],
                counts: Counts::default(),
            }
        }
    }

    /// The next row of the chunk as a tuple of these columns, which lasts until the next call; null at the end.
    /// The columns are those that whoever reads has in mind: while ALTER TABLE rewrites, not those that the chunk is to have.
    ///
    /// # Safety
    /// They are the chunk's, as they are or have been.
    pub unsafe fn next(&mut self, columns: pg_sys::TupleDesc) -> pg_sys::HeapTuple {
        // SAFETY: as the caller says.
        unsafe { self.next_as(|rows| rows.tuple(columns)).unwrap_or(ptr::null_mut()) }
    }

    /// The next row, made by `make` in memory that lasts until the next call.
    unsafe fn next_as<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        // SAFETY: opened in `open`; the memory of the last row is nobody's any more.
        unsafe {
            pg_sys::MemoryContextReset(self.memory);
            let before = pg_sys::MemoryContextSwitchTo(self.memory);
            let row = (self.left > 0 || or_raise(self.next_batch())).then(|| {
                self.left -= 1;
                make(self)
            });
            pg_sys::MemoryContextSwitchTo(before);
            row
        }
    }

    /// Decodes the next batch.
    unsafe fn next_batch(&mut self) -> Result<bool> {
        // SAFETY: opened in `open`; the companion's columns are as `stored` says.
        unsafe {
            loop {
                pgrx::check_for_interrupts!();
                let forward = pg_sys::ScanDirection::ForwardScanDirection;
                if !heap_call!(scan_getnextslot(self.scan, forward, self.batch)) {
                    return Ok(false);
                }
                if !self.may_match() {
                    self.counts.skipped += 1;
                    continue;
                }
                self.counts.read += 1;
                (self.rows, self.cursors) =
                    decode(self.batch, &self.stored, self.wanted.as_deref())?;
                self.left = self.rows;
                if self.left > 0 {
                    return Ok(true);
                }
            }
        }
    }

    /// The present row, as a tuple with its address.
    unsafe fn tuple(&mut self, columns: pg_sys::TupleDesc) -> pg_sys::HeapTuple {
        // SAFETY: as the caller says.
        unsafe {
            let tuple = form(&self.stored, &mut self.cursors, columns);
            (*tuple).t_self = Address::new((*self.batch).tts_tid, self.rows - self.left - 1)
                .map_or(NOWHERE, Address::tid);
            tuple
        }
    }

    /// Whether the batch may have a row that meets all of the ranges.
    unsafe fn may_match(&self) -> bool {
        let value = |attnum: i16| {
            let mut is_null = false;
            // SAFETY: a column of the companion.
            let datum =
                unsafe { pg_sys::slot_getattr(self.batch, attnum.into(), &raw mut is_null) };
            (!is_null).then_some(datum.value() as i64)
        };
        self.ranges.iter().all(|(attnum, wanted)| {
            let stored = self.stored.iter().find(|stored| stored.attnum == *attnum);
            // A column that came later has one value in all batches, and this says nothing of it.
            let Some((stored, (min, max))) = stored.and_then(|s| Some((s, s.range?))) else {
                return true;
            };
            match (value(min), value(max)) {
                (Some(min), Some(max)) => wanted.meets(min, max),
                // Integers are all null then; values of any length may be different ones.
                _ => !companion::is_integer(stored.kind),
            }
        })
    }

    /// Puts the wanted columns of the present row into a slot of these columns, the others as nulls.
    unsafe fn fill(&mut self, wanted: &[i16], slot: *mut pg_sys::TupleTableSlot) {
        // SAFETY: as `form`; a virtual slot has room for as many values as it has columns.
        unsafe {
            let columns = (*slot).tts_tupleDescriptor;
            let count = (*columns).natts.unsigned_abs() as usize;
            let values = std::slice::from_raw_parts_mut((*slot).tts_values, count);
            let nulls = std::slice::from_raw_parts_mut((*slot).tts_isnull, count);
            nulls.fill(true);
            for (stored, cursor) in self.stored.iter().zip(&mut self.cursors) {
                let at = usize::from(stored.attnum.unsigned_abs()) - 1;
                if let Some(value) = cursor.as_mut().and_then(|cursor| cursor.next()) {
                    values[at] = value;
                    nulls[at] = false;
                }
            }
            for attnum in wanted {
                if !self.stored.iter().any(|stored| stored.attnum == *attnum) {
                    let at = usize::from(attnum.unsigned_abs()) - 1;
                    let number = i32::from(*attnum);
                    values[at] = pg_sys::getmissingattr(columns, number, &raw mut nulls[at]);
                }
            }
        }
    }

    /// From the first row again.
    ///
    /// # Safety
    /// As for [`Rows::next`].
    unsafe fn rewind(&mut self) {
        self.left = 0;
        self.cursors.clear();
        // SAFETY: opened in `open`.
        unsafe {
            pg_sys::ExecClearTuple(self.batch);
            heap_call!(scan_rescan(self.scan, ptr::null_mut(), false, false, false, false));
        }
    }

    /// # Safety
    /// Once, in the transaction that opened it.
    pub unsafe fn close(self) {
        // SAFETY: opened in `open`; the lock is kept to the end of the transaction.
        unsafe {
            pg_sys::ExecDropSingleTupleTableSlot(self.batch);
            heap_call!(scan_end(self.scan));
            pg_sys::MemoryContextDelete(self.memory);
            pg_sys::table_close(self.companion, pg_sys::NoLock as pg_sys::LOCKMODE);
        }
    }
}

/// Memory for one row at a time, below the current context.
pub unsafe fn row_memory() -> pg_sys::MemoryContext {
    // SAFETY: the current context is there.
    unsafe {
        pg_sys::AllocSetContextCreateInternal(
            pg_sys::CurrentMemoryContext,
            c"lake_chunk row".as_ptr(),
            pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
        )
    }
}

/// The batch in a slot: how many rows, and their columns, those that are wanted or all.
///
/// # Safety
/// The slot holds a row of a companion with these columns.
pub unsafe fn decode(
    slot: *mut pg_sys::TupleTableSlot,
    stored: &[Stored],
    wanted: Option<&[i16]>,
) -> Result<(usize, Vec<Option<Cursor>>)> {
    let value = |attnum: i16| {
        let mut is_null = false;
        // SAFETY: a column of the slot.
        let datum = unsafe { pg_sys::slot_getattr(slot, attnum.into(), &raw mut is_null) };
        (!is_null).then_some(datum)
    };
    let rows = value(ROWS).map_or(0, |rows| rows.value() as i32).try_into().unwrap_or(0);
    let mut cursors = vec![];
    for stored in stored {
        if wanted.is_some_and(|wanted| !wanted.contains(&stored.attnum)) {
            cursors.push(None);
            continue;
        }
        let bytes = value(stored.data).ok_or_else(|| Error::internal("a batch lacks a column"))?;
        // SAFETY: the column is a `bytea`.
        let column = unsafe { column::read(bytes, stored.kind, rows)? };
        cursors.push(Some(Cursor::new(column, stored.kind)));
    }
    Ok((rows, cursors))
}

/// The tuple of the next row. Columns that came after compression have their missing value, as in rows of
/// the heap.
///
/// # Safety
/// The columns are the chunk's; each cursor has another row.
pub unsafe fn form(
    stored: &[Stored],
    cursors: &mut [Option<Cursor>],
    columns: pg_sys::TupleDesc,
) -> pg_sys::HeapTuple {
    // SAFETY: as the caller says; each cursor has another row; the header's fields are those of a
    // tuple that everybody sees and nobody deletes.
    unsafe {
        let count = (*columns).natts.unsigned_abs() as usize;
        let mut values = vec![pg_sys::Datum::null(); count];
        let mut nulls = vec![true; count];
        let mut known = vec![false; count];
        for (stored, cursor) in stored.iter().zip(cursors) {
            let at = usize::from(stored.attnum.unsigned_abs()) - 1;
            let value = cursor.as_mut().and_then(|cursor| cursor.next());
            known[at] = true;
            if let Some(value) = value
                && !compat::attribute(columns, at).attisdropped
            {
                values[at] = value;
                nulls[at] = false;
            }
        }
        for at in (0..count).filter(|at| !known[*at]) {
            let mut is_null = false;
            let number = i32::try_from(at + 1).unwrap_or(i32::MAX);
            values[at] = pg_sys::getmissingattr(columns, number, &raw mut is_null);
            nulls[at] = is_null;
        }
        let tuple = pg_sys::heap_form_tuple(columns, values.as_mut_ptr(), nulls.as_mut_ptr());
        let header = (*tuple).t_data;
        (*header).t_choice.t_heap = pg_sys::HeapTupleFields {
            t_xmin: pg_sys::TransactionId::from(pg_sys::FrozenTransactionId.into_inner()),
            t_xmax: pg_sys::InvalidTransactionId,
            t_field3: pg_sys::HeapTupleFields__bindgen_ty_1 { t_cid: 0 },
        };
        (*header).t_infomask &= !(pg_sys::HEAP_XACT_MASK as u16);
        (*header).t_infomask |= (pg_sys::HEAP_XMIN_FROZEN | pg_sys::HEAP_XMAX_INVALID) as u16;
        (*header).t_infomask2 &= !(pg_sys::HEAP2_XACT_MASK as u16);
        (*header).t_ctid = NOWHERE;
        (*tuple).t_self = NOWHERE;
        tuple
    }
}

/// Called once heap has begun a scan: opens the batches where there are any and the kind of scan returns
/// rows in any order. Others are refused.
///
/// # Safety
/// The scan was begun by heap, with these flags, in the current memory context.
pub unsafe fn begun(scan: pg_sys::TableScanDesc, snapshot: pg_sys::Snapshot, flags: u32) {
    SCANS.with_borrow_mut(|scans| scans.remove(&(scan as usize)));
    // SAFETY: the scan is heap's, of a relation that is open and locked.
    unsafe {
        let rel = (*scan).rs_rd;
        let Some(now) = link::now(rel) else { return };
        let is_mvcc =
            !snapshot.is_null() && (*snapshot).snapshot_type == pg_sys::SnapshotType::SNAPSHOT_MVCC;
        if !is_mvcc {
            // Index builds read the heap part by heap's own functions, ANALYZE by others; a plain scan stops at the first row.
            if now.batches.is_some() {
                (*scan).rs_flags |= HAS_BATCHES;
            }
            return;
        }
        let Ok(link) = link::seen_by(rel, snapshot) else {
            raise(
                Error::new(
                    pgrx::PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE,
                    format!(
                        "{} was compressed or decompressed after this transaction's snapshot was taken",
                        super::name(rel)
                    ),
                )
                .hint("Run the transaction again."),
            )
        };
        let Some(batches) = link.and_then(|link| link.batches) else { return };
        use pg_sys::ScanOptions::*;
        for (kind, what) in [
            (SO_TYPE_BITMAPSCAN, "no index holds them, so that it can't be read by one"),
            (SO_TYPE_SAMPLESCAN, "TABLESAMPLE would leave them out"),
            (SO_TYPE_TIDSCAN, "they have no ctid, so that it can't be read by that"),
            (SO_TYPE_TIDRANGESCAN, "they have no ctid, so that it can't be read by that"),
        ] {
            if flags & kind != 0 {
                refuse(rel, what);
            }
        }
        (*scan).rs_flags |= HAS_BATCHES;
        if !(*scan).rs_parallel.is_null() || flags & SO_TYPE_ANALYZE != 0 {
            return;
        }
        let rows = Rows::open(batches, snapshot);
        forget_with_memory(scan);
        SCANS.with_borrow_mut(|scans| {
            scans.insert(scan as usize, Scan { rows, heap_is_done: false });
        });
    }
}

/// The next row of a scan that [`HAS_BATCHES`].
///
/// # Safety
/// As the executor calls it; `next` is heap's own.
pub unsafe fn next(
    scan: pg_sys::TableScanDesc,
    direction: pg_sys::ScanDirection::Type,
    slot: *mut pg_sys::TupleTableSlot,
    next_of_heap: impl FnOnce() -> bool,
) -> bool {
    // SAFETY: as the caller says. The scan's state is taken out while it is used, so that nothing is
    // borrowed where Postgres may raise an error; then it is lost with the scan.
    unsafe {
        let rel = (*scan).rs_rd;
        let Some(mut state) = SCANS.with_borrow_mut(|scans| scans.remove(&(scan as usize))) else {
            refuse(rel, "this kind of scan would leave them out")
        };
        if direction != pg_sys::ScanDirection::ForwardScanDirection {
            refuse(
                rel,
                "a cursor can't read them backward (DECLARE … SCROLL over a sorted query can)",
            );
        }
        let found = if !state.heap_is_done && next_of_heap() {
            true
        } else {
            state.heap_is_done = true;
            let tuple = state.rows.next((*slot).tts_tupleDescriptor);
            if tuple.is_null() {
                pg_sys::ExecClearTuple(slot);
                false
            } else {
                (*tuple).t_tableOid = (*rel).rd_id;
                pg_sys::ExecForceStoreHeapTuple(tuple, slot, false);
                (*slot).tts_tid = (*tuple).t_self;
                (*slot).tts_tableOid = (*rel).rd_id;
                true
            }
        };
        SCANS.with_borrow_mut(|scans| scans.insert(scan as usize, state));
        found
    }
}

/// Has a scan return these columns alone, and leave out batches without a row that meets all of the ranges. For scans
/// whose rows are taken by [`next_values`].
///
/// # Safety
/// The scan was begun, and has returned no row since.
pub unsafe fn narrow(scan: pg_sys::TableScanDesc, wanted: &[i16], ranges: Vec<(i16, Wanted)>) {
    SCANS.with_borrow_mut(|scans| {
        if let Some(state) = scans.get_mut(&(scan as usize)) {
            state.rows.wanted = Some(wanted.to_vec());
            state.rows.ranges = ranges;
        }
    });
}

/// What has been read so far; nothing where there are no batches.
pub fn counts(scan: pg_sys::TableScanDesc) -> Counts {
    SCANS.with_borrow(|scans| {
        scans.get(&(scan as usize)).map_or_else(Counts::default, |state| state.rows.counts)
    })
}

/// Puts the wanted columns of the next row into a virtual slot, or empties it at the end. Values last until the next call.
///
/// # Safety
/// The scan was begun, and [`narrow`]ed to these columns; `from_heap` is a slot for rows of its relation, `slot` a virtual one of the
/// same columns.
pub unsafe fn next_values(
    scan: pg_sys::TableScanDesc,
    from_heap: *mut pg_sys::TupleTableSlot,
    wanted: &[i16],
    slot: *mut pg_sys::TupleTableSlot,
) {
    // SAFETY: as the caller says; for the state see `next`.
    unsafe {
        pg_sys::ExecClearTuple(slot);
        let mut state = SCANS.with_borrow_mut(|scans| scans.remove(&(scan as usize)));
        if state.is_none() && (*scan).rs_flags & HAS_BATCHES != 0 {
            refuse((*scan).rs_rd, "this kind of scan would leave them out");
        }
        let heap_is_done = state.as_ref().is_some_and(|state| state.heap_is_done);
        let forward = pg_sys::ScanDirection::ForwardScanDirection;
        let found = if !heap_is_done && heap_call!(scan_getnextslot(scan, forward, from_heap)) {
            copy(from_heap, wanted, slot);
            true
        } else if let Some(state) = &mut state {
            state.heap_is_done = true;
            state.rows.next_as(|rows| rows.fill(wanted, slot)).is_some()
        } else {
            false
        };
        if let Some(state) = state {
            SCANS.with_borrow_mut(|scans| scans.insert(scan as usize, state));
        }
        if found {
            pg_sys::ExecStoreVirtualTuple(slot);
            (*slot).tts_tableOid = (*(*scan).rs_rd).rd_id;
        }
    }
}

/// The wanted columns of a row of the heap, whose page stays pinned until the next.
unsafe fn copy(from: *mut pg_sys::TupleTableSlot, wanted: &[i16], to: *mut pg_sys::TupleTableSlot) {
    // SAFETY: slots of the same columns, the second a virtual one.
    unsafe {
        let count = (*(*to).tts_tupleDescriptor).natts.unsigned_abs() as usize;
        std::slice::from_raw_parts_mut((*to).tts_isnull, count).fill(true);
        if let Some(last) = wanted.last() {
            pg_sys::slot_getsomeattrs_int(from, i32::from(*last));
        }
        for attnum in wanted {
            let at = usize::from(attnum.unsigned_abs()) - 1;
            *(*to).tts_values.add(at) = *(*from).tts_values.add(at);
            *(*to).tts_isnull.add(at) = *(*from).tts_isnull.add(at);
        }
    }
}

/// # Safety
/// Heap rescans it as well.
pub unsafe fn rescan(scan: pg_sys::TableScanDesc) {
    if let Some(mut state) = SCANS.with_borrow_mut(|scans| scans.remove(&(scan as usize))) {
        state.heap_is_done = false;
        // SAFETY: the scan goes on.
        unsafe { state.rows.rewind() };
        SCANS.with_borrow_mut(|scans| scans.insert(scan as usize, state));
    }
}

/// # Safety
/// Heap ends it as well.
pub unsafe fn ended(scan: pg_sys::TableScanDesc) {
    if let Some(state) = SCANS.with_borrow_mut(|scans| scans.remove(&(scan as usize))) {
        // SAFETY: the transaction that began it.
        unsafe { state.rows.close() };
    }
}

/// Has the state of a scan that ends by an error forgotten when its memory goes.
unsafe fn forget_with_memory(scan: pg_sys::TableScanDesc) {
    #[pg_guard]
    unsafe extern "C-unwind" fn forget(scan: *mut std::ffi::c_void) {
        // What it refers to goes with the transaction; here only what Rust has allocated.
        SCANS.with_borrow_mut(|scans| scans.remove(&(scan as usize)));
    }
    // SAFETY: the callback lies in the context whose reset calls it, which is the scan's own.
    unsafe {
        let callback = pg_sys::palloc0(size_of::<pg_sys::MemoryContextCallback>())
            .cast::<pg_sys::MemoryContextCallback>();
        (*callback).func = Some(forget);
        (*callback).arg = scan.cast();
        pg_sys::MemoryContextRegisterResetCallback(pg_sys::CurrentMemoryContext, callback);
    }
}
