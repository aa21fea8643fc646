//! How often filters ask for each key of the metadata (`docs/decisions/0011-filters-counted-in-memory.md`).
//!
//! A call counts in its session. What a session has counted goes into a [`table`] in shared memory with
//! its next filter a second later, or at its end. Nothing is written, so that a search counts in
//! read-only transactions and on a standby too. Where the library isn't preloaded nothing is counted.
//!
//! [`api`] — what SQL sees.

pub mod api;
mod table;

use crate::workers::is_preloaded;
use lake_filter::{Field, Usage};
use pgrx::pg_sys;
use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};
use table::Counts;

pub use table::init;

/// How long a session keeps to itself what it has counted, while it goes on filtering.
const KEPT: Duration = Duration::from_secs(1);
/// Keys that it counts meanwhile; more go into the table at once.
const MOST: usize = 64;

/// A key with the calls since it last went into the table.
struct Pending {
    relation: pg_sys::Oid,
    key: String,
    counts: Counts,
}

thread_local! {
    static PENDING: RefCell<Vec<Pending>> = const { RefCell::new(vec![]) };
    static FLUSHED: Cell<Option<Instant>> = const { Cell::new(None) };
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// While this lives, filters aren't counted: they are the library's own.
pub struct Quiet(bool);

impl Quiet {
    pub fn new() -> Self {
        Self(QUIET.replace(true))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        QUIET.set(self.0);
    }
}

/// Counts a call that filters by these fields.
pub fn note(relation: pg_sys::Oid, fields: &[Field]) {
    if fields.is_empty() || QUIET.get() || !is_preloaded() {
        return;
    }
    let full = PENDING.with_borrow_mut(|all| {
        for field in fields {
            let key = field.name();
            let known = all.iter_mut().find(|p| p.relation == relation && p.key == key);
            let counts = match known {
                Some(pending) => &mut pending.counts,
                None => {
                    all.push(Pending { relation, key, counts: Counts::default() });
                    &mut all.last_mut().expect("pushed just now").counts
                }
            };
            counts[slot(field.usage)] += 1;
        }
        all.len() >= MOST
    });
    let now = Instant::now();
    match FLUSHED.get() {
        None => {
            // SAFETY: the function lives as long as the process; called once.
            unsafe { pg_sys::before_shmem_exit(Some(at_exit), pg_sys::Datum::from(0)) };
            flush(now);
        }
        Some(last) if full || now.duration_since(last) >= KEPT => flush(now),
        Some(_) => {}
    }
}

/// The place of a usage in [`Counts`].
const fn slot(usage: Usage) -> usize {
    match usage {
        Usage::Equal => 0,
        Usage::Number => 1,
        Usage::Text => 2,
        Usage::Other => 3,
    }
}

fn flush(now: Instant) {
    FLUSHED.set(Some(now));
    let pending = PENDING.take();
    if !pending.is_empty() {
        table::add(pending.iter().map(|p| (p.relation, p.key.as_str(), &p.counts)));
    }
}

unsafe extern "C-unwind" fn at_exit(_: i32, _: pg_sys::Datum) {
    flush(Instant::now());
}
