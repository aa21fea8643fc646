//! Vector stores, on pgvector: `id, embedding, metadata, content`, and the searches over them.
//!
//! - [`api`] — the SQL functions.
//! - [`store`] — what is known of a store; [`create`] and [`adopt`] make one.
//! - [`batch`] — the forms in which rows arrive; [`upsert`] — checks and writes them.
//! - [`search_api`] — the SQL functions that find: [`search`] one or many, [`select`] what is alike,
//!   [`recommend`], [`hybrid`] with full text.
//! - [`plan`] — exact or approximate, and why, by [`cost`] and [`estimate`]; [`path`] — the statements;
//!   [`index`] — what can answer; [`known`] — what a session remembers; [`datum`] — queries as values.
//! - [`rows`] — get, delete, count.

use pgrx::prelude::*;

mod adopt;
mod api;
mod batch;
mod cost;
mod create;
mod datum;
mod estimate;
mod hybrid;
mod index;
mod known;
mod path;
mod plan;
mod recommend;
mod rows;
mod search;
mod search_api;
mod select;
mod store;
mod upsert;

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
    "../../sql/install/42_vector_cost.sql",
    name = "vector_cost_sql",
    requires = ["catalog"]
);

extension_sql_file!(
    "../../sql/install/43_vector_search.sql",
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
