//! Lets the planner see just one vector index of a table, so that an answer is known to come from it.

use pgrx::{PgList, pg_guard, pg_sys};
use std::cell::Cell;

static mut PREVIOUS: pg_sys::get_relation_info_hook_type = None;

thread_local! {
    static ONLY: Cell<pg_sys::Oid> = const { Cell::new(pg_sys::InvalidOid) };
}

/// Called once, while the library is loaded.
pub fn install() {
    // SAFETY: one thread, before any query of this session is planned by us.
    unsafe {
        PREVIOUS = pg_sys::get_relation_info_hook;
        pg_sys::get_relation_info_hook = Some(on_relation_info);
    }
}

/// While this lives, no other index that orders by distance is seen on the table of this one.
pub struct OnlyIndex(pg_sys::Oid);

impl OnlyIndex {
    pub fn new(index: pg_sys::Oid) -> Self {
        Self(ONLY.replace(index))
    }
}

impl Drop for OnlyIndex {
    fn drop(&mut self) {
        ONLY.set(self.0);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_relation_info(
    root: *mut pg_sys::PlannerInfo,
    relation: pg_sys::Oid,
    inherited: bool,
    info: *mut pg_sys::RelOptInfo,
) {
    // SAFETY: the planner hands in a relation that it is about to plan, with a list of its indexes.
    unsafe {
        if let Some(previous) = PREVIOUS {
            previous(root, relation, inherited, info);
        }
        let only = ONLY.get();
        if only == pg_sys::InvalidOid {
            return;
        }
        let indexes = PgList::<pg_sys::IndexOptInfo>::from_pg((*info).indexlist);
        if !indexes.iter_ptr().any(|index| (*index).indexoid == only) {
            return;
        }
        let mut kept = PgList::<pg_sys::IndexOptInfo>::new();
        for index in indexes.iter_ptr() {
            if (*index).indexoid == only || !(*index).amcanorderbyop {
                kept.push(index);
            }
        }
        (*info).indexlist = kept.into_pg();
    }
}
