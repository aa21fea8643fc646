//! What a vector store accepts, without a database: metrics, types, the checks every row passes,
//! rows as JSON; which index suits it and what that costs.

mod check;
mod diverse;
mod half;
pub mod index;
mod item;
mod kinds;

pub use check::{Code, Fault, Rules};
pub use diverse::{diverse, similarity};
pub use half::half_bits;
pub use item::{Embedding, Row, payload};
pub use kinds::{IdType, Metric, Mode, Storage};

/// Most dimensions a stored vector may have (pgvector, both storages).
pub const MAX_DIMENSIONS: i32 = 16_000;

/// Longest id in bytes: well below what a B-tree entry holds, whatever else is in the key.
pub const MAX_ID_BYTES: usize = 1_024;
