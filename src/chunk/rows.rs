//! The rows of all batches, one after the other, as tuples or as single values.

use super::address::Address;
use super::column::Cursor;
use super::companion::Stored;
use super::or_raise;
use super::reader::{self, Reader};
use crate::compat;
use crate::error::Result;
use pgrx::pg_sys;
use std::ptr;

pub struct Rows {
    pub reader: Reader,
    /// For one row at a time.
    memory: pg_sys::MemoryContext,
    /// Of each stored column.
    cursors: Vec<Cursor>,
    /// Rows of the batch, and those that haven't been returned.
    rows: usize,
    left: usize,
}

/// The address of a row of a batch that can't be told: none.
pub const NOWHERE: pg_sys::ItemPointerData = pg_sys::ItemPointerData {
    ip_blkid: pg_sys::BlockIdData { bi_hi: u16::MAX, bi_lo: u16::MAX },
    ip_posid: 0,
};

impl Rows {
    /// # Safety
    /// As for [`Reader::open`].
    pub unsafe fn open(batches: pg_sys::Oid, snapshot: pg_sys::Snapshot) -> Self {
        // SAFETY: as the caller says.
        let (reader, memory) = unsafe { (Reader::open(batches, snapshot), row_memory()) };
        Self { reader, memory, cursors: vec![], rows: 0, left: 0 }
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
    ///
    /// # Safety
    /// In the transaction that opened it.
    pub unsafe fn next_as<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
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
        // SAFETY: the reader is at a batch, whose columns are as it says.
        unsafe {
            while self.reader.advance() {
                (self.rows, self.cursors) = decode(self.reader.slot(), &self.reader.stored)?;
                self.left = self.rows;
                if self.left > 0 {
                    return Ok(true);
                }
            }
            Ok(false)
        }
    }

    /// The present row, as a tuple with its address.
    unsafe fn tuple(&mut self, columns: pg_sys::TupleDesc) -> pg_sys::HeapTuple {
        // SAFETY: as the caller says.
        unsafe {
            let tuple = form(&self.reader.stored, &mut self.cursors, columns);
            let batch = (*self.reader.slot()).tts_tid;
            (*tuple).t_self =
                Address::new(batch, self.rows - self.left - 1).map_or(NOWHERE, Address::tid);
            tuple
        }
    }

    /// From the first row again.
    ///
    /// # Safety
    /// In the transaction that opened it.
    pub unsafe fn rewind(&mut self) {
        self.left = 0;
        self.cursors.clear();
        // SAFETY: as the caller says.
        unsafe { self.reader.rewind() }
    }

    /// # Safety
    /// Once, in the transaction that opened it.
    pub unsafe fn close(self) {
        // SAFETY: as the caller says.
        unsafe {
            self.reader.close();
            pg_sys::MemoryContextDelete(self.memory);
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

/// The batch in a slot: how many rows, and their columns.
///
/// # Safety
/// The slot holds a row of a companion with these columns.
pub unsafe fn decode(
    slot: *mut pg_sys::TupleTableSlot,
    stored: &[Stored],
) -> Result<(usize, Vec<Cursor>)> {
    // SAFETY: as the caller says.
    let rows = unsafe { reader::number_of_rows(slot) };
    let cursors = stored.iter().map(|stored| {
        // SAFETY: as the caller says.
        unsafe { reader::column_of(slot, stored, rows) }
            .map(|column| Cursor::new(column, stored.kind))
    });
    Ok((rows, cursors.collect::<Result<_>>()?))
}

/// The tuple of the next row. Columns that came after compression have their missing value, as in rows of
/// the heap.
///
/// # Safety
/// The columns are the chunk's; each cursor has another row.
pub unsafe fn form(
    stored: &[Stored],
    cursors: &mut [Cursor],
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
            let value = cursor.next();
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
