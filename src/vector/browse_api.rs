//! The SQL functions that walk through a store.

use super::browse;
use super::store::VectorStore;
use crate::error::Error;
use crate::jsonb::JsonbText;
use crate::regclass::RegClass;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

#[pg_extern(schema = "lake", stable)]
pub fn vector_scroll(
    store: Option<RegClass>,
    after: default!(Option<&str>, "NULL"),
    max_rows: default!(Option<i32>, "1000"),
    filter: default!(Option<JsonbText>, "NULL"),
    with_embedding: default!(Option<bool>, "false"),
) -> std::result::Result<
    TableIterator<
        'static,
        (
            name!(id, String),
            name!(embedding, Option<Vec<f32>>),
            name!(metadata, Option<JsonbText>),
            name!(content, Option<String>),
        ),
    >,
    ErrorReport,
> {
    let vector = VectorStore::load(store)?;
    let max_rows = max_rows.ok_or_else(|| Error::null_value("max_rows is null"))?;
    let with_embedding = with_embedding.unwrap_or(false);
    let rows = browse::scroll(&vector, after, max_rows, filter.as_ref(), with_embedding)?;
    Ok(TableIterator::new(
        rows.into_iter().map(|row| (row.id, row.embedding, row.metadata, row.content)),
    ))
}

#[pg_extern(schema = "lake", stable)]
pub fn vector_facet(
    store: Option<RegClass>,
    key: Option<&str>,
    filter: default!(Option<JsonbText>, "NULL"),
    max_values: default!(Option<i32>, "100"),
) -> std::result::Result<
    TableIterator<'static, (name!(value, JsonbText), name!(rows, i64))>,
    ErrorReport,
> {
    let vector = VectorStore::load(store)?;
    let key = key.ok_or_else(|| Error::null_value("key is null"))?;
    let max_values = max_values.ok_or_else(|| Error::null_value("max_values is null"))?;
    Ok(TableIterator::new(browse::facet(&vector, key, filter.as_ref(), max_values)?))
}
