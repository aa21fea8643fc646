//! The SQL functions around a load.

use super::load;
use super::store::VectorStore;
use crate::error::SqlResult;
use crate::regclass::RegClass;
use pgrx::prelude::*;

#[pg_extern(schema = "lake", volatile, parallel_unsafe)]
pub fn vector_begin_load(store: Option<RegClass>) -> SqlResult<i32> {
    Ok(load::begin(&VectorStore::load(store)?)?)
}

#[pg_extern(schema = "lake", volatile, parallel_unsafe)]
pub fn vector_end_load(
    store: Option<RegClass>,
    rebuild: default!(Option<bool>, "true"),
    concurrently: default!(Option<bool>, "true"),
) -> SqlResult<i32> {
    let vector = VectorStore::load(store)?;
    Ok(load::end(&vector, rebuild.unwrap_or(true), concurrently.unwrap_or(true))?)
}
