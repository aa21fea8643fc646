//! The SQL function that indexes a key of the metadata.

use super::metadata_index::{self, Kind};
use super::store::VectorStore;
use crate::error::{Error, SqlResult};
use crate::regclass::RegClass;
use pgrx::prelude::*;

#[pg_extern(schema = "lake", volatile, parallel_unsafe)]
pub fn vector_index_metadata(
    store: Option<RegClass>,
    key: Option<&str>,
    r#type: default!(Option<&str>, "'auto'"),
) -> SqlResult<RegClass> {
    let vector = VectorStore::load(store)?;
    let key = key.ok_or_else(|| Error::null_value("key is null"))?;
    let kind = Kind::parse(r#type.ok_or_else(|| Error::null_value("type is null"))?)?;
    Ok(metadata_index::make(&vector, key, kind)?)
}
