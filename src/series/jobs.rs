//! The background work of series stores, one chunk a step.

use crate::catalog::Store;
use crate::error::Result;
use crate::series::{native, retention, time};
use crate::workers::actions::{Progress, Step};
use pgrx::datum::TimestampWithTimeZone;
use serde_json::Value;

/// Makes one of the chunks that are to be there ahead of time.
pub fn make_chunks(store: &Store, _config: &Value, now: TimestampWithTimeZone) -> Result<Step> {
    Ok(match native::make_ahead(store, time::from_pg(now))? {
        Some(range) => Step::Done(Progress {
            subject: format!("{} from {}", store.relation, lake_chunks::text::format(range.start)),
            ..Progress::default()
        }),
        None => Step::Idle,
    })
}

/// Drops one chunk that is due.
pub fn retention(store: &Store, _config: &Value, now: TimestampWithTimeZone) -> Result<Step> {
    Ok(match retention::drop_next(store, now)? {
        Some(due) => Step::Done(Progress {
            subject: due.chunk.relation.to_string(),
            rows: due.chunk.rows.unwrap_or(0),
            bytes_before: due.chunk.bytes,
            bytes_after: 0,
        }),
        None => Step::Idle,
    })
}
