//! Vector stores, on pgvector: `id, embedding, metadata, content`, and the searches over them.
//!
//! - [`api`] — the SQL functions.
//! - [`store`] — what is known of a store; [`create`] and [`adopt`] make one.
//! - [`batch`] — the forms in which rows arrive; [`upsert`] — checks and writes them.
//! - [`plan`] — exact or approximate, and why; [`search`] — asks.
//! - [`rows`] — get, delete, count; [`sample`] — rows drawn at random.
//! - [`build`] — indexes, in the background; [`recall`] — what they find, measured; [`health`] — findings.

use pgrx::prelude::*;

mod adopt;
mod api;
mod batch;
pub mod build;
mod create;
pub mod health;
mod plan;
pub mod recall;
mod rows;
mod sample;
mod search;
mod store;
mod upsert;

#[cfg(any(test, feature = "pg_test"))]
mod tests;

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
        vector_search,
        vector_explain,
        vector_get,
        vector_delete,
        vector_count,
        "catalog"
    ]
);
