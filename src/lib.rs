//! **lake_stores** turns a PostgreSQL database into a lake of three kinds of store: vectors (on
//! pgvector), time series (on TimescaleDB or native partitions) and places (on PostGIS).
//!
//! The map, outside in:
//!
//! - `sql/install/*.sql` — schemas, catalogue, views, comments, privileges.
//! - [`vector`], [`series`], [`geo`] — one store each: `api.rs` holds the SQL functions, which parse
//!   arguments, check rights and call the capabilities in the files beside it.
//! - [`common`] — SQL functions that serve all stores: versions, stores, rejects, jobs, health.
//! - [`catalog`] — what the tables themselves can't say: stores, jobs, rejects.
//! - [`chunk`] — compressed chunks: the table access method `lake_chunk`.
//! - [`workers`] — launcher, visits to a database, the jobs.
//! - [`mod@error`], [`names`], [`spi`], [`access`], [`gucs`], [`engines`], [`compat`], [`filter`],
//!   [`jsonb`], [`regclass`], [`batch`], [`mod@trigger`] — one concern each.
//!   `names` is the only place that quotes, `spi` the only one that talks to the executor.
//!
//! Logic that needs no database lives in `crates/`: `lake_geojson`, `lake_filter`, `lake_chunks`, `lake_codec`,
//! `lake_lines`, `lake_samples`, `lake_vectors`.

use pgrx::prelude::*;

mod access;
mod attempt;
mod batch;
mod catalog;
mod chunk;
mod common;
mod compat;
mod engines;
mod error;
mod filter;
mod geo;
mod gucs;
mod jsonb;
mod names;
mod regclass;
mod series;
mod spi;
#[cfg(any(test, feature = "pg_test"))]
mod testing;
mod trigger;
mod vector;
mod workers;

::pgrx::pg_module_magic!(name, version);

extension_sql_file!("../sql/install/00_schema.sql", name = "schema", bootstrap);
extension_sql_file!("../sql/install/10_catalog.sql", name = "catalog");
extension_sql_file!("../sql/install/99_finalize.sql", name = "finalize", finalize);

/// The public schema; functions join it by `#[pg_extern(schema = "lake")]`.
#[pg_schema]
mod lake {}

/// Catalogue tables and helpers that are not part of the public surface.
#[pg_schema]
mod _lake {}

#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    gucs::init();
    chunk::install();
    series::prune::install();
    vector::build::only_index::install();
    workers::init();
    if workers::is_preloaded() {
        vector::filter_use::init();
    }
}

/// Required by `cargo pgrx test`.
#[cfg(test)]
pub mod pg_test {
    pub fn setup(_options: Vec<&str>) {}

    /// TimescaleDB has to be preloaded where it is installed, and can't be where it isn't.
    pub fn postgresql_conf_options() -> Vec<&'static str> {
        let version = format!("pg{}", crate::compat::PG_MAJOR);
        let extensions = pgrx_pg_config::Pgrx::from_config()
            .and_then(|pgrx| pgrx.get(&version)?.extension_dir())
            .unwrap_or_else(|e| panic!("cargo pgrx init doesn't know {version}: {e}"));
        if extensions.join("timescaledb.control").exists() {
            vec!["shared_preload_libraries = 'timescaledb,lake_stores'"]
        } else {
            vec!["shared_preload_libraries = 'lake_stores'"]
        }
    }
}
