//! Datums of one column as a [`lake_codec::Column`], and back.
//!
//! What a column is physically goes by length and passing of its type, so that a type that is only
//! called another (a domain, a binary-coercible cast) reads what was written under the first name.

use crate::error::{Error, Result};
use lake_codec::{Bits, Bytes, Column, Kind, Values};
use pgrx::{PgSqlErrorCode, pg_sys};

/// What values of this attribute are; 0A000 for what no table column of a sane type is.
pub fn kind_of(att: &pg_sys::FormData_pg_attribute) -> Result<Kind> {
    // SAFETY: takes any type.
    let base = unsafe { pg_sys::getBaseType(att.atttypid) };
    Ok(match (att.attlen, att.attbyval) {
        (1, true) if base == pg_sys::BOOLOID => Kind::Bool,
        (1 | 2, true) => Kind::I16,
        (4, true) if base == pg_sys::FLOAT4OID => Kind::F32,
        (4, true) => Kind::I32,
        (8, true) if base == pg_sys::FLOAT8OID => Kind::F64,
        (8, true) => Kind::I64,
        (-1, false) => Kind::Bytes,
        (length, false) if length > 0 => Kind::Fixed(length.unsigned_abs().into()),
        (length, _) => {
            return Err(Error::unsupported(format!(
                "values of {length} bytes can't be compressed"
            )));
        }
    })
}

/// As it is written in the name of a companion's column.
pub fn kind_name(kind: Kind) -> String {
    match kind {
        Kind::Bool => "bool".into(),
        Kind::I16 => "i16".into(),
        Kind::I32 => "i32".into(),
        Kind::I64 => "i64".into(),
        Kind::F32 => "f32".into(),
        Kind::F64 => "f64".into(),
        Kind::Fixed(width) => format!("fixed{width}"),
        Kind::Bytes => "bytes".into(),
    }
}

pub fn kind_named(name: &str) -> Option<Kind> {
    Some(match name {
        "bool" => Kind::Bool,
        "i16" => Kind::I16,
        "i32" => Kind::I32,
        "i64" => Kind::I64,
        "f32" => Kind::F32,
        "f64" => Kind::F64,
        "bytes" => Kind::Bytes,
        _ => Kind::Fixed(name.strip_prefix("fixed")?.parse().ok()?),
    })
}

/// The column that is encoded in a `bytea`.
///
/// # Safety
/// The datum is one.
pub unsafe fn read(bytes: pg_sys::Datum, kind: Kind, rows: usize) -> Result<Column> {
    // SAFETY: as the caller says; a copy made for this is freed after.
    unsafe {
        let stored = bytes.cast_mut_ptr::<pg_sys::varlena>();
        let plain = pg_sys::pg_detoast_datum_packed(stored);
        let column = lake_codec::decode(pgrx::varlena_to_byte_slice(plain), kind, rows);
        if plain != stored {
            pg_sys::pfree(plain.cast());
        }
        column.map_err(|corrupt| {
            Error::new(
                PgSqlErrorCode::ERRCODE_DATA_CORRUPTED,
                format!("a batch of compressed rows can't be read: {corrupt}"),
            )
            .hint(
                "The disk or the memory changed what was written: restore the chunk from a backup.",
            )
        })
    }
}

/// What a value is made of, as it is stored; nothing for null.
///
/// # Safety
/// The datum is a value of the attribute, unless it is null.
pub unsafe fn bytes_of(
    datum: pg_sys::Datum,
    is_null: bool,
    att: &pg_sys::FormData_pg_attribute,
) -> Vec<u8> {
    if is_null {
        return vec![];
    }
    // SAFETY: as the caller says: so many bytes, or a varlena, which is copied whole.
    unsafe {
        match (att.attbyval, usize::try_from(att.attlen)) {
            (true, _) => datum.value().to_ne_bytes().to_vec(),
            (false, Ok(length)) => {
                std::slice::from_raw_parts(datum.cast_mut_ptr::<u8>(), length).to_vec()
            }
            (false, Err(_)) => {
                let stored = datum.cast_mut_ptr::<pg_sys::varlena>();
                let plain = pg_sys::pg_detoast_datum_packed(stored);
                let bytes = pgrx::varlena_to_byte_slice(plain).to_vec();
                if plain != stored {
                    pg_sys::pfree(plain.cast());
                }
                bytes
            }
        }
    }
}

/// Gathers the values of one column of a batch.
pub struct Builder {
    kind: Kind,
    nulls: Bits,
    any_null: bool,
    values: Values,
    /// Bytes gathered, about.
    pub size: usize,
}

impl Builder {
    pub fn new(kind: Kind) -> Self {
        let values = match kind {
            Kind::Bool => Values::Bool(Bits::default()),
            Kind::I16 => Values::I16(vec![]),
            Kind::I32 => Values::I32(vec![]),
            Kind::I64 => Values::I64(vec![]),
            Kind::F32 => Values::F32(vec![]),
            Kind::F64 => Values::F64(vec![]),
            Kind::Fixed(_) | Kind::Bytes => Values::Bytes(Bytes::default()),
        };
        Self { kind, nulls: Bits::default(), any_null: false, values, size: 0 }
    }

    /// # Safety
    /// The datum is a value of an attribute of this kind, its length as `attlen` says.
    #[expect(clippy::cast_possible_truncation, reason = "a datum holds no more than its type")]
    pub unsafe fn push(&mut self, datum: pg_sys::Datum, is_null: bool, attlen: i16) {
        self.nulls.push(is_null);
        if is_null {
            self.any_null = true;
            return;
        }
        let raw = datum.value();
        self.size += 8;
        match &mut self.values {
            Values::Bool(v) => v.push(raw as u8 != 0),
            Values::I16(v) if attlen == 1 => v.push(i16::from(raw as i8)),
            Values::I16(v) => v.push(raw as i16),
            Values::I32(v) => v.push(raw as i32),
            Values::I64(v) => v.push(raw as i64),
            Values::F32(v) => v.push(f32::from_bits(raw as u32)),
            Values::F64(v) => v.push(f64::from_bits(raw as u64)),
            // SAFETY: as the caller says: so many bytes, or a varlena, which is copied whole.
            Values::Bytes(v) => unsafe {
                if let Kind::Fixed(width) = self.kind {
                    v.push(std::slice::from_raw_parts(datum.cast_mut_ptr::<u8>(), width));
                    self.size += width;
                } else {
                    let stored = datum.cast_mut_ptr::<pg_sys::varlena>();
                    let plain = pg_sys::pg_detoast_datum_packed(stored);
                    let bytes = pgrx::varlena_to_byte_slice(plain);
                    v.push(bytes);
                    self.size += bytes.len();
                    if plain != stored {
                        pg_sys::pfree(plain.cast());
                    }
                }
            },
        }
    }

    pub fn finish(self) -> Column {
        Column { nulls: self.any_null.then_some(self.nulls), values: self.values }
    }
}

/// Gives the values of a column back, row by row.
pub struct Cursor {
    column: Column,
    is_varlena: bool,
    row: usize,
    value: usize,
}

impl Cursor {
    pub fn new(column: Column, kind: Kind) -> Self {
        Self { column, is_varlena: kind == Kind::Bytes, row: 0, value: 0 }
    }

    /// The next row's value; what isn't passed by value is allocated in the current memory context.
    ///
    /// # Safety
    /// The column has another row.
    pub unsafe fn next(&mut self) -> Option<pg_sys::Datum> {
        let is_null = self.column.nulls.as_ref().is_some_and(|nulls| nulls.get(self.row));
        self.row += 1;
        if is_null {
            return None;
        }
        let at = self.value;
        self.value += 1;
        // SAFETY: as the caller says.
        Some(unsafe { datum(&self.column.values, at, self.is_varlena) })
    }
}

/// A value; what isn't passed by value is allocated in the current memory context.
///
/// # Safety
/// There are so many values; those of any length are varlenas if they are said to be.
pub unsafe fn datum(values: &Values, at: usize, is_varlena: bool) -> pg_sys::Datum {
    match values {
        Values::Bool(v) => pg_sys::Datum::from(v.get(at)),
        Values::I16(v) => pg_sys::Datum::from(v[at]),
        Values::I32(v) => pg_sys::Datum::from(v[at]),
        Values::I64(v) => pg_sys::Datum::from(v[at]),
        Values::F32(v) => pg_sys::Datum::from(v[at].to_bits() as i32),
        Values::F64(v) => pg_sys::Datum::from(v[at].to_bits() as i64),
        Values::Bytes(v) => {
            let bytes = v.get(at).unwrap_or_default();
            // SAFETY: room for the bytes, after them.
            unsafe { allocated(bytes, is_varlena) }
        }
    }
}

/// A copy of the bytes in the current memory context, with the header of a varlena or without.
///
/// # Safety
/// The result is freed with that context, or by the caller.
pub unsafe fn allocated(bytes: &[u8], is_varlena: bool) -> pg_sys::Datum {
    let header = if is_varlena { pg_sys::VARHDRSZ } else { 0 };
    // SAFETY: header and bytes fit into what is allocated; a varlena has at most a field's size.
    unsafe {
        let to = pg_sys::palloc(header + bytes.len()).cast::<u8>();
        if is_varlena {
            pgrx::set_varsize_4b(to.cast(), (header + bytes.len()) as i32);
        }
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), to.add(header), bytes.len());
        pg_sys::Datum::from(to)
    }
}
