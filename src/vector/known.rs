//! What a session remembers of the stores that it uses: columns, index, costs. A search would else
//! read half a dozen catalogues each time.
//!
//! What is remembered of a store goes when Postgres says that its table changed (columns, name,
//! indexes), when the library says so ([`changed`]: options, costs, registration), and all of it goes
//! when a schema or the embedding's type changes, or the extension's own tables do. A transaction with
//! a snapshot of its own (repeatable read) may read what others have changed since, so it leaves
//! nothing behind.

use super::cost::{self, Costs};
use super::index::Index;
use super::store::VectorStore;
use crate::error::{Error, Result};
use crate::regclass::RegClass;
use crate::spi;
use pgrx::{IntoDatum, pg_sys};
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

/// A store with what a search needs besides.
pub struct Known {
    pub vector: VectorStore,
    pub index: Option<Index>,
    pub costs: Costs,
    /// The width of the search that was found to reach the wanted recall.
    pub ef_search: Option<i32>,
    /// Whether a search has met rows at the same distance.
    pub ties: Cell<bool>,
    /// By which a change of the embedding's type is recognised.
    type_hash: u32,
}

/// How many stores are remembered before it starts anew.
const MOST: usize = 64;

thread_local! {
    static KNOWN: RefCell<HashMap<pg_sys::Oid, Rc<Known>>> = RefCell::default();
    /// `_lake.store`; invalid until the first store is read.
    static CATALOGUE: Cell<pg_sys::Oid> = const { Cell::new(pg_sys::InvalidOid) };
    /// Counts what was heard, so that nothing is kept that changed while it was read.
    static HEARD: Cell<u64> = const { Cell::new(0) };
    static LISTENING: Cell<bool> = const { Cell::new(false) };
}

/// The store on a table, remembered or read. Errors as [`VectorStore::load`].
pub fn known(table: Option<RegClass>) -> Result<Rc<Known>> {
    let table = table.ok_or_else(|| Error::null_value("store is null"))?;
    listen();
    // SAFETY: takes in what other sessions have changed, as locking a relation would.
    unsafe { pg_sys::AcceptInvalidationMessages() };
    if let Some(known) = KNOWN.with_borrow(|all| all.get(&table.0).cloned()) {
        return Ok(known);
    }
    let before = HEARD.get();
    let known = Rc::new(read(table)?);
    // SAFETY: reads a variable of the current transaction.
    let own_snapshot = unsafe { pg_sys::XactIsoLevel } >= pg_sys::XACT_REPEATABLE_READ as i32;
    if HEARD.get() == before && !own_snapshot {
        KNOWN.with_borrow_mut(|all| {
            if all.len() >= MOST {
                all.clear();
            }
            all.insert(table.0, Rc::clone(&known));
        });
    }
    Ok(known)
}

/// Tells every session, once this transaction commits, that what is known of a store has changed.
pub fn changed(table: pg_sys::Oid) {
    // SAFETY: takes the OID of any relation; of one that is gone, nothing need be said.
    unsafe {
        if !pg_sys::get_rel_name(table).is_null() {
            pg_sys::CacheInvalidateRelcacheByRelid(table);
        }
    }
}

fn read(table: RegClass) -> Result<Known> {
    let vector = VectorStore::read(table)?;
    let index = vector.index()?;
    let costs = cost::read(&vector)?;
    let ef_search = vector
        .store
        .options
        .get("ef_search")
        .and_then(Value::as_i64)
        .and_then(|ef| i32::try_from(ef).ok());
    let catalogue = spi::cached_one::<pg_sys::Oid>(
        "SELECT '_lake.store'::pg_catalog.regclass::pg_catalog.oid",
        &[],
    )?;
    CATALOGUE.set(catalogue.unwrap_or(pg_sys::InvalidOid));
    let type_hash = type_hash(vector.embedding.type_oid);
    Ok(Known { vector, index, costs, ef_search, ties: Cell::new(false), type_hash })
}

fn type_hash(oid: pg_sys::Oid) -> u32 {
    let none = pg_sys::Datum::from(0);
    let key = oid.into_datum().unwrap_or(none);
    // SAFETY: the cache has one key, an OID; the others are ignored.
    unsafe {
        pg_sys::GetSysCacheHashValue(
            pg_sys::SysCacheIdentifier::TYPEOID as i32,
            key,
            none,
            none,
            none,
        )
    }
}

/// Asks Postgres to be told of changes, once a session.
fn listen() {
    if LISTENING.replace(true) {
        return;
    }
    let none = pg_sys::Datum::from(0);
    // SAFETY: the functions live as long as the session and take the arguments they are given.
    unsafe {
        pg_sys::CacheRegisterRelcacheCallback(Some(relation_changed), none);
        for cache in [pg_sys::SysCacheIdentifier::TYPEOID, pg_sys::SysCacheIdentifier::NAMESPACEOID]
        {
            pg_sys::CacheRegisterSyscacheCallback(cache as i32, Some(object_changed), none);
        }
    }
}

/// Nothing in these two raises or reads the database: they are called in the middle of anything.
unsafe extern "C-unwind" fn relation_changed(_: pg_sys::Datum, relation: pg_sys::Oid) {
    HEARD.set(HEARD.get().wrapping_add(1));
    KNOWN.with_borrow_mut(|all| {
        if relation == pg_sys::InvalidOid || relation == CATALOGUE.get() {
            all.clear();
        } else {
            all.remove(&relation);
        }
    });
}

unsafe extern "C-unwind" fn object_changed(_: pg_sys::Datum, cache: i32, hash: u32) {
    HEARD.set(HEARD.get().wrapping_add(1));
    let of_types = cache == pg_sys::SysCacheIdentifier::TYPEOID as i32;
    KNOWN.with_borrow_mut(|all| {
        if hash == 0 || !of_types {
            all.clear();
        } else {
            all.retain(|_, known| known.type_hash != hash);
        }
    });
}
