//! Series whose ids this session has read before, so that a batch doesn't look each of them up by its
//! tags again.
//!
//! What is remembered is where the row of a series is and which transaction wrote it. Before an id is
//! used, [`still_there`] reads those rows once more, by their place and with the caller's rights: a row
//! that was deleted, updated, rolled back, hidden by a policy or moved is not found, and its series is
//! looked up as if it had never been seen. Nothing has to tell the session that anything changed
//! (`docs/decisions/0010-series-ids-are-remembered-and-checked.md`).

use crate::error::Result;
use crate::names::Relation;
use crate::series::points::Series;
use crate::spi;
use pgrx::itemptr::item_pointer_get_both;
use pgrx::pg_sys;
use std::cell::RefCell;

/// Quicker than the standard one on keys this short, and as much kept from the sender.
type HashMap<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;

/// Most bytes of keys that a session remembers, before it begins anew: some 100,000 series.
const MAX_BYTES: usize = 16 << 20;

/// What an entry takes beside its key.
const ENTRY_BYTES: usize = 64;

/// A row of the table of series: where it is, and who wrote it.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    pub id: i64,
    pub place: pg_sys::ItemPointerData,
    pub written_by: i64,
}

#[derive(Default)]
struct Memory {
    tables: HashMap<pg_sys::Oid, HashMap<Box<[u8]>, Seen>>,
    bytes: usize,
}

thread_local! {
    static MEMORY: RefCell<Memory> = RefCell::default();
}

/// What the session remembers of a series by this key.
pub fn find(table: pg_sys::Oid, key: &[u8]) -> Option<Seen> {
    MEMORY.with_borrow(|memory| memory.tables.get(&table)?.get(key).copied())
}

pub fn remember(table: pg_sys::Oid, series: &Series<'_>, seen: Seen) {
    MEMORY.with_borrow_mut(|memory| {
        let bytes = series.key.len() + ENTRY_BYTES;
        if memory.bytes + bytes > MAX_BYTES {
            *memory = Memory::default();
        }
        if memory.tables.entry(table).or_default().insert(series.key.clone(), seen).is_none() {
            memory.bytes += bytes;
        }
    });
}

/// The ids of those of `series` that were seen and whose rows are as they were, by position.
pub fn still_there(table: &Relation, series: &[&Series<'_>]) -> Result<Vec<(usize, i64)>> {
    let mut seen: Vec<Seen> = series.iter().filter_map(|series| series.seen).collect();
    if seen.is_empty() {
        return Ok(vec![]);
    }
    // In the order of the table; the same row may be known by several keys.
    seen.sort_unstable_by_key(|seen| item_pointer_get_both(seen.place));
    let places: Vec<pg_sys::ItemPointerData> = seen.iter().map(|seen| seen.place).collect();
    let rows = spi::cached_rows(
        &format!(
            "SELECT pg_catalog.array_agg(s.series_id), \
                    pg_catalog.array_agg(s.xmin::pg_catalog.text::pg_catalog.int8) \
             FROM {table} s WHERE s.ctid OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.tid[])"
        ),
        &[places.into()],
        |row| {
            let ids: Option<Vec<i64>> = spi::get(row, 1)?;
            let writers: Option<Vec<i64>> = spi::get(row, 2)?;
            Ok(ids.unwrap_or_default().into_iter().zip(writers.unwrap_or_default()).collect())
        },
    )?;
    let there: HashMap<i64, i64> = rows.into_iter().next().unwrap_or_default();
    Ok(series
        .iter()
        .enumerate()
        .filter_map(|(position, series)| {
            let seen = series.seen?;
            (there.get(&seen.id) == Some(&seen.written_by)).then_some((position, seen.id))
        })
        .collect())
}
