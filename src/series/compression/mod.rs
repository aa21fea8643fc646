//! Compressing chunks and making them plain again: by hand, or in the background by a [`policy`]; and an
//! [`estimate`] beforehand. What compression is lies in [`crate::chunk`].

mod api;
mod compress;
mod decompress;
mod estimate;
mod policy;

pub use compress::compress;
pub use decompress::decompress;
pub use policy::{ACTION, step};

use crate::access;
use crate::catalog::{Store, StoreKind};
use crate::error::{Error, Result};
use crate::names::Relation;
use crate::regclass::RegClass;
use crate::series::backend::Backend;
use crate::spi;
use pgrx::{PgSqlErrorCode, pg_sys};

/// The chunk and its store. 42809 for what isn't a chunk, 0A000 for a chunk of TimescaleDB's, 42501 unless
/// the current user is its owner.
fn find(chunk: RegClass) -> Result<(Relation, Store)> {
    let relation = Relation::by_oid(chunk.0)?;
    let parent = spi::one::<pg_sys::Oid>(
        "SELECT i.inhparent FROM pg_catalog.pg_inherits i \
         JOIN _lake.store s ON s.relid::pg_catalog.oid = i.inhparent AND s.kind = 'series' \
         WHERE i.inhrelid = $1",
        &[relation.oid.into()],
    )?;
    let Some(parent) = parent else {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE,
            format!("{relation} is not a chunk of a series store"),
        )
        .hint("SELECT chunk FROM lake.chunks shows those there are."));
    };
    let store = Store::find(RegClass(parent), StoreKind::Series)?;
    access::require_owner(&relation)?;
    if Backend::of(&store)? == Backend::Hypertable {
        return Err(Error::unsupported(format!("{relation} is a chunk of TimescaleDB's"))
            .hint("Chunks of native partitions can be compressed; TimescaleDB's community edition compresses its own by compress_chunk."));
    }
    Ok((relation, store))
}

/// 25001 under a snapshot that is older than the statement: what was written since would be lost to it.
fn require_read_committed(function: &str) -> Result<()> {
    // SAFETY: a variable of this process.
    if unsafe { pg_sys::XactIsoLevel } >= pg_sys::XACT_REPEATABLE_READ as i32 {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_ACTIVE_SQL_TRANSACTION,
            format!("lake.{function} needs a transaction of isolation level READ COMMITTED"),
        )
        .hint("Call it outside of this transaction, or begin one with ISOLATION LEVEL READ COMMITTED."));
    }
    Ok(())
}

/// Writes which companion holds the batches of the chunk as it is now, and drops the one that did before.
fn link(
    chunk: &Relation,
    batches: Option<pg_sys::Oid>,
    rows: i64,
    bytes_before: i64,
) -> Result<()> {
    let before = access::as_extension_owner(|| -> Result<_> {
        let before = spi::one::<pg_sys::Oid>(
            "SELECT batches FROM _lake.series_compressed WHERE chunk = $1",
            &[chunk.oid.into()],
        )?;
        spi::execute(
            "INSERT INTO _lake.series_compressed (chunk, storage, batches, rows, bytes_before) \
             SELECT c.oid, c.relfilenode, $2, $3, $4 FROM pg_catalog.pg_class c WHERE c.oid = $1 \
             ON CONFLICT (chunk) DO UPDATE SET storage = excluded.storage, \
             batches = excluded.batches, rows = excluded.rows, bytes_before = excluded.bytes_before",
            &[chunk.oid.into(), batches.into(), rows.into(), bytes_before.into()],
        )?;
        Ok(before)
    })??;
    // SAFETY: the chunk is locked; plans of it are made anew.
    unsafe { pg_sys::CacheInvalidateRelcacheByRelid(chunk.oid) };
    before.map_or(Ok(()), crate::chunk::companion::drop)
}
