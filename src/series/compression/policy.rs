//! Compressing the chunks of a store in the background, once they are old enough: one chunk a step, each
//! in a transaction of its own.

use super::compress::{self, Compressed};
use crate::access;
use crate::attempt::attempt_catching;
use crate::catalog::{Store, job};
use crate::error::{Error, Result};
use crate::regclass::RegClass;
use crate::series::backend::{Backend, Chunk};
use crate::series::{create, options, time};
use crate::spi;
use crate::workers::actions::{Progress, Step};
use pgrx::PgSqlErrorCode;
use pgrx::datum::{Interval, TimestampWithTimeZone};
use serde_json::{Map, Value, json};

/// What the job is called.
pub const ACTION: &str = "compress";

/// A chunk that has been compressed is compressed again once its plain rows take more than this part of
/// what the compressed ones took: fewer cost readers less than the work would.
const LATE_PART: i64 = 20;

const IN_USE: PgSqlErrorCode = PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE;

/// Sets after how long chunks are compressed, and how their rows are put in order; null ends it, and leaves what
/// is compressed.
pub fn set(
    store: &mut Store,
    after: Option<Interval>,
    segment_by: Option<Vec<String>>,
    order_by: Option<Vec<String>>,
) -> Result<()> {
    access::require_owner(&store.relation)?;
    let mut all = store.options.as_object().cloned().unwrap_or_default();
    all.remove("compression");
    let Some(after) = after else {
        store.set_options(Value::Object(all))?;
        job::remove(store, ACTION)?;
        return Ok(());
    };
    if after.as_micros() < 0 {
        return Err(Error::invalid_parameter("after can't be negative")
            .hint("It is how long after its end a chunk is compressed: '7 days'. Null ends it."));
    }
    if Backend::of(store)? == Backend::Hypertable {
        return Err(Error::unsupported(format!(
            "{} is a hypertable, whose chunks TimescaleDB looks after",
            store.relation
        ))
        .hint(format!(
            "Its community edition compresses them: ALTER TABLE {} SET (timescaledb.compress, …); SELECT add_compression_policy(…); Chunks of native stores are compressed here.",
            store.relation
        )));
    }
    let mut policy = Map::new();
    policy.insert("after".into(), json!(options::interval_text(after)?));
    for (key, columns) in [("segment_by", segment_by), ("order_by", order_by)] {
        if let Some(columns) = columns {
            for column in &columns {
                create::column_type(&store.relation, column)?;
            }
            policy.insert(key.into(), json!(columns));
        }
    }
    all.insert("compression".into(), Value::Object(policy));
    store.set_options(Value::Object(all))?;
    job::ensure(store, ACTION, "1 hour", &json!({}))?;
    Ok(())
}

/// Compresses the oldest chunk that is due. What can't be compressed stays as it is, and keeps no other
/// waiting; nor does a chunk that readers don't leave free, which fails the run once all others are done.
pub fn step(store: &Store, _config: &Value, now: TimestampWithTimeZone) -> Result<Step> {
    let Some(after) = store.options.get("compression").and_then(|set| set.get("after")) else {
        return Ok(Step::Idle);
    };
    let until = time::from_pg(spi::scalar(
        "SELECT $1::pg_catalog.timestamptz - $2::pg_catalog.interval",
        &[now.into(), after.as_str().unwrap_or_default().into()],
    )?);
    let mut in_use = None;
    for chunk in Backend::of(store)?.chunks(&store.relation)? {
        pgrx::check_for_interrupts!();
        if chunk.end.is_none_or(|end| end > until) || !is_worth_it(store, &chunk)? {
            continue;
        }
        let Compressed { rows, bytes_before, bytes_after } = match attempt_catching(
            |code| code == IN_USE,
            || compress::compress(RegClass(chunk.relation.oid)),
        ) {
            Err(error) if error.code == IN_USE => {
                in_use.get_or_insert(error);
                continue;
            }
            done => done?,
        };
        if rows > 0 {
            let subject = chunk.relation.to_string();
            return Ok(Step::Done(Progress { subject, rows, bytes_before, bytes_after }));
        }
    }
    in_use.map_or(Ok(Step::Idle), Err)
}

/// Whether there are plain rows enough, and nothing against it.
fn is_worth_it(store: &Store, chunk: &Chunk) -> Result<bool> {
    let (plain, may) = spi::rows(
        "SELECT pg_catalog.pg_relation_size(c.oid), \
                pg_catalog.pg_has_role((SELECT relowner FROM pg_catalog.pg_class WHERE oid = $2), c.relowner, 'USAGE') \
         FROM pg_catalog.pg_class c WHERE c.oid = $1",
        &[chunk.relation.oid.into(), store.oid().into()],
        |row| Ok((spi::get::<i64>(row, 1)?.unwrap_or(0), spi::need::<bool>(row, 2)?)),
    )?
    .into_iter()
    .next()
    .unwrap_or((0, false));
    let enough = match chunk.compressed {
        Some(compressed) => plain > compressed.before / LATE_PART,
        None => plain > 0,
    };
    Ok(enough && may && compress::reason_against(&chunk.relation, store)?.is_none())
}
