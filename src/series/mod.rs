//! Time-series stores: metric stores of `(ts, series_id, value)` with one table of series beside
//! them, and adopted tables of any shape, cut into chunks by time.
//!
//! - [`api`], [`ingest_api`], [`query_api`], [`plot_api`] — the SQL functions, thin.
//! - [`create`], [`options`], [`metric`] — making and adopting stores; what a store and a metric allow.
//! - [`adopt`] — a plain table with rows is cut into chunks.
//! - [`backend`] — what the two engines have in common; [`native`] for declarative partitions,
//!   [`hypertable`] for TimescaleDB.
//! - [`points`], [`lines`], [`ingest`], [`resolve`], [`ids`] — from what was sent to rows.
//! - [`query`] — buckets, aggregates, fills, last values; [`plot`] — the same as a chart.
//! - [`interval`] — how wide new chunks are; [`identity`] — what replication tells their rows apart by.
//! - [`retention`], [`jobs`], [`lifecycle_api`] — which chunks go, which are made ahead, one step at a time.
//! - [`compression`] — chunks whose rows are compressed.
//! - [`rollup`] — aggregates kept by bucket, read through a view.
//! - [`zone`] — `lake.bucket`; [`prune`] — what conditions on it say of the time; [`mod@gapfill`] — `lake.gapfill` and the window functions beside it; [`aggregates`] — `lake.first`, `lake.rate`, `lake.percentile_sketch` and others.

mod adopt;
pub mod aggregates;
mod api;
mod backend;
pub mod compression;
mod create;
mod gapfill;
pub mod health;
mod hypertable;
mod identity;
mod ids;
mod ingest;
mod ingest_api;
mod interval;
pub mod jobs;
mod lifecycle_api;
mod lines;
mod metric;
mod native;
mod options;
mod plot;
mod plot_api;
mod points;
pub mod prune;
mod query;
mod query_api;
mod raw_json;
mod resolve;
mod retention;
pub mod rollup;
mod time;
mod zone;

#[cfg(any(test, feature = "pg_test"))]
mod tests;

use crate::catalog::Store;
use crate::catalog::reject::{OnError, Replayed};
use crate::error::Result;
use pgrx::prelude::*;
use serde_json::Value;

extension_sql_file!(
    "../../sql/install/50_series.sql",
    name = "series_sql",
    requires = [
        "catalog",
        query_api::bucket,
        api::chunks,
        api::series_adopt,
        api::series_create,
        api::series_define_metric,
        ingest_api::series_ingest,
        ingest_api::series_ingest_json,
        ingest_api::series_ingest_line_protocol,
        query_api::series_latest,
        api::series_plan_retention,
        query_api::series_query,
        api::series_set_options,
        api::series_set_retention,
    ]
);

/// Takes rejected points (JSON texts, as in `lake.rejects.payload`) once more, as a batch under
/// `on_error => 'reject'`; lines of line protocol that couldn't be read as a batch each. What is in the
/// store already counts as accepted.
pub fn replay(store: &Store, payloads: &[String]) -> Result<Replayed> {
    let mut replayed = Replayed::default();
    let mut ingest = |batch: points::Batch<'_>| -> Result<()> {
        let done = ingest::ingest(store, batch, OnError::Reject, ingest::OnConflict::Ignore)?;
        replayed.accepted += done.accepted + done.duplicate;
        replayed.rejected += done.rejected;
        Ok(())
    };
    let mut points = vec![];
    for text in payloads {
        pgrx::check_for_interrupts!();
        let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()));
        if let Some((line, precision)) = lines::rejected(&value) {
            ingest(lines::batch(store, line, lines::Reading::now(precision)?)?)?;
        } else {
            points.push(value);
        }
    }
    if !points.is_empty() {
        ingest(points::Batch::from_json(store, points)?)?;
    }
    Ok(replayed)
}
