//! Vectors, and arrays of them and of floats, built byte by byte: no text, no cast for each row.
//!
//! pgvector's types are laid out as a header of eight bytes (length, dimensions, zero) and the
//! numbers, four bytes each in `vector`, two in `halfvec`; that is what their tables hold, so it can't
//! change under one. The values have passed the checks that the types' own input would make.

use super::store::VectorStore;
use crate::error::{Error, Result};
use lake_vectors::{Storage, half_bits};
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;

/// Bytes before a vector's numbers.
const VECTOR_HEADER: usize = 8;

/// Bytes before an array's elements: the header and, for one dimension, length and lower bound.
const ARRAY_HEADER: usize = size_of::<pg_sys::ArrayType>() + 2 * size_of::<i32>();

/// One vector, checked, as the type of the store's embeddings.
pub fn vector(vector: &VectorStore, values: &[f32]) -> DatumWithOid<'static> {
    let mut bytes = Vec::with_capacity(vector_size(vector.rules.storage, values.len()));
    let column = vector.embedding.type_oid;
    if encode(vector.rules.storage, values, &mut bytes).is_err() {
        return DatumWithOid::null_oid(column);
    }
    // SAFETY: the bytes are a vector, and its type is the column's.
    unsafe { DatumWithOid::new(copy(&bytes), column) }
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
        vectors.iter().map(|v| vector_size(storage, v.len()).next_multiple_of(4)).sum::<usize>();
    let mut bytes = Vec::with_capacity(ARRAY_HEADER + total);
    bytes.resize(ARRAY_HEADER, 0);
    for vector in vectors {
        encode(storage, vector, &mut bytes)?;
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    // SAFETY: after the room for the header stand vectors, aligned as their type is.
    unsafe { array(&bytes, vectors.len(), array_type, element) }
}

/// A `real[]` of one dimension.
pub fn reals(values: &[f32]) -> DatumWithOid<'static> {
    let mut bytes = Vec::with_capacity(ARRAY_HEADER + size_of_val(values));
    bytes.resize(ARRAY_HEADER, 0);
    bytes.extend(values.iter().flat_map(|value| value.to_ne_bytes()));
    // SAFETY: after the room for the header stand floats.
    unsafe { array(&bytes, values.len(), pg_sys::FLOAT4ARRAYOID, pg_sys::FLOAT4OID) }
        .unwrap_or_else(|_| DatumWithOid::null_oid(pg_sys::FLOAT4ARRAYOID))
}

fn too_large() -> Error {
    Error::internal("a chunk of vectors is too large")
}

fn vector_size(storage: Storage, dimensions: usize) -> usize {
    let width = match storage {
        Storage::Vector => 4,
        Storage::Halfvec => 2,
    };
    VECTOR_HEADER + width * dimensions
}

/// Appends one vector.
fn encode(storage: Storage, values: &[f32], bytes: &mut Vec<u8>) -> Result<()> {
    let size = u32::try_from(vector_size(storage, values.len())).map_err(|_| too_large())?;
    let dimensions = u16::try_from(values.len()).map_err(|_| too_large())?;
    bytes.extend_from_slice(&varsize(size));
    bytes.extend_from_slice(&dimensions.to_ne_bytes());
    bytes.extend_from_slice(&[0, 0]);
    match storage {
        Storage::Vector => bytes.extend(values.iter().flat_map(|v| v.to_ne_bytes())),
        Storage::Halfvec => bytes.extend(values.iter().flat_map(|v| half_bits(*v).to_ne_bytes())),
    }
    Ok(())
}

/// A copy in the current memory context.
fn copy(bytes: &[u8]) -> pg_sys::Datum {
    // SAFETY: palloc returns that much aligned memory, or raises; all of it is written.
    unsafe {
        let start = pg_sys::palloc(bytes.len()).cast::<u8>();
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), start, bytes.len());
        pg_sys::Datum::from(start)
    }
}

/// An array of one dimension without nulls.
///
/// # Safety
/// `bytes` are [`ARRAY_HEADER`] bytes of any content, then `length` elements of the type `element`,
/// aligned as it is; `array_type` is the type of arrays of it.
unsafe fn array(
    bytes: &[u8],
    length: usize,
    array_type: pg_sys::Oid,
    element: pg_sys::Oid,
) -> Result<DatumWithOid<'static>> {
    let (Ok(length), Ok(size)) = (i32::try_from(length), i32::try_from(bytes.len())) else {
        return Err(too_large());
    };
    let datum = copy(bytes);
    // SAFETY: the header is within the copy, which is aligned for it.
    unsafe {
        let array = datum.cast_mut_ptr::<pg_sys::ArrayType>();
        pgrx::set_varsize_4b(array.cast(), size);
        (*array).ndim = 1;
        (*array).dataoffset = 0;
        (*array).elemtype = element;
        let bounds = array.add(1).cast::<i32>();
        bounds.write(length);
        bounds.add(1).write(1);
        Ok(DatumWithOid::new(datum, array_type))
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
