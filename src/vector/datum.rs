//! A query as a value of pgvector's own types, so that no statement has to convert it.
//!
//! `vector` is a varlena of: 16-bit number of dimensions, 16 bits unused, single-precision floats.
//! `halfvec` the same with half-precision ones. Both have been so since their first versions.

use super::store::VectorStore;
use lake_vectors::{Storage, half_bits};
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;

/// `values`, checked before, as the type of the store's embeddings.
pub fn embedding(vector: &VectorStore, values: &[f32]) -> DatumWithOid<'static> {
    let body: Vec<u8> = match vector.rules.storage {
        Storage::Vector => values.iter().flat_map(|value| value.to_ne_bytes()).collect(),
        Storage::Halfvec => {
            values.iter().flat_map(|value| half_bits(*value).to_ne_bytes()).collect()
        }
    };
    let header = 2 * size_of::<u32>();
    let size = header + body.len();
    let (Ok(dimensions), Ok(total)) = (u16::try_from(values.len()), i32::try_from(size)) else {
        return DatumWithOid::null_oid(vector.embedding.type_oid);
    };
    // SAFETY: palloc returns aligned memory of that size, or raises; every byte of it is written.
    unsafe {
        let start = pg_sys::palloc(size).cast::<u8>();
        pgrx::set_varsize_4b(start.cast(), total);
        let counts = start.add(size_of::<u32>()).cast::<u16>();
        counts.write(dimensions);
        counts.add(1).write(0);
        std::ptr::copy_nonoverlapping(body.as_ptr(), start.add(header), body.len());
        DatumWithOid::new(pg_sys::Datum::from(start), vector.embedding.type_oid)
    }
}
