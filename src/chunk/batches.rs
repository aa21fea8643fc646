//! The batches of a companion, one by one: where their integers lie, and single columns of single batches. For
//! writers, who look at few of them again and again.

use super::companion::{self, ROWS, Stored};
use super::routine::heap_call;
use super::{column, or_raise};
use lake_codec::{Column, Kind};
use pgrx::{PgTupleDesc, pg_sys};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ptr;
use std::rc::Rc;

/// What a companion holds, or held: batches that were thawed are among them, as a rollback has them back.
pub struct Batches {
    companion: pg_sys::Oid,
    stored: Vec<Stored>,
    batches: Vec<Batch>,
    /// Columns decoded of late, by batch and number.
    decoded: RefCell<HashMap<(usize, i16), Rc<Column>>>,
}

/// The batch was thawed.
pub struct Gone;

struct Batch {
    tid: pg_sys::ItemPointerData,
    rows: usize,
    /// Of each column what the companion says of its range.
    ranges: Vec<Option<(i64, i64)>>,
}

/// How many decoded columns are kept.
const KEPT: usize = 64;

thread_local! {
    /// Of the companion that was asked for last.
    static LAST: RefCell<Option<Rc<Batches>>> = const { RefCell::new(None) };
}

/// # Safety
/// The companion's chunk is locked.
pub unsafe fn of(companion: pg_sys::Oid) -> Rc<Batches> {
    if let Some(last) = LAST.with_borrow(Clone::clone)
        && last.companion == companion
    {
        return last;
    }
    // SAFETY: as the caller says.
    let read = Rc::new(unsafe { read(companion) });
    LAST.set(Some(Rc::clone(&read)));
    read
}

impl Batches {
    pub fn len(&self) -> usize {
        self.batches.len()
    }

    /// Whether a batch may hold this integer in a column.
    pub fn may_hold(&self, batch: usize, attnum: i16, value: i64) -> bool {
        match self.stored.iter().position(|stored| stored.attnum == attnum) {
            Some(at) if companion::is_integer(self.stored[at].kind) => self.batches[batch].ranges
                [at]
                .is_some_and(|(min, max)| (min..=max).contains(&value)),
            _ => true,
        }
    }

    /// Whether a batch may hold a value of any length, of these bytes, in a column.
    pub fn may_hold_bytes(&self, batch: usize, attnum: i16, bytes: &[u8]) -> bool {
        match self.stored.iter().position(|stored| stored.attnum == attnum) {
            // Where it has one alone, that is known by what stands for it.
            Some(at) if self.stored[at].kind == Kind::Bytes => self.batches[batch].ranges[at]
                .is_none_or(|(one, _)| one == companion::fingerprint(bytes)),
            _ => true,
        }
    }

    pub fn companion(&self) -> pg_sys::Oid {
        self.companion
    }

    /// Where a batch is in the companion.
    pub fn tid(&self, batch: usize) -> pg_sys::ItemPointerData {
        self.batches[batch].tid
    }

    /// A column of a batch; `None` where it came after compression.
    ///
    /// # Safety
    /// The companion's chunk is locked.
    pub unsafe fn column(&self, batch: usize, attnum: i16) -> Result<Option<Rc<Column>>, Gone> {
        let Some(stored) = self.stored.iter().find(|stored| stored.attnum == attnum) else {
            return Ok(None);
        };
        if let Some(column) = self.decoded.borrow().get(&(batch, attnum)) {
            return Ok(Some(Rc::clone(column)));
        }
        // SAFETY: as the caller says.
        let column = Rc::new(unsafe { self.decode(&self.batches[batch], stored)? });
        let mut decoded = self.decoded.borrow_mut();
        if decoded.len() >= KEPT {
            decoded.clear();
        }
        decoded.insert((batch, attnum), Rc::clone(&column));
        Ok(Some(column))
    }

    unsafe fn decode(&self, batch: &Batch, stored: &Stored) -> Result<Column, Gone> {
        // SAFETY: opened with a lock; batches are never changed.
        unsafe {
            let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
            let rel = pg_sys::table_open(self.companion, lock);
            let snapshot = pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot());
            let slot = pg_sys::table_slot_create(rel, ptr::null_mut());
            let mut tid = batch.tid;
            let found = heap_call!(tuple_fetch_row_version(rel, &raw mut tid, snapshot, slot));
            let column = found.then(|| {
                let mut is_null = false;
                let bytes = pg_sys::slot_getattr(slot, stored.data.into(), &raw mut is_null);
                or_raise(column::read(bytes, stored.kind, batch.rows))
            });
            pg_sys::ExecDropSingleTupleTableSlot(slot);
            pg_sys::UnregisterSnapshot(snapshot);
            pg_sys::table_close(rel, pg_sys::NoLock as pg_sys::LOCKMODE);
            column.ok_or(Gone)
        }
    }
}

unsafe fn read(companion: pg_sys::Oid) -> Batches {
    // SAFETY: opened with a lock; everything that is opened is closed, or goes with an error.
    unsafe {
        let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
        let rel = pg_sys::table_open(companion, lock);
        let columns = PgTupleDesc::from_pg_is_copy(pg_sys::CreateTupleDescCopy((*rel).rd_att));
        let stored = or_raise(companion::stored(&columns));
        let snapshot = &raw mut pg_sys::SnapshotAnyData;
        let slot = pg_sys::table_slot_create(rel, ptr::null_mut());
        let flags = pg_sys::ScanOptions::SO_TYPE_SEQSCAN | pg_sys::ScanOptions::SO_ALLOW_PAGEMODE;
        let scan =
            heap_call!(scan_begin(rel, snapshot, 0, ptr::null_mut(), ptr::null_mut(), flags));
        let mut batches = vec![];
        let forward = pg_sys::ScanDirection::ForwardScanDirection;
        while heap_call!(scan_getnextslot(scan, forward, slot)) {
            pgrx::check_for_interrupts!();
            let value = |attnum: i16| {
                let mut is_null = false;
                let datum = pg_sys::slot_getattr(slot, attnum.into(), &raw mut is_null);
                (!is_null).then_some(datum)
            };
            let range = |stored: &Stored| {
                let (min, max) = stored.range?;
                Some((value(min)?.value() as i64, value(max)?.value() as i64))
            };
            batches.push(Batch {
                tid: (*slot).tts_tid,
                rows: value(ROWS).map_or(0, |rows| rows.value() as i32).try_into().unwrap_or(0),
                ranges: stored.iter().map(range).collect(),
            });
        }
        heap_call!(scan_end(scan));
        pg_sys::ExecDropSingleTupleTableSlot(slot);
        pg_sys::table_close(rel, pg_sys::NoLock as pg_sys::LOCKMODE);
        Batches { companion, stored, batches, decoded: RefCell::default() }
    }
}
