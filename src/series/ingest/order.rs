//! What the batches of a session were like, as a guess at the next: whether it will meet rows that are
//! there already. A wrong guess costs time and nothing else.

use lake_chunks::Micros;
use pgrx::pg_sys;
use std::cell::RefCell;
use std::collections::HashMap;

/// How many tables a session keeps in mind, before it begins anew.
const MOST_TABLES: usize = 1_000;

/// How many batches pass, after a wrong guess, before the next.
const WARY: u32 = 100;

#[derive(Clone, Copy)]
struct Past {
    /// The latest instant written, or tried.
    last: Micros,
    /// Batches to pass before anything is guessed.
    wary: u32,
}

thread_local! {
    static PAST: RefCell<HashMap<pg_sys::Oid, Past>> = RefCell::default();
}

/// Whether a batch that begins at `first` comes after all that this session wrote before.
pub fn follows(table: pg_sys::Oid, first: Micros) -> bool {
    PAST.with_borrow_mut(|past| {
        past.get_mut(&table).is_some_and(|past| {
            past.wary = past.wary.saturating_sub(1);
            past.wary == 0 && first > past.last
        })
    })
}

/// A batch up to `last` was written, and met nothing.
pub fn met_nothing(table: pg_sys::Oid, last: Micros) {
    PAST.with_borrow_mut(|past| {
        if past.len() >= MOST_TABLES {
            past.clear();
        }
        let entry = past.entry(table).or_insert(Past { last, wary: 0 });
        entry.last = entry.last.max(last);
    });
}

/// It was guessed that a batch would meet nothing, and it did.
pub fn guessed_wrong(table: pg_sys::Oid) {
    PAST.with_borrow_mut(|past| {
        if let Some(past) = past.get_mut(&table) {
            past.wary = WARY;
        }
    });
}
