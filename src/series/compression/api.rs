//! The SQL functions about compressed chunks.

use super::{estimate, policy};
use crate::error::{Error, SqlResult};
use crate::regclass::RegClass;
use crate::series::api::columns;
use crate::series::options;
use pgrx::datum::Interval;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

extension_sql_file!(
    "../../../sql/install/56_series_compression.sql",
    name = "series_compression_sql",
    requires = [
        "catalog",
        chunk_handler,
        series_compress_chunk,
        series_decompress_chunk,
        series_set_compression,
        series_estimate_compression
    ]
);

#[pg_extern(schema = "lake")]
pub fn series_compress_chunk(
    chunk: Option<RegClass>,
) -> Result<
    TableIterator<'static, (name!(rows, i64), name!(bytes_before, i64), name!(bytes_after, i64))>,
    ErrorReport,
> {
    let chunk = chunk.ok_or_else(|| Error::null_value("chunk must not be null"))?;
    let done = super::compress(chunk)?;
    Ok(TableIterator::once((done.rows, done.bytes_before, done.bytes_after)))
}

#[pg_extern(schema = "lake")]
pub fn series_decompress_chunk(chunk: Option<RegClass>) -> Result<i64, ErrorReport> {
    let chunk = chunk.ok_or_else(|| Error::null_value("chunk must not be null"))?;
    Ok(super::decompress(chunk)?)
}

#[pg_extern(schema = "lake")]
pub fn series_set_compression(
    store: Option<RegClass>,
    after: Option<Interval>,
    segment_by: default!(Option<Vec<Option<String>>>, "NULL"),
    order_by: default!(Option<Vec<Option<String>>>, "NULL"),
) -> SqlResult<()> {
    let store = store.ok_or_else(|| Error::null_value("store must not be null"))?;
    let segment_by = columns("segment_by", segment_by)?;
    let order_by = columns("order_by", order_by)?;
    policy::set(&mut options::find(store)?, after, segment_by, order_by)?;
    Ok(())
}

/// `estimated_bytes` is what the chunks that are over and plain would take, if all were as the one that was tried.
#[pg_extern(schema = "lake")]
pub fn series_estimate_compression(
    store: Option<RegClass>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(chunk, RegClass),
            name!(rows, i64),
            name!(bytes, i64),
            name!(compressed_bytes, i64),
            name!(ratio, f64),
            name!(plain_bytes, i64),
            name!(estimated_bytes, i64),
        ),
    >,
    ErrorReport,
> {
    let store = store.ok_or_else(|| Error::null_value("store must not be null"))?;
    let found = estimate::estimate(&options::find(store)?)?;
    Ok(TableIterator::new(found.into_iter().map(|e| {
        let ratio = e.ratio();
        let estimated = e.estimated_bytes();
        (
            RegClass(e.chunk.oid),
            e.rows,
            e.bytes,
            e.compressed_bytes,
            ratio,
            e.plain_bytes,
            estimated,
        )
    })))
}
