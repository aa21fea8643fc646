//! How wide new chunks are: advised from what was written lately, and changed by the worker where the
//! store's option `chunk_target_bytes` asks for it.

use crate::catalog::{Store, job};
use crate::error::{Error, Result};
use crate::series::backend::Backend;
use crate::series::{hypertable, options, time};
use crate::spi;
use lake_chunks::interval::{self, Advice};
use lake_chunks::retention;
use pgrx::datum::TimestampWithTimeZone;
use serde_json::{Value, json};

/// The option.
pub const TARGET: &str = "chunk_target_bytes";
/// A chunk whose indexes stay in the memory of an ordinary server while it is written.
const DEFAULT_TARGET: i64 = 1 << 30;

/// The width there is, what it should be, and why.
pub struct Advised {
    pub present: String,
    pub target_bytes: i64,
    pub advice: Option<Advice>,
}

impl Advised {
    pub fn reason(&self) -> String {
        match &self.advice {
            None => "too few closed chunks with rows in them to tell".into(),
            Some(Advice { width: None, .. }) => {
                format!("chunks are within a factor of two of {} bytes", self.target_bytes)
            }
            Some(advice) => format!(
                "{:.0} bytes a day in the last {} closed chunks; {} bytes a chunk are wanted",
                advice.bytes_per_day, advice.chunks, self.target_bytes
            ),
        }
    }

    pub fn figures(&self) -> Value {
        json!({
            "present": self.present,
            "target_bytes": self.target_bytes,
            "bytes_per_day": self.advice.map(|advice| advice.bytes_per_day.round()),
            "chunks_measured": self.advice.map_or(0, |advice| advice.chunks),
        })
    }
}

/// What the newest closed chunks say. 22023 for a target that can't be; 0A000 where somebody else makes
/// the chunks.
pub fn advise(
    store: &Store,
    target_bytes: Option<i64>,
    now: TimestampWithTimeZone,
) -> Result<Advised> {
    let Some(width) = options::chunk_width(store)? else {
        return Err(Error::unsupported(format!(
            "lake_stores makes no chunks of {}",
            store.relation
        ))
        .hint("Adopt it with the option chunk_interval to have them made."));
    };
    let target_bytes = target_bytes
        .or_else(|| store.options.get(TARGET).and_then(Value::as_i64))
        .unwrap_or(DEFAULT_TARGET);
    if !is_target(target_bytes) {
        return Err(Error::invalid_parameter(format!("target_bytes can't be {target_bytes}"))
            .hint("It is one megabyte (1048576) or more."));
    }
    let chunks: Vec<retention::Chunk> = Backend::of(store)?
        .chunks(&store.relation)?
        .iter()
        // Empty ones have a page for each index, which says nothing of what is written.
        .filter(|chunk| chunk.rows != Some(0))
        .map(|chunk| retention::Chunk { range: chunk.range(), bytes: chunk.plain_bytes() })
        .collect();
    Ok(Advised {
        present: store.option_str("chunk_interval").unwrap_or_default().to_owned(),
        target_bytes,
        advice: interval::advise(&chunks, width, target_bytes, time::from_pg(now)),
    })
}

pub fn is_target(bytes: i64) -> bool {
    bytes >= 1 << 20
}

/// Changes the width of chunks to be made, where the store asks for that and another is better; those
/// there are stay as they are. Says what it is now.
pub fn adjust(store: &Store, now: TimestampWithTimeZone) -> Result<Option<&'static str>> {
    if !store.options.get(TARGET).is_some_and(Value::is_number) {
        return Ok(None);
    }
    let Some(width) = advise(store, None, now)?.advice.and_then(|advice| advice.width) else {
        return Ok(None);
    };
    if Backend::of(store)? == Backend::Hypertable {
        hypertable::set_interval(&store.relation, width)?;
    }
    store.set_option("chunk_interval", json!(width))?;
    Ok(Some(width))
}

/// TimescaleDB makes its chunks itself: the job looks at their width only.
pub fn follow(store: &Store) -> Result<()> {
    if Backend::of(store)? != Backend::Hypertable {
        return Ok(());
    }
    if store.options.get(TARGET).is_some_and(Value::is_number) {
        job::ensure(store, "make_chunks", "1 hour", &json!({}))?;
    } else {
        job::remove(store, "make_chunks")?;
    }
    Ok(())
}

/// The present time, for calls from SQL.
pub fn clock() -> Result<TimestampWithTimeZone> {
    spi::scalar("SELECT pg_catalog.clock_timestamp()", &[])
}
