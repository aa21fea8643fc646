//! Vectors as arrays of pgvector's own types, built byte by byte: no text, no cast for each row.
//!
//! Both types are laid out as a header of eight bytes (length, dimensions, zero) and the numbers,
//! four bytes each in `vector`, two in `halfvec`; that is what their binary files hold, so it can't
//! change under a table. The values have passed the checks that the types' own input would make.

use crate::error::{Error, Result};
use lake_vectors::{Storage, half_bits};
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;

/// Bytes before a vector's numbers.
const VECTOR_HEADER: usize = 8;

/// Bytes before an array's elements: the header and, for one dimension, length and lower bound.
const ARRAY_HEADER: usize = size_of::<pg_sys::ArrayType>() + 2 * size_of::<i32>();

fn vector_size(storage: Storage, dimensions: usize) -> usize {
    let width = match storage {
        Storage::Vector => 4,
        Storage::Halfvec => 2,
    };
    VECTOR_HEADER + width * dimensions
}

/// A `vector[]` or `halfvec[]` of vectors that have passed the checks. `array_type` is its type,
/// `element` that of the vectors.
pub fn vectors(
    storage: Storage,
    vectors: &[&[f32]],
    array_type: pg_sys::Oid,
    element: pg_sys::Oid,
) -> Result<DatumWithOid<'static>> {
    let total =
        vectors.iter().map(|v| vector_size(storage, v.len()).next_multiple_of(4)).sum::<usize>()
            + ARRAY_HEADER;
    let too_large = || Error::internal("a chunk of vectors is too large");
    let mut bytes = Vec::with_capacity(total);
    bytes.resize(ARRAY_HEADER, 0);
    for vector in vectors {
        let size = u32::try_from(vector_size(storage, vector.len())).map_err(|_| too_large())?;
        let dimensions = u16::try_from(vector.len()).map_err(|_| too_large())?;
        bytes.extend_from_slice(&varsize(size));
        bytes.extend_from_slice(&dimensions.to_ne_bytes());
        bytes.extend_from_slice(&[0, 0]);
        match storage {
            Storage::Vector => bytes.extend(vector.iter().flat_map(|v| v.to_ne_bytes())),
            Storage::Halfvec => {
                bytes.extend(vector.iter().flat_map(|v| half_bits(*v).to_ne_bytes()));
            }
        }
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    let (Ok(length), Ok(size)) = (i32::try_from(vectors.len()), i32::try_from(total)) else {
        return Err(too_large());
    };
    // SAFETY: palloc returns aligned memory of `total` bytes, or raises; all of it is written, first
    // as one piece, then the header of an array of one dimension without nulls.
    unsafe {
        let array = pg_sys::palloc(total).cast::<pg_sys::ArrayType>();
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), array.cast(), total);
        pgrx::set_varsize_4b(array.cast(), size);
        (*array).ndim = 1;
        (*array).dataoffset = 0;
        (*array).elemtype = element;
        let bounds = array.add(1).cast::<i32>();
        bounds.write(length);
        bounds.add(1).write(1);
        Ok(DatumWithOid::new(pg_sys::Datum::from(array), array_type))
    }
}

/// The length word of a value that is neither compressed nor short.
fn varsize(size: u32) -> [u8; 4] {
    if cfg!(target_endian = "little") {
        (size << 2).to_ne_bytes()
    } else {
        (size & 0x3fff_ffff).to_ne_bytes()
    }
}
