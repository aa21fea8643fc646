//! SQL functions and views that serve all stores.

mod engines;
pub mod health;
mod jobs;
mod rejects;
mod stores;
#[cfg(any(test, feature = "pg_test"))]
mod tests;
mod version;

use pgrx::prelude::*;

extension_sql_file!(
    "../../sql/install/20_common.sql",
    name = "common_sql",
    requires = [
        version::version,
        engines::engines,
        stores::drop_store,
        rejects::replay_rejects,
        rejects::purge_rejects,
        jobs::run_job,
        jobs::alter_job,
        health::health,
        status::start_worker,
        status::worker_status,
        "catalog",
        "drop_trigger",
    ]
);
