//! Tests of the series stores inside the database; most run on both engines.

mod adopt;
mod aggregates;
mod buckets;
mod chunks;
mod community;
mod compressed_aggregates;
mod compressed_scan;
mod compressed_twins;
mod compression;
mod compression_policy;
mod gapfill;
mod helpers;
mod ingest;
mod intervals;
mod lines;
mod plot;
mod prune;
mod queries;
mod random;
mod retention;
mod rights;
mod rollups;
mod rollups_of_all_kinds;
mod rollups_random;
mod values;
mod writing;
