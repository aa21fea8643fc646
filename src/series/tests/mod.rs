//! Tests of the series stores inside the database; most run on both engines.

mod aggregates;
mod buckets;
mod chunks;
mod helpers;
mod ingest;
mod lines;
mod queries;
mod rights;
mod rollups;
