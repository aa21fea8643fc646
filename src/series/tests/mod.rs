//! Tests of the series stores inside the database; most run on both engines.

mod adopt;
mod aggregates;
mod buckets;
mod chunks;
mod helpers;
mod ingest;
mod intervals;
mod lines;
mod queries;
mod retention;
mod rights;
