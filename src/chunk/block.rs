//! Some rows of a chunk, column by column: a batch, or rows of the heap that were gathered.
//!
//! Columns are decoded when they are first asked for, and have a value in every row: what lies where a row is null is nothing to
//! look at.

use crate::chunk::column::Builder;
use crate::chunk::or_raise;
use crate::chunk::reader::Reader;
use crate::compat;
use lake_codec::{Bits, Bytes, Column, Values};
use pgrx::pg_sys;

/// Where columns come from that haven't been asked for.
pub enum Source<'a> {
    /// The batch that the reader is at.
    Batch(&'a Reader),
    /// All are there.
    Nowhere,
}

pub struct Block<'a> {
    source: Source<'a>,
    columns_of: pg_sys::TupleDesc,
    /// Before any were left out.
    all_rows: usize,
    /// Those that were kept; `None` for all.
    kept: Option<Vec<u32>>,
    columns: Vec<(i16, Column)>,
}

impl<'a> Block<'a> {
    /// # Safety
    /// The reader is at a batch of a chunk with these columns, and stays there.
    pub unsafe fn of_batch(reader: &'a Reader, columns_of: pg_sys::TupleDesc) -> Self {
        // SAFETY: as the caller says.
        let all_rows = unsafe { reader.rows() };
        let source = Source::Batch(reader);
        Self { source, columns_of, all_rows, kept: None, columns: vec![] }
    }

    pub fn of_rows(
        rows: usize,
        columns: Vec<(i16, Column)>,
        columns_of: pg_sys::TupleDesc,
    ) -> Self {
        let columns = columns.into_iter().map(|(attnum, column)| (attnum, aligned(column)));
        let columns = columns.collect();
        Self { source: Source::Nowhere, columns_of, all_rows: rows, kept: None, columns }
    }

    pub fn rows(&self) -> usize {
        self.kept.as_ref().map_or(self.all_rows, Vec::len)
    }

    /// Has a column at hand.
    pub fn load(&mut self, attnum: i16) {
        if self.columns.iter().any(|(has, _)| *has == attnum) {
            return;
        }
        // SAFETY: the reader is at the batch, whose chunk has the column.
        let column = unsafe {
            match &self.source {
                Source::Batch(reader) => match reader.find(attnum) {
                    Some(stored) => aligned(or_raise(reader.column(&stored))),
                    None => self.missing(attnum),
                },
                Source::Nowhere => self.missing(attnum),
            }
        };
        let column = match &self.kept {
            Some(kept) => gathered(&column, kept),
            None => column,
        };
        self.columns.push((attnum, column));
    }

    /// A column that was [loaded](Block::load).
    pub fn column(&self, attnum: i16) -> &Column {
        let found = self.columns.iter().find(|(has, _)| *has == attnum);
        &found.expect("columns are loaded before they are read").1
    }

    /// Leaves out all rows but these.
    pub fn keep(&mut self, rows: Vec<u32>) {
        if rows.len() == self.rows() {
            return;
        }
        for (_, column) in &mut self.columns {
            *column = gathered(column, &rows);
        }
        self.kept = Some(match self.kept.take() {
            Some(before) => rows.iter().map(|row| before[*row as usize]).collect(),
            None => rows,
        });
    }

    /// A column that came after the rows were compressed: the same in all of them.
    unsafe fn missing(&self, attnum: i16) -> Column {
        // SAFETY: a column of the chunk.
        unsafe {
            let at = usize::from(attnum.unsigned_abs()) - 1;
            let att = compat::attribute(self.columns_of, at);
            let mut is_null = false;
            let value = pg_sys::getmissingattr(self.columns_of, attnum.into(), &raw mut is_null);
            let mut builder = Builder::new(or_raise(crate::chunk::column::kind_of(att)));
            for _ in 0..self.all_rows {
                builder.push(value, is_null, att.attlen);
            }
            aligned(builder.finish())
        }
    }
}

/// The column with a value in every row.
fn aligned(column: Column) -> Column {
    fn spread<T: Copy + Default>(values: &[T], nulls: &Bits) -> Vec<T> {
        let mut values = values.iter();
        let next = |null| if null { None } else { values.next().copied() };
        nulls.iter().map(next).map(Option::unwrap_or_default).collect()
    }
    let Some(nulls) = &column.nulls else { return column };
    let values = match &column.values {
        Values::Bool(v) => {
            let mut next = 0;
            let mut bits = Bits::default();
            for null in nulls.iter() {
                bits.push(!null && v.get(next));
                next += usize::from(!null);
            }
            Values::Bool(bits)
        }
        Values::I16(v) => Values::I16(spread(v, nulls)),
        Values::I32(v) => Values::I32(spread(v, nulls)),
        Values::I64(v) => Values::I64(spread(v, nulls)),
        Values::F32(v) => Values::F32(spread(v, nulls)),
        Values::F64(v) => Values::F64(spread(v, nulls)),
        Values::Bytes(v) => {
            let mut values = v.iter();
            let mut bytes = Bytes::default();
            for null in nulls.iter() {
                let value = if null { None } else { values.next() };
                bytes.push(value.unwrap_or_default());
            }
            Values::Bytes(bytes)
        }
    };
    Column { nulls: column.nulls, values }
}

/// These rows of an aligned column.
fn gathered(column: &Column, rows: &[u32]) -> Column {
    fn pick<T: Copy>(values: &[T], rows: &[u32]) -> Vec<T> {
        rows.iter().map(|row| values[*row as usize]).collect()
    }
    let bits = |bits: &Bits| {
        let mut kept = Bits::default();
        rows.iter().for_each(|row| kept.push(bits.get(*row as usize)));
        kept
    };
    let values = match &column.values {
        Values::Bool(v) => Values::Bool(bits(v)),
        Values::I16(v) => Values::I16(pick(v, rows)),
        Values::I32(v) => Values::I32(pick(v, rows)),
        Values::I64(v) => Values::I64(pick(v, rows)),
        Values::F32(v) => Values::F32(pick(v, rows)),
        Values::F64(v) => Values::F64(pick(v, rows)),
        Values::Bytes(v) => Values::Bytes(match v.repeated() {
            Some(one) => Bytes::repeat(one, rows.len()),
            None => rows.iter().map(|row| v.get(*row as usize).unwrap_or_default()).collect(),
        }),
    };
    Column { nulls: column.nulls.as_ref().map(bits), values }
}

/// Whether a column has the same value in every row, and no null.
pub fn is_constant(column: &Column) -> bool {
    fn same<T: PartialEq>(values: &[T]) -> bool {
        values.windows(2).all(|pair| pair[0] == pair[1])
    }
    column.nulls.as_ref().is_none_or(|nulls| nulls.count_ones() == 0)
        && match &column.values {
            Values::Bool(v) => matches!(v.count_ones(), 0) || v.count_ones() == v.len(),
            Values::I16(v) => same(v),
            Values::I32(v) => same(v),
            Values::I64(v) => same(v),
            Values::F32(v) => v.windows(2).all(|pair| pair[0].to_bits() == pair[1].to_bits()),
            Values::F64(v) => v.windows(2).all(|pair| pair[0].to_bits() == pair[1].to_bits()),
            Values::Bytes(v) => {
                v.repeated().is_some()
                    || v.get(0).is_none_or(|first| v.iter().all(|value| value == first))
            }
        }
}

/// A value of an aligned column; what isn't passed by value is allocated in the current memory context.
pub fn datum(column: &Column, row: usize, is_varlena: bool) -> Option<pg_sys::Datum> {
    if column.nulls.as_ref().is_some_and(|nulls| nulls.get(row)) {
        return None;
    }
    // SAFETY: what it is said to be is what the column was made of.
    Some(unsafe { crate::chunk::column::datum(&column.values, row, is_varlena) })
}
