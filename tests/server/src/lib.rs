//! Private Postgres clusters for tests that need a server of their own: background workers, restarts,
//! crashes, privileges, dump and restore, real clients.
//!
//! ```no_run
//! use lake_server_tests::{Cluster, Options, poll};
//! use std::time::Duration;
//!
//! let cluster = Cluster::start(Options::preloaded().set("lake_stores.naptime", "1s"));
//! cluster.create_database("app", &["vector", "lake_stores"]);
//! let mut db = cluster.connect("app", "postgres");
//! poll(Duration::from_secs(10), "a visit", || {
//!     db.query_one("SELECT last_visit IS NOT NULL FROM lake.worker_status", &[]).unwrap().get(0)
//! });
//! ```
//!
//! Environment:
//!
//! - `LAKE_PG_BIN`: the folder with `initdb`, `pg_ctl` … of the server that the extension is
//!   installed in. Default: `$PGBIN`, then what `pg_config --bindir` says.
//! - `LAKE_RUN_DIR`: where clusters live, a short path (sockets go there too). Default: `$RUN`, then
//!   the system's folder for temporary files.
//!
//! As root, the server runs as the system user `postgres`, else as the current one. A cluster is
//! stopped and removed when it is dropped, and also when the test process ends without doing so.

mod cluster;
mod command;
mod guardian;
pub mod stores;
mod wait;

pub use cluster::{Cluster, Options, Stop};
pub use command::{installed, lacks};
pub use wait::{poll, poll_value};

/// Long enough for anything that works at all on a loaded machine.
pub const SOON: std::time::Duration = std::time::Duration::from_secs(30);

/// SQLSTATE, message and hint of a failed statement. Panics where it didn't fail, or failed outside
/// the database.
#[track_caller]
pub fn failure<T: std::fmt::Debug>(result: Result<T, postgres::Error>) -> Failure {
    let error = result.expect_err("the statement should have failed");
    let Some(db) = error.as_db_error() else { panic!("not an error of the database: {error}") };
    Failure {
        code: db.code().code().to_owned(),
        message: db.message().to_owned(),
        hint: db.hint().map(str::to_owned),
    }
}

/// An error as the client saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub code: String,
    pub message: String,
    pub hint: Option<String>,
}
