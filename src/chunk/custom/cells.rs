//! The rows of a block as values of a slot.

use crate::chunk::block::Block;
use crate::compat;
use lake_codec::{Bits, Column, Values};
use pgrx::pg_sys;

/// The columns that are wanted, of rows that are returned one by one. Values that aren't passed by value lie here, and last as
/// long as this.
#[derive(Default)]
pub struct Cells {
    columns: Vec<(usize, Cell)>,
    rows: usize,
    next: usize,
}

struct Cell {
    nulls: Option<Bits>,
    values: Content,
}

enum Content {
    Plain(Values),
    /// Where each value begins, and all of them with their headers; in words, so that each lies where any type may.
    Apart(Vec<u32>, Vec<u64>),
    /// The same in all rows.
    One(Vec<u64>),
}

impl Cells {
    /// # Safety
    /// The chunk has these columns.
    pub unsafe fn new(block: &mut Block, wanted: &[i16], columns_of: pg_sys::TupleDesc) -> Self {
        let mut columns = vec![];
        for attnum in wanted {
            let at = usize::from(attnum.unsigned_abs()) - 1;
            // SAFETY: as the caller says.
            let is_varlena = unsafe { compat::attribute(columns_of, at) }.attlen == -1;
            block.load(*attnum);
            columns.push((at, Cell::new(block.column(*attnum), is_varlena)));
        }
        Self { columns, rows: block.rows(), next: 0 }
    }

    /// Puts the next row into a slot; false where there is none.
    ///
    /// # Safety
    /// A virtual slot of the chunk's columns.
    pub unsafe fn next(&mut self, slot: *mut pg_sys::TupleTableSlot) -> bool {
        if self.next == self.rows {
            return false;
        }
        let row = self.next;
        self.next += 1;
        for (at, cell) in &self.columns {
            let is_null = cell.nulls.as_ref().is_some_and(|nulls| nulls.get(row));
            // SAFETY: the slot has room for all of its columns.
            unsafe {
                *(*slot).tts_isnull.add(*at) = is_null;
                *(*slot).tts_values.add(*at) =
                    if is_null { pg_sys::Datum::null() } else { cell.values.datum(row) };
            }
        }
        true
    }
}

impl Cell {
    fn new(column: &Column, is_varlena: bool) -> Self {
        let nulls = column.nulls.clone();
        let values = match &column.values {
            Values::Bytes(values) => {
                let one = values.repeated();
                let values = one.map_or_else(|| values.iter().collect(), |one| vec![one]);
                let (begins, content) = apart(&values, is_varlena);
                if one.is_some() { Content::One(content) } else { Content::Apart(begins, content) }
            }
            plain => Content::Plain(plain.clone()),
        };
        Self { nulls, values }
    }
}

/// Values with their headers, each at a word's beginning.
fn apart(values: &[&[u8]], is_varlena: bool) -> (Vec<u32>, Vec<u64>) {
    let header = if is_varlena { pg_sys::VARHDRSZ } else { 0 };
    let words = |bytes: &[u8]| (header + bytes.len()).div_ceil(8);
    let mut begins = Vec::with_capacity(values.len());
    let mut content = vec![0_u64; values.iter().map(|value| words(value)).sum()];
    let mut at = 0;
    for value in values {
        begins.push(at as u32);
        // SAFETY: so many words were counted; a varlena has at most a field's size.
        unsafe {
            let to = content.as_mut_ptr().add(at).cast::<u8>();
            if is_varlena {
                pgrx::set_varsize_4b(to.cast(), (header + value.len()) as i32);
            }
            std::ptr::copy_nonoverlapping(value.as_ptr(), to.add(header), value.len());
        }
        at += words(value);
    }
    (begins, content)
}

impl Content {
    fn datum(&self, row: usize) -> pg_sys::Datum {
        match self {
            // SAFETY: passed by value.
            Content::Plain(values) => unsafe { crate::chunk::column::datum(values, row, false) },
            Content::Apart(begins, content) => {
                pg_sys::Datum::from(content[begins[row] as usize..].as_ptr())
            }
            Content::One(content) => pg_sys::Datum::from(content.as_ptr()),
        }
    }
}
