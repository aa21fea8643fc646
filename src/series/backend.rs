//! The engines below a series store, seen alike: which chunks there are, making them, dropping one.

use crate::catalog::Store;
use crate::error::{Error, Result};
use crate::names::Relation;
use crate::series::{hypertable, native, time};
use crate::spi;
use lake_chunks::Micros;
use lake_chunks::range::Range;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys;
use pgrx::spi::SpiHeapTupleData;

/// Who cuts the table into chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// Declarative range partitions.
    Native,
    /// A TimescaleDB hypertable.
    Hypertable,
}

/// A chunk as it is now.
#[derive(Debug, Clone)]
pub struct Chunk {
    pub relation: Relation,
    /// `None` at an end means unbounded: a default partition, MINVALUE, MAXVALUE.
    pub start: Option<Micros>,
    pub end: Option<Micros>,
    /// The planner's estimate; `None` where the chunk was never analyzed.
    pub rows: Option<i64>,
    /// With indexes, TOAST and compressed rows.
    pub bytes: i64,
    pub owner: pg_sys::Oid,
    pub compressed: Option<Compressed>,
}

/// What compression came to, in bytes with indexes and TOAST.
#[derive(Debug, Clone, Copy)]
pub struct Compressed {
    /// Of the rows that are compressed, before.
    pub before: i64,
    pub after: i64,
}

impl Compressed {
    /// How many times smaller the rows became.
    #[expect(clippy::cast_precision_loss, reason = "a ratio, to be looked at")]
    pub fn ratio(self) -> f64 {
        self.before as f64 / self.after.max(1) as f64
    }
}

impl Chunk {
    /// From the columns oid, schema, name, start, end, rows, bytes, owner, and for compressed chunks the
    /// bytes before and after.
    pub fn read(row: &SpiHeapTupleData<'_>) -> Result<Self> {
        let finite = |ts: Option<TimestampWithTimeZone>| {
            ts.map(time::from_pg).filter(|instant| time::is_finite(*instant))
        };
        Ok(Chunk {
            relation: Relation {
                oid: spi::need(row, 1)?,
                schema: spi::need(row, 2)?,
                name: spi::need(row, 3)?,
            },
            start: finite(spi::get(row, 4)?),
            end: finite(spi::get(row, 5)?),
            rows: spi::get(row, 6)?,
            bytes: spi::need(row, 7)?,
            owner: spi::need(row, 8)?,
            compressed: match (spi::get(row, 9)?, spi::get(row, 10)?) {
                (Some(before), Some(after)) => Some(Compressed { before, after }),
                _ => None,
            },
        })
    }

    /// What it takes, or would take, as plain rows.
    pub fn plain_bytes(&self) -> i64 {
        self.bytes + self.compressed.map_or(0, |compressed| compressed.before - compressed.after)
    }

    /// What the chunk covers, as far as retention is concerned: one without an end is never due.
    pub fn range(&self) -> Range {
        Range { start: self.start.unwrap_or(Micros::MIN), end: self.end.unwrap_or(Micros::MAX) }
    }
}

impl Backend {
    pub const fn name(self) -> &'static str {
        match self {
            Backend::Native => "native",
            Backend::Hypertable => "timescaledb",
        }
    }

    pub fn of(store: &Store) -> Result<Self> {
        match store.engine.as_str() {
            "native" => Ok(Backend::Native),
            "timescaledb" => Ok(Backend::Hypertable),
            other => {
                Err(Error::internal(format!("unknown engine \"{other}\" of {}", store.relation)))
            }
        }
    }

    /// Every chunk, oldest first.
    pub fn chunks(self, table: &Relation) -> Result<Vec<Chunk>> {
        match self {
            Backend::Native => native::chunks(table),
            Backend::Hypertable => hypertable::chunks(table),
        }
    }

    /// Makes the chunks that rows at these instants (sorted) need. TimescaleDB makes its own.
    pub fn ensure_chunks(self, store: &Store, instants: &[Micros]) -> Result<()> {
        match self {
            Backend::Native => native::ensure(store, instants).map(drop),
            Backend::Hypertable => Ok(()),
        }
    }

    /// Drops one chunk, if it still is the one that was planned. The current user must be allowed to.
    pub fn drop_chunk(self, table: &Relation, chunk: &Chunk) -> Result<()> {
        match self {
            Backend::Native => native::drop_chunk(table, chunk),
            Backend::Hypertable => hypertable::drop_chunk(table, chunk),
        }
    }
}
