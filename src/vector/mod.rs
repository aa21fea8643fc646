//! Vector stores, on pgvector: `id, embedding, metadata, content`, and the searches over them.
//!
//! - [`api`] — the SQL functions.
//! - [`store`] — what is known of a store; [`create`] and [`adopt`] make one.
//! - [`batch`] — the forms in which rows arrive; [`upsert`] — checks them;
//!   [`mod@write`] — writes them, [`pack`] — as values of pgvector's types.
//! - [`load`] — loading without indexes.
//! - [`metadata_index`] — indexes for comparisons in filters; [`filter_use`] — how often each key is asked for.
//! - [`search_api`] — the SQL functions that find: [`search`] one or many, [`select`] what is alike,
//!   [`recommend`], [`hybrid`] with full text.
//! - [`plan`] — exact or approximate, and why, by [`cost`] and [`estimate`]; [`path`] — the statements;
//!   [`index`] — what can answer; [`known`] — what a session remembers.
//! - [`rows`] — get, delete, count; [`sample`] — rows drawn at random; [`browse`] — scroll, facet.
//! - [`build`] — indexes, in the background; [`recall`] — what they find, measured; [`health`] — findings.

use pgrx::prelude::*;

mod adopt;
mod api;
mod batch;
mod browse;
mod browse_api;
pub mod build;
mod cost;
mod create;
mod estimate;
pub mod filter_use;
pub mod health;
mod hybrid;
mod index;
mod known;
mod load;
mod load_api;
mod metadata_index;
mod metadata_index_api;
mod pack;
mod path;
mod plan;
pub mod recall;
mod recommend;
mod rows;
mod sample;
mod search;
mod search_api;
mod select;
mod store;
mod upsert;
mod write;

#[cfg(any(test, feature = "pg_test"))]
mod tests;

pub use known::changed;
pub use upsert::replay;

extension_sql_file!(
    "../../sql/install/40_vector.sql",
    name = "vector_sql",
    requires = [
        vector_create,
        vector_adopt,
        vector_upsert,
        vector_upsert_many_reals,
        vector_upsert_many_bytes,
        vector_upsert_many_items,
        vector_upsert_many_text,
        vector_get,
        vector_delete,
        vector_count,
        "catalog"
    ]
);
extension_sql_file!(
    "../../sql/install/42_vector_load.sql",
    name = "vector_load_sql",
    requires = [vector_begin_load, vector_end_load, "catalog"]
);
extension_sql_file!(
    "../../sql/install/43_vector_browse.sql",
    name = "vector_browse_sql",
    requires = [vector_scroll, vector_facet]
);
extension_sql_file!(
    "../../sql/install/44_vector_metadata.sql",
    name = "vector_metadata_sql",
    requires = [vector_index_metadata]
);

extension_sql_file!(
    "../../sql/install/46_vector_cost.sql",
    name = "vector_cost_sql",
    requires = ["catalog"]
);

extension_sql_file!(
    "../../sql/install/47_vector_search.sql",
    name = "vector_search_sql",
    requires = [
        vector_search,
        vector_explain,
        vector_calibrate,
        vector_search_many_reals,
        vector_search_many_bytes,
        vector_recommend,
        vector_hybrid_search,
        "vector_cost_sql"
    ]
);
extension_sql_file!(
    "../../sql/install/48_vector_stats.sql",
    name = "vector_stats_sql",
    requires = [filter_use::api::vector_filter_use, "catalog"]
);
