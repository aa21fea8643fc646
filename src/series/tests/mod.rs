//! Tests of the series stores inside the database; most run on both engines.

mod buckets;
mod chunks;
mod helpers;
mod ingest;
mod queries;
mod rights;
