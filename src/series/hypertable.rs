//! TimescaleDB hypertables, through the public surface only: `create_hypertable`, `by_range`,
//! `drop_chunks` and the documented columns of `timescaledb_information`. Its catalogue changes with
//! every release.

use crate::engines::{self, Engine, TimescaleEdition};
use crate::error::{Error, Result};
use crate::names::Relation;
use crate::series::backend::Chunk;
use crate::series::time;
use crate::spi;
use pgrx::datum::Interval;

const EXTENSION: &str = "timescaledb";

pub fn find() -> Result<Option<Engine>> {
    engines::find(EXTENSION)
}

pub fn require() -> Result<Engine> {
    engines::require(EXTENSION, "series")
}

/// Makes a hypertable of an empty table.
pub fn create(engine: &Engine, table: &Relation, column: &str, interval: Interval) -> Result<()> {
    spi::execute(
        &format!(
            "SELECT {}($1::pg_catalog.oid::pg_catalog.regclass, \
                       {}($2::pg_catalog.name, $3::pg_catalog.interval), \
                       create_default_indexes => false)",
            engine.object("create_hypertable"),
            engine.object("by_range"),
        ),
        &[table.oid.into(), column.into(), interval.into()],
    )?;
    Ok(())
}

/// The width of chunks that are still to be made.
pub fn set_interval(table: &Relation, interval: &str) -> Result<()> {
    spi::execute(
        &format!(
            "SELECT {}($1::pg_catalog.oid::pg_catalog.regclass, $2::pg_catalog.interval)",
            require()?.object("set_chunk_time_interval"),
        ),
        &[table.oid.into(), interval.into()],
    )?;
    Ok(())
}

/// The column that chunks are cut by, and its type; `None` for a table that is no hypertable.
pub fn time_dimension(table: &Relation) -> Result<Option<(String, String)>> {
    if find()?.is_none() {
        return Ok(None);
    }
    let found = spi::rows(
        "SELECT column_name::text, column_type::text FROM timescaledb_information.dimensions \
         WHERE hypertable_schema = $1::pg_catalog.name AND hypertable_name = $2::pg_catalog.name \
           AND dimension_number = 1",
        &[table.schema.as_str().into(), table.name.as_str().into()],
        |row| Ok((spi::need(row, 1)?, spi::need(row, 2)?)),
    )?;
    Ok(found.into_iter().next())
}

/// Every chunk, oldest first.
pub fn chunks(table: &Relation) -> Result<Vec<Chunk>> {
    let Some(engine) = find()? else {
        return Err(Error::not_in_prerequisite_state(format!(
            "{table} needs the extension \"timescaledb\", which was dropped"
        )));
    };
    spi::rows(
        &format!(
            "SELECT c.oid, h.chunk_schema::text, h.chunk_name::text, h.range_start, h.range_end, \
                    NULLIF(c.reltuples, -1)::pg_catalog.int8, COALESCE(z.bytes, s.bytes, 0), c.relowner, \
                    z.before, z.bytes - s.bytes \
             FROM timescaledb_information.chunks h \
             JOIN pg_catalog.pg_namespace n ON n.nspname = h.chunk_schema \
             JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = h.chunk_name \
             CROSS JOIN LATERAL (SELECT pg_catalog.pg_total_relation_size(c.oid) AS bytes) s \
             LEFT JOIN ({}) z ON z.chunk_schema = h.chunk_schema AND z.chunk_name = h.chunk_name \
             WHERE h.hypertable_schema = $1::pg_catalog.name AND h.hypertable_name = $2::pg_catalog.name \
             ORDER BY h.range_end, h.range_start, c.oid",
            compressed_chunks(&engine)?
        ),
        &[table.schema.as_str().into(), table.name.as_str().into(), table.oid.into()],
        Chunk::read,
    )
}

/// The chunks of the hypertable `$3` that TimescaleDB has compressed: `bytes` with the relation that
/// holds the compressed rows, and `before`. Only its community edition makes them.
fn compressed_chunks(engine: &Engine) -> Result<String> {
    Ok(match engines::timescale_edition()? {
        Some(TimescaleEdition::Community) => format!(
            "SELECT d.chunk_schema, d.chunk_name, d.total_bytes AS bytes, s.before_compression_total_bytes AS before \
             FROM {}($3::pg_catalog.oid::pg_catalog.regclass) s \
             JOIN {}($3::pg_catalog.oid::pg_catalog.regclass) d \
               ON d.chunk_schema = s.chunk_schema AND d.chunk_name = s.chunk_name \
             WHERE s.compression_status = 'Compressed'",
            engine.object("chunk_compression_stats"),
            engine.object("chunks_detailed_size"),
        ),
        _ => "SELECT NULL::pg_catalog.name AS chunk_schema, NULL::pg_catalog.name AS chunk_name, \
                     NULL::pg_catalog.int8 AS bytes, NULL::pg_catalog.int8 AS before \
              WHERE $3::pg_catalog.oid IS NULL"
            .to_owned(),
    })
}

/// Drops the chunk's range, no more. It needs locks on that chunk only.
pub fn drop_chunk(table: &Relation, chunk: &Chunk) -> Result<()> {
    let engine = require()?;
    let (Some(start), Some(end)) = (chunk.start, chunk.end) else {
        return Err(Error::internal(format!("chunk {} has no range", chunk.relation)));
    };
    let dropped = spi::execute(
        &format!(
            "SELECT {}($1::pg_catalog.oid::pg_catalog.regclass, \
                       older_than => $2::pg_catalog.timestamptz, \
                       newer_than => $3::pg_catalog.timestamptz)",
            engine.object("drop_chunks"),
        ),
        &[table.oid.into(), time::to_pg(end)?.into(), time::to_pg(start)?.into()],
    )?;
    if dropped == 0 {
        return Err(Error::not_in_prerequisite_state(format!(
            "chunk {} was not dropped: TimescaleDB found nothing in its range",
            chunk.relation
        )));
    }
    Ok(())
}
