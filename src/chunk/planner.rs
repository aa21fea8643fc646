//! No plan goes by an index, in parallel or by ranges of `ctid` where a chunk has batches, which only a plain scan sees.
//!
//! The hook is there in time: planning begins by opening the table, which loads the library.

use super::{link, routine};
use pgrx::{pg_guard, pg_sys};

static mut PREVIOUS: pg_sys::get_relation_info_hook_type = None;

/// Called once, while the library is loaded.
pub fn install() {
    // SAFETY: one thread, before any query of this session is planned by us.
    unsafe {
        PREVIOUS = pg_sys::get_relation_info_hook;
        pg_sys::get_relation_info_hook = Some(on_relation_info);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_relation_info(
    root: *mut pg_sys::PlannerInfo,
    relation: pg_sys::Oid,
    inherited: bool,
    info: *mut pg_sys::RelOptInfo,
) {
    // SAFETY: the planner hands in a relation that it has locked.
    unsafe {
        if let Some(previous) = PREVIOUS {
            pg_sys::ffi::pg_guard_ffi_boundary(|| previous(root, relation, inherited, info));
        }
        let rel = pg_sys::relation_open(relation, pg_sys::NoLock as pg_sys::LOCKMODE);
        // After decompression too, as long as somebody may hold a snapshot that must not read the heap
        // alone: the scan tells them.
        let only_plain = routine::is_ours(rel)
            && link::now(rel)
                .is_some_and(|link| link.batches.is_some() || !link.is_seen_by_all(rel));
        pg_sys::relation_close(rel, pg_sys::NoLock as pg_sys::LOCKMODE);
        if only_plain {
            (*info).indexlist = std::ptr::null_mut();
            (*info).rel_parallel_workers = 0;
            (*info).amflags &= !pg_sys::AMFLAG_HAS_TID_RANGE;
        }
    }
}
