//! What SQL sees of the counts.

use super::{flush, table};
use crate::error::Result;
use crate::names::Relation;
use crate::regclass::RegClass;
use crate::vector::metadata_index::{self, Kind};
use crate::vector::store::VectorStore;
use crate::workers::is_preloaded;
use crate::{access, filter};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use std::time::Instant;

/// Words for the places in [`table::Counts`].
const USAGES: [&str; 4] = ["equal", "number", "text", "exists"];

/// What `lake.vector_filter_keys` shows: of the stores that the current user owns.
#[pg_extern(schema = "_lake", volatile, parallel_unsafe)]
#[expect(clippy::type_complexity, reason = "the SQL signature")]
pub fn vector_filter_use() -> std::result::Result<
    TableIterator<
        'static,
        (
            name!(store, RegClass),
            name!(key, String),
            name!(usage, &'static str),
            name!(uses, i64),
            name!(since, TimestampWithTimeZone),
            name!(last_used, TimestampWithTimeZone),
            name!(served, bool),
        ),
    >,
    ErrorReport,
> {
    if !is_preloaded() {
        return Ok(TableIterator::empty());
    }
    flush(Instant::now());
    let mut rows = vec![];
    for counted in table::all() {
        pgrx::check_for_interrupts!();
        // What isn't a store any more, or can't be read, has nothing to show.
        let Ok(relation) = Relation::by_oid(counted.relation) else { continue };
        if !access::is_owner(&relation)? {
            continue;
        }
        let Ok(vector) = VectorStore::load(Some(RegClass(counted.relation))) else { continue };
        let Ok(path) = filter::path(&counted.key) else { continue };
        for (usage, count) in USAGES.into_iter().zip(counted.counts) {
            if count > 0 {
                rows.push((
                    RegClass(counted.relation),
                    counted.key.clone(),
                    usage,
                    i64::try_from(count).unwrap_or(i64::MAX),
                    TimestampWithTimeZone::try_from(counted.since).map_err(to_error)?,
                    TimestampWithTimeZone::try_from(counted.last).map_err(to_error)?,
                    served(&vector, &path, usage)?,
                ));
            }
        }
    }
    Ok(TableIterator::new(rows))
}

fn to_error<E: std::fmt::Display>(error: E) -> crate::error::Error {
    crate::error::Error::internal(error.to_string())
}

/// Whether an index serves such conditions; existence is served by none.
fn served(vector: &VectorStore, path: &[String], usage: &str) -> Result<bool> {
    match usage {
        "equal" => metadata_index::contains(vector),
        "number" => metadata_index::compares(vector, path, Kind::Number),
        "text" => metadata_index::compares(vector, path, Kind::Text),
        _ => Ok(false),
    }
}
