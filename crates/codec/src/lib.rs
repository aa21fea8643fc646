//! Columns of values as bytes: what a batch of a compressed chunk holds for each of its columns.
//!
//! A column is a number of rows, of which some are null, and the values of the others. [`encode`] turns
//! it into bytes, [`decode`] back into the same column, bit for bit: the payload of a NaN and the sign of
//! a zero survive. The bytes are
//!
//! ```text
//! codec u8 | version u8 | crc32c u32, little-endian | rows | nulls | values
//! ```
//!
//! with the checksum over all other bytes, `rows` a LEB128 number, `nulls` as in [`nulls`], and `values`
//! as the codec says. Numbers are compressed by the crate `pco`, bytes by a dictionary
//! or by zstd; constants and arithmetic sequences are stored as such.
//!
//! Decoding trusts nothing: whatever the bytes, it returns a column that has as many rows as were asked
//! for, or [`Corrupt`], and takes memory in proportion to these rows and to [`MAX_BYTES`].

mod bits;
mod bytes;
mod nulls;
mod numbers;
mod stats;
mod wire;

pub use bits::Bits;
pub use bytes::Bytes;
pub use stats::{Float, Integer, Stats};
pub use wire::Corrupt;

use wire::Reader;

/// The version that is written. Older ones are read for ever.
pub const VERSION: u8 = 1;

/// Most rows of a column.
pub const MAX_ROWS: usize = 1 << 20;

/// Most bytes that the values of a column may take: what Postgres holds in one field.
pub const MAX_BYTES: usize = (1 << 30) - 1;

const HEADER: usize = 6;

/// What the values of a column are physically.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Bool,
    I16,
    I32,
    I64,
    F32,
    F64,
    /// So many bytes each.
    Fixed(usize),
    /// Of any length.
    Bytes,
}

/// The values of a column that aren't null, in the order of their rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    Bool(Bits),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Bytes(Bytes),
}

/// A column of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Which rows are null; `None`: no row is.
    pub nulls: Option<Bits>,
    pub values: Values,
}

impl Values {
    pub fn len(&self) -> usize {
        match self {
            Values::Bool(v) => v.len(),
            Values::I16(v) => v.len(),
            Values::I32(v) => v.len(),
            Values::I64(v) => v.len(),
            Values::F32(v) => v.len(),
            Values::F64(v) => v.len(),
            Values::Bytes(v) => v.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Column {
    /// Without a null.
    pub fn full(values: Values) -> Self {
        Self { nulls: None, values }
    }

    pub fn rows(&self) -> usize {
        self.nulls.as_ref().map_or_else(|| self.values.len(), Bits::len)
    }
}

/// What can't be encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("a column has {0} rows, more than {MAX_ROWS}")]
    Rows(usize),
    #[error("the values of a column take {0} bytes, more than {MAX_BYTES}")]
    Bytes(usize),
    #[error("a column has {values} values for {rows} rows of which {nulls} are null")]
    Nulls { rows: usize, nulls: usize, values: usize },
}

/// The bytes of a column.
pub fn encode(column: &Column) -> Result<Vec<u8>, Refused> {
    let rows = column.rows();
    if rows > MAX_ROWS {
        return Err(Refused::Rows(rows));
    }
    let nulls = column.nulls.as_ref().map_or(0, Bits::count_ones);
    if column.values.len() + nulls != rows {
        return Err(Refused::Nulls { rows, nulls, values: column.values.len() });
    }
    if let Values::Bytes(bytes) = &column.values
        && bytes.size() > MAX_BYTES
    {
        return Err(Refused::Bytes(bytes.size()));
    }
    let mut out = vec![0, VERSION, 0, 0, 0, 0];
    wire::number(&mut out, rows as u64);
    nulls::write(&mut out, column.nulls.as_ref());
    out[0] = match &column.values {
        Values::Bool(v) => bits::write(&mut out, v),
        Values::I16(v) => numbers::write(&mut out, v),
        Values::I32(v) => numbers::write(&mut out, v),
        Values::I64(v) => numbers::write(&mut out, v),
        Values::F32(v) => numbers::write(&mut out, v),
        Values::F64(v) => numbers::write(&mut out, v),
        Values::Bytes(v) => bytes::write(&mut out, v),
    };
    let checksum = checksum(&out);
    out[2..HEADER].copy_from_slice(&checksum.to_le_bytes());
    Ok(out)
}

/// The column of `kind` and `rows` rows that [`encode`] made these bytes of.
pub fn decode(encoded: &[u8], kind: Kind, rows: usize) -> Result<Column, Corrupt> {
    let Some((header, body)) = encoded.split_first_chunk::<HEADER>() else {
        return Err(Corrupt::Short);
    };
    let [codec, version, stored @ ..] = *header;
    if version != VERSION {
        return Err(Corrupt::Version(version));
    }
    if checksum(encoded) != u32::from_le_bytes(stored) {
        return Err(Corrupt::Checksum);
    }
    let mut from = Reader::new(body);
    let written = from.number()?;
    if written != rows as u64 || rows > MAX_ROWS {
        return Err(Corrupt::Rows { written, wanted: rows });
    }
    let nulls = nulls::read(&mut from, rows)?;
    let values = rows - nulls.as_ref().map_or(0, Bits::count_ones);
    let values = match kind {
        Kind::Bool => Values::Bool(bits::read(&mut from, codec, values)?),
        Kind::I16 => Values::I16(numbers::read(&mut from, codec, values)?),
        Kind::I32 => Values::I32(numbers::read(&mut from, codec, values)?),
        Kind::I64 => Values::I64(numbers::read(&mut from, codec, values)?),
        Kind::F32 => Values::F32(numbers::read(&mut from, codec, values)?),
        Kind::F64 => Values::F64(numbers::read(&mut from, codec, values)?),
        Kind::Fixed(width) => {
            let found = bytes::read(&mut from, codec, values)?;
            if found.iter().any(|value| value.len() != width) {
                return Err(Corrupt::Value("a value of another width"));
            }
            Values::Bytes(found)
        }
        Kind::Bytes => Values::Bytes(bytes::read(&mut from, codec, values)?),
    };
    from.end()?;
    Ok(Column { nulls, values })
}

/// A number that stands for a value of any length: equal values have the same, others seldom. It is written
/// to disk beside batches, so that it stays what it is (CRC-32C, RFC 3720, appendix B.4).
pub fn fingerprint(value: &[u8]) -> u32 {
    crc32c::crc32c(value)
}

/// The checksum of encoded bytes, over all but itself.
pub fn checksum(encoded: &[u8]) -> u32 {
    let (head, body) = encoded.split_at(encoded.len().min(HEADER));
    crc32c::crc32c_append(crc32c::crc32c(&head[..head.len().min(2)]), body)
}
