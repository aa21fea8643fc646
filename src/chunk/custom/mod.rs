//! A scan of our own for chunks with batches: it decodes only the columns that a query reads, and leaves out
//! batches that can't hold a row it asks for.
//!
//! It stands for a plain scan, whose rows it returns: it opens one, tells it what is wanted, and Postgres
//! checks every condition on what comes. So all that must be right here is that nothing is called unwanted
//! that isn't. Statements that change or lock rows keep to plain scans, which leave batches out as well ([`target`]).
//!
//! - [`path`] — offers it to the planner; [`exec`] — runs it; [`cells`] — the values of a batch's rows; [`ranges`] — what conditions say of batches.

mod cells;
mod exec;
mod path;
mod ranges;
mod target;

pub use exec::members;
pub use path::has_our_scan;
pub use ranges::{Condition, Wanted, of as condition, ordered};

use pgrx::pg_sys;
use std::ffi::CStr;

/// As it is called in plans.
const NAME: &CStr = c"LakeChunkScan";

/// Called once, while the library is loaded.
pub fn install() {
    path::install();
    target::install();
    // SAFETY: registers a constant, once in each process, under a name of its own.
    unsafe { pg_sys::RegisterCustomScanMethods(&raw const exec::SCAN.0) }
}
