//! What compressing a store would come to: one of its chunks, compressed on trial beside it.

use super::compress;
use crate::access;
use crate::catalog::Store;
use crate::error::{Error, Result};
use crate::names::Relation;
use crate::series::backend::{Backend, Chunk, Compressed};
use crate::series::{interval, time};
use crate::spi;

/// Fewer rows say little: batches have 4,096.
const ENOUGH_ROWS: i64 = 50_000;

/// The chunk that was tried, and what it came to.
pub struct Estimate {
    pub chunk: Relation,
    pub rows: i64,
    pub bytes: i64,
    pub compressed_bytes: i64,
    /// Of all chunks that are over and not compressed.
    pub plain_bytes: i64,
}

impl Estimate {
    /// How many times smaller the rows became.
    pub fn ratio(&self) -> f64 {
        Compressed { before: self.bytes, after: self.compressed_bytes }.ratio()
    }

    /// Of all plain chunks, were they like this one.
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "an estimate")]
    pub fn estimated_bytes(&self) -> i64 {
        (self.plain_bytes as f64 / self.ratio()) as i64
    }
}

/// Tries the smallest chunk of enough rows, or else the one of the most. `None` where no chunk is over that has
/// rows and can be compressed.
pub fn estimate(store: &Store) -> Result<Option<Estimate>> {
    access::require_owner(&store.relation)?;
    if Backend::of(store)? == Backend::Hypertable {
        return Err(Error::unsupported(format!("{} is a hypertable", store.relation))
            .hint("Chunks of native stores can be compressed; TimescaleDB's community edition compresses its own."));
    }
    let now = time::from_pg(interval::clock()?);
    let mut plain: Vec<Chunk> = vec![];
    for chunk in Backend::Native.chunks(&store.relation)? {
        let over = chunk.end.is_some_and(|end| end <= now);
        if over
            && chunk.compressed.is_none()
            && access::is_owner(&chunk.relation)?
            && compress::reason_against(&chunk.relation, store)?.is_none()
        {
            plain.push(chunk);
        }
    }
    let plain_bytes = plain.iter().map(|chunk| chunk.bytes).sum();
    // Bytes stand for rows where a chunk was never analysed.
    let rows = |chunk: &Chunk| chunk.rows.unwrap_or(chunk.bytes / 64);
    plain.sort_by_key(|chunk| match rows(chunk) {
        enough if enough >= ENOUGH_ROWS => (0, enough),
        few => (1, -few),
    });
    for chunk in plain {
        let relation = chunk.relation;
        spi::execute(&format!("LOCK TABLE ONLY {relation} IN ACCESS SHARE MODE"), &[])?;
        let (rows, compressed_bytes) = compress::trial(&relation, store)?;
        if rows > 0 {
            return Ok(Some(Estimate {
                chunk: relation,
                rows,
                bytes: chunk.bytes,
                compressed_bytes,
                plain_bytes,
            }));
        }
    }
    Ok(None)
}
