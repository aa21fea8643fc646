//! The batches of a companion, one after the other, under one snapshot: their statistics, and their columns one by one.
//!
//! A batch that can't hold a row that is asked for is left out, without a look at its values.

use super::column;
use super::companion::{self, ROWS, Stored};
use super::custom::Wanted;
use super::or_raise;
use super::routine::heap_call;
use crate::error::{Error, Result};
use lake_codec::{Column, Kind};
use pgrx::{PgTupleDesc, pg_sys};
use std::ptr;

pub struct Reader {
    companion: pg_sys::Relation,
    scan: pg_sys::TableScanDesc,
    batch: *mut pg_sys::TupleTableSlot,
    pub stored: Vec<Stored>,
    /// What columns must be in rows that are wanted.
    pub ranges: Vec<(i16, Wanted)>,
    pub counts: Counts,
}

/// Batches, since the scan was opened.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    pub read: i64,
    pub skipped: i64,
}

const PLAIN_SCAN: u32 = pg_sys::ScanOptions::SO_TYPE_SEQSCAN
    | pg_sys::ScanOptions::SO_ALLOW_STRAT
    | pg_sys::ScanOptions::SO_ALLOW_PAGEMODE;

impl Reader {
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
            let batch = pg_sys::table_slot_create(companion, ptr::null_mut());
            Self { companion, scan, batch, stored, ranges: vec![], counts: Counts::default() }
        }
    }

    /// Goes to the next batch that may have a row that is wanted.
    ///
    /// # Safety
    /// In the transaction that opened it.
    pub unsafe fn advance(&mut self) -> bool {
        loop {
            pgrx::check_for_interrupts!();
            let forward = pg_sys::ScanDirection::ForwardScanDirection;
            // SAFETY: opened in `open`.
            if !unsafe { heap_call!(scan_getnextslot(self.scan, forward, self.batch)) } {
                return false;
            }
            // SAFETY: the slot holds a batch.
            if unsafe { self.may_match() } {
                self.counts.read += 1;
                return true;
            }
            self.counts.skipped += 1;
        }
    }

    /// The present batch.
    pub fn slot(&self) -> *mut pg_sys::TupleTableSlot {
        self.batch
    }

    /// Of how many rows the present batch is.
    ///
    /// # Safety
    /// There is one.
    pub unsafe fn rows(&self) -> usize {
        // SAFETY: as the caller says.
        unsafe { number_of_rows(self.batch) }
    }

    /// What is stored of a column of the chunk; nothing of one that came after compression.
    pub fn find(&self, attnum: i16) -> Option<Stored> {
        self.stored.iter().find(|stored| stored.attnum == attnum).copied()
    }

    /// A statistic of the present batch; `None` where it isn't known.
    ///
    /// # Safety
    /// There is one, and this is a column of the companion.
    pub unsafe fn statistic(&self, attnum: i16) -> Option<pg_sys::Datum> {
        // SAFETY: as the caller says.
        unsafe { value(self.batch, attnum) }
    }

    /// A column of the present batch.
    ///
    /// # Safety
    /// There is one, and this is stored in it.
    pub unsafe fn column(&self, stored: &Stored) -> Result<Column> {
        // SAFETY: as the caller says.
        unsafe { column_of(self.batch, stored, self.rows()) }
    }

    /// Whether the batch may have a row that meets all of the ranges.
    unsafe fn may_match(&self) -> bool {
        self.ranges.iter().all(|(attnum, wanted)| {
            // A column that came later has one value in all batches, and this says nothing of it.
            let Some((stored, (min, max))) = self.find(*attnum).and_then(|s| Some((s, s.range?)))
            else {
                return true;
            };
            // SAFETY: columns of the companion.
            match unsafe { (self.statistic(min), self.statistic(max)) } {
                (Some(min), Some(max)) => {
                    let (min, max) = (stored.in_order(min), stored.in_order(max));
                    wanted.meets(min, max)
                }
                // Numbers are all null then; values of any length may be different ones.
                _ => stored.kind == Kind::Bytes,
            }
        })
    }

    /// Before the first batch again.
    ///
    /// # Safety
    /// In the transaction that opened it.
    pub unsafe fn rewind(&mut self) {
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
            pg_sys::table_close(self.companion, pg_sys::NoLock as pg_sys::LOCKMODE);
        }
    }
}

/// # Safety
/// The slot holds a row that has this column.
unsafe fn value(slot: *mut pg_sys::TupleTableSlot, attnum: i16) -> Option<pg_sys::Datum> {
    let mut is_null = false;
    // SAFETY: as the caller says.
    let datum = unsafe { pg_sys::slot_getattr(slot, attnum.into(), &raw mut is_null) };
    (!is_null).then_some(datum)
}

/// Of how many rows a batch is.
///
/// # Safety
/// The slot holds a batch.
pub unsafe fn number_of_rows(slot: *mut pg_sys::TupleTableSlot) -> usize {
    // SAFETY: as the caller says.
    let rows = unsafe { value(slot, ROWS) };
    rows.map_or(0, |rows| rows.value() as i32).try_into().unwrap_or(0)
}

/// A column of a batch.
///
/// # Safety
/// The slot holds a batch of so many rows, and this is stored in it.
pub unsafe fn column_of(
    slot: *mut pg_sys::TupleTableSlot,
    stored: &Stored,
    rows: usize,
) -> Result<Column> {
    // SAFETY: as the caller says; the column is a `bytea`.
    unsafe {
        let bytes =
            value(slot, stored.data).ok_or_else(|| Error::internal("a batch lacks a column"))?;
        column::read(bytes, stored.kind, rows)
    }
}
