//! `lake.engines`: what is below the stores, and what is known to be wrong with the version at hand.

use crate::catalog::version::parts;
use crate::engines::{TimescaleEdition, timescale_edition};
use crate::error::Result;
use crate::spi;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

/// The engines, and what needs each.
const ENGINES: [(&str, &str); 3] = [
    ("vector", "vector stores"),
    ("timescaledb", "series stores with engine 'timescaledb' (engine 'native' needs none)"),
    ("postgis", "geo stores; lake.geojson_* works without"),
];

/// A fault of an engine that is mended in a later version.
pub struct Fault {
    pub engine: &'static str,
    /// The first version without it.
    pub fixed_in: &'static str,
    pub finding: &'static str,
    /// Counts as an error once the feature is used, else as a warning.
    pub corrupts: bool,
}

/// Faults worth a warning. Sources: pgvector's CHANGELOG and pull requests #959, #988, #993, #1006.
pub static FAULTS: &[Fault] = &[
    Fault {
        engine: "vector",
        fixed_in: "0.8.2",
        finding: "parallel HNSW builds can overflow a buffer",
        corrupts: true,
    },
    Fault {
        engine: "vector",
        fixed_in: "0.8.4",
        finding: "vacuum can damage HNSW indexes, which then miss rows",
        corrupts: true,
    },
    Fault {
        engine: "vector",
        fixed_in: "0.8.6",
        finding: "very large IVFFlat builds can overflow a counter",
        corrupts: false,
    },
];

/// The faults that this version of an engine has.
pub fn faults_of(engine: &str, version: &str) -> Vec<&'static Fault> {
    FAULTS
        .iter()
        .filter(|fault| fault.engine == engine && parts(version) < parts(fault.fixed_in))
        .collect()
}

/// What `CREATE EXTENSION` knows about an engine.
pub struct State {
    pub installed: Option<String>,
    pub available: Option<String>,
    pub schema: Option<String>,
}

pub fn state(engine: &str) -> Result<State> {
    let found = spi::rows(
        "SELECT e.extversion, a.default_version, n.nspname::text \
         FROM (SELECT $1::pg_catalog.name AS name) x \
         LEFT JOIN pg_catalog.pg_available_extensions() a ON a.name OPERATOR(pg_catalog.=) x.name \
         LEFT JOIN pg_catalog.pg_extension e ON e.extname OPERATOR(pg_catalog.=) x.name \
         LEFT JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace",
        &[engine.into()],
        |row| {
            Ok(State {
                installed: spi::get(row, 1)?,
                available: spi::get(row, 2)?,
                schema: spi::get(row, 3)?,
            })
        },
    )?;
    Ok(found.into_iter().next().unwrap_or(State { installed: None, available: None, schema: None }))
}

/// What `lake.engines` shows.
#[pg_extern(schema = "_lake", stable, parallel_restricted)]
#[allow(clippy::type_complexity)]
pub fn engines() -> Result<
    TableIterator<
        'static,
        (
            name!(engine, String),
            name!(installed_version, Option<String>),
            name!(available_version, Option<String>),
            name!(engine_schema, Option<String>),
            name!(edition, Option<String>),
            name!(needed_by, String),
            name!(known_faults, Vec<String>),
        ),
    >,
    ErrorReport,
> {
    let mut rows = Vec::new();
    for (engine, needed_by) in ENGINES {
        let state = state(engine)?;
        let edition = match engine {
            "timescaledb" => timescale_edition()?.map(|edition| {
                match edition {
                    TimescaleEdition::Apache => "apache",
                    TimescaleEdition::Community => "community",
                }
                .to_owned()
            }),
            _ => None,
        };
        let faults = state.installed.as_deref().map_or(Vec::new(), |version| {
            faults_of(engine, version)
                .iter()
                .map(|fault| format!("{} (fixed in {})", fault.finding, fault.fixed_in))
                .collect()
        });
        rows.push((
            engine.to_owned(),
            state.installed,
            state.available,
            state.schema,
            edition,
            needed_by.to_owned(),
            faults,
        ));
    }
    Ok(TableIterator::new(rows))
}
