//! Addresses of compressed rows: those of a heap so large that none is, made of the batch's place in the
//! companion and of the row's in the batch. They hold as long as the chunk is locked.

use pgrx::pg_sys;

/// No heap has so many pages.
const BATCHES: u32 = 1 << 31;
/// So many bits for the batch's place on its page.
const PLACE_BITS: u32 = 9;

/// A row of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address {
    /// The batch's page in the companion, and its place there.
    pub block: u32,
    pub place: u16,
    pub row: u16,
}

impl Address {
    /// Of the batch at a place of the companion; `None` past 4 million pages.
    pub fn new(batch: pg_sys::ItemPointerData, row: usize) -> Option<Self> {
        let (block, place) = parts(batch);
        let fits = block < BATCHES >> PLACE_BITS && u32::from(place) < (1 << PLACE_BITS) - 1;
        let row = u16::try_from(row).ok().filter(|row| *row < u16::MAX - 8)?;
        fits.then_some(Self { block, place, row })
    }

    /// What a `ctid` says; `None` for a row of the heap.
    pub fn read(tid: pg_sys::ItemPointerData) -> Option<Self> {
        let (block, offset) = parts(tid);
        (block >= BATCHES && offset > 0).then(|| Self {
            block: (block & !BATCHES) >> PLACE_BITS,
            place: (block & ((1 << PLACE_BITS) - 1)) as u16,
            row: offset - 1,
        })
    }

    pub fn tid(self) -> pg_sys::ItemPointerData {
        pointer(BATCHES | self.block << PLACE_BITS | u32::from(self.place), self.row + 1)
    }

    /// Where the batch is in the companion.
    pub fn batch(self) -> pg_sys::ItemPointerData {
        pointer(self.block, self.place)
    }
}

/// Page and place.
pub fn parts(tid: pg_sys::ItemPointerData) -> (u32, u16) {
    (u32::from(tid.ip_blkid.bi_hi) << 16 | u32::from(tid.ip_blkid.bi_lo), tid.ip_posid)
}

fn pointer(block: u32, offset: u16) -> pg_sys::ItemPointerData {
    pg_sys::ItemPointerData {
        ip_blkid: pg_sys::BlockIdData {
            bi_hi: (block >> 16) as u16,
            bi_lo: (block & 0xFFFF) as u16,
        },
        ip_posid: offset,
    }
}
