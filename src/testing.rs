//! What the tests in the database share.

use crate::engines::{self, TimescaleEdition};
use std::fs::OpenOptions;
use std::io::Write;
use std::panic::Location;

/// Whether this server has an engine.
pub fn has(engine: &str) -> bool {
    let there = pgrx::Spi::get_one_with_args::<bool>(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_available_extensions WHERE name = $1)",
        &[engine.into()],
    );
    matches!(there, Ok(Some(true)))
}

/// Whether this server lacks an engine, so that the test that asks has nothing to show.
#[track_caller]
pub fn lacks(engine: &str) -> bool {
    let lacks = !has(engine);
    if lacks {
        left_out(engine);
    }
    lacks
}

/// The same of TimescaleDB's community edition. Where it is there, the extension is made.
#[track_caller]
pub fn lacks_community_edition() -> bool {
    let edition = || {
        pgrx::Spi::run("CREATE EXTENSION IF NOT EXISTS timescaledb").expect("the extension");
        engines::timescale_edition().expect("its edition")
    };
    let lacks = !has("timescaledb") || edition() != Some(TimescaleEdition::Community);
    if lacks {
        left_out("timescaledb-community");
    }
    lacks
}

/// The same of ICU, which a server may be built without.
#[track_caller]
pub fn lacks_icu() -> bool {
    // Those that initdb finds; one is in the catalogue in any case.
    let sql = "SELECT EXISTS (SELECT FROM pg_catalog.pg_collation WHERE collname LIKE '%-x-icu')";
    let lacks = !matches!(pgrx::Spi::get_one::<bool>(sql), Ok(Some(true)));
    if lacks {
        left_out("ICU");
    }
    lacks
}

/// Leaves a line beside the data directory, from which `scripts/test-pgrx` says how many tests were
/// left out and for want of what.
#[track_caller]
fn left_out(missing: &str) {
    // A backend's working directory is the data directory.
    let file = OpenOptions::new().create(true).append(true).open("../lake_skipped");
    let line = format!("{missing} {}\n", Location::caller());
    file.and_then(|mut file| file.write_all(line.as_bytes()))
        .unwrap_or_else(|e| panic!("the line for a test left out: {e}"));
}
