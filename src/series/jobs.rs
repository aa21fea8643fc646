//! The background work of series stores, one chunk a step.

use crate::catalog::Store;
use crate::error::Result;
use crate::series::backend::Backend;
use crate::series::{interval, native, retention, time};
use crate::spi;
use crate::workers::actions::{Progress, Statement, Step};
use pgrx::datum::TimestampWithTimeZone;
use serde_json::Value;

/// Makes one of the chunks that are to be there ahead of time; when all are, sees to statistics.
pub fn make_chunks(store: &Store, _config: &Value, now: TimestampWithTimeZone) -> Result<Step> {
    if let Some(width) = interval::adjust(store, now)? {
        return Ok(Step::Done(Progress {
            subject: format!("new chunks of {} are {width} wide", store.relation),
            ..Progress::default()
        }));
    }
    if Backend::of(store)? == Backend::Hypertable {
        return Ok(Step::Idle);
    }
    Ok(match native::make_ahead(store, time::from_pg(now))? {
        Some(range) => Step::Done(Progress {
            subject: format!("{} from {}", store.relation, lake_chunks::text::format(range.start)),
            ..Progress::default()
        }),
        None => analyze(store, now)?.map_or(Step::Idle, Step::Statement),
    })
}

/// Autovacuum analyses chunks but never the table they belong to, whose statistics plans across chunks
/// need: this does, once a day. At the top level, so that no lock outlives the chunk it is for.
fn analyze(store: &Store, now: TimestampWithTimeZone) -> Result<Option<Statement>> {
    let due = spi::scalar::<bool>(
        "SELECT coalesce(pg_catalog.pg_stat_get_last_analyze_time($1) < $2::pg_catalog.timestamptz - interval '1 day', true) \
            AND EXISTS (SELECT FROM pg_catalog.pg_inherits i \
                        WHERE i.inhparent = $1 AND pg_catalog.pg_relation_size(i.inhrelid) > 0)",
        &[store.oid().into(), now.into()],
    )?;
    let sql = format!("ANALYZE {}", store.relation);
    Ok(due.then(|| Statement {
        in_transaction: sql.clone(),
        sql,
        settings: vec![("lock_timeout", format!("{}ms", crate::gucs::worker_lock_timeout_ms()))],
        waits: false,
        last: true,
        progress: Some(Progress {
            subject: format!("statistics of {}", store.relation),
            ..Progress::default()
        }),
        done: None,
    }))
}

/// Drops one chunk that is due, or deletes some of the rows that are.
pub fn retention(store: &Store, _config: &Value, now: TimestampWithTimeZone) -> Result<Step> {
    retention::next(store, now)
}
