//! SQL functions and views that serve all stores.

mod engines;
mod health;
mod jobs;
mod rejects;
mod stores;
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
