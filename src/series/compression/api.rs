//! The SQL functions about compressed chunks.

use crate::error::Error;
use crate::regclass::RegClass;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

extension_sql_file!(
    "../../../sql/install/56_series_compression.sql",
    name = "series_compression_sql",
    requires = ["catalog", chunk_handler, series_compress_chunk, series_decompress_chunk]
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
