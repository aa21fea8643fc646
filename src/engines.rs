//! The engines below the stores: pgvector, TimescaleDB, PostGIS. Which are installed, in which
//! schema, which edition. They may live in any schema and are used through their public surface only.

use crate::error::{Error, Result};
use crate::names;
use crate::spi;

/// An installed engine.
#[derive(Debug, Clone)]
pub struct Engine {
    pub schema: String,
    pub version: String,
}

impl Engine {
    /// An object of the engine (function, type), qualified and quoted.
    pub fn object(&self, name: &str) -> String {
        names::qualified(&self.schema, name)
    }

    /// An operator of the engine, as `OPERATOR(schema.<=>)`. `symbol` is a constant of this code.
    pub fn operator(&self, symbol: &str) -> String {
        format!("OPERATOR({}.{symbol})", names::ident(&self.schema))
    }
}

/// Looks an engine up by the name of its extension; `None` where it isn't installed.
pub fn find(extension: &str) -> Result<Option<Engine>> {
    let found = spi::cached_rows(
        "SELECT n.nspname::text, e.extversion FROM pg_catalog.pg_extension e \
         JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = $1::name",
        &[extension.into()],
        |row| Ok(Engine { schema: spi::need(row, 1)?, version: spi::need(row, 2)? }),
    )?;
    Ok(found.into_iter().next())
}

/// As [`find`], with 55000 and the command to type where the engine is missing.
pub fn require(extension: &str, stores: &str) -> Result<Engine> {
    if let Some(engine) = find(extension)? {
        return Ok(engine);
    }
    let available = spi::one::<bool>(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_available_extensions() WHERE name = $1::name)",
        &[extension.into()],
    )?
    .unwrap_or(false);
    let error = Error::not_in_prerequisite_state(format!(
        "{stores} stores need the extension \"{extension}\""
    ));
    Err(if available {
        error.hint(format!("CREATE EXTENSION {extension};"))
    } else {
        error.hint(format!(
            "Install its package on the server first (docs/install.md), then: CREATE EXTENSION {extension};"
        ))
    })
}

/// TimescaleDB's edition: only the community one brings policies and compression of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimescaleEdition {
    Apache,
    Community,
}

/// The edition that runs in this server; `None` where the library isn't loaded.
pub fn timescale_edition() -> Result<Option<TimescaleEdition>> {
    let license = spi::cached_one::<String>(
        "SELECT pg_catalog.current_setting('timescaledb.license', true)",
        &[],
    )?;
    Ok(license.map(|l| match l.as_str() {
        "timescale" => TimescaleEdition::Community,
        _ => TimescaleEdition::Apache,
    }))
}
