//! Geofences: which places are in which areas, kept in a table, and what happens noted in another, in
//! the transaction that moves a place or changes an area (decision 0015).
//!
//! - [`api`] — the SQL functions; [`definition`] — a watch as registered; [`create`] — making, dropping.
//! - [`changed`] — the trigger on places and areas, which calls [`compare`]: what is inside now against
//!   what was, under the lock that keeps moves and changes of areas apart.
//! - [`job`] — in the background: places that stay, and events that are old.

mod api;
mod changed;
mod compare;
mod create;
mod definition;
mod job;

pub use create::drop_all;
pub use job::{ACTION, step};

use pgrx::prelude::*;

extension_sql_file!(
    "../../../sql/install/64_geo_watch.sql",
    name = "geo_watch_sql",
    requires = [
        "geo_sql",
        changed::geo_watch_changed,
        api::geo_watch,
        api::geo_refresh_watch,
        api::geo_unwatch
    ]
);
