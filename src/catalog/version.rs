//! Does the library that runs fit the catalogue in this database? After a package upgrade the new
//! library meets the old catalogue until `ALTER EXTENSION … UPDATE`, and a session that began before
//! the restart still runs the old library.

use crate::error::{Error, Result};
use crate::spi;

/// The version of this library, and of the catalogue that it was written for.
pub const LIBRARY: &str = env!("CARGO_PKG_VERSION");

/// The version of the catalogue here; `None` where the extension isn't installed.
pub fn catalogue() -> Result<Option<String>> {
    spi::cached_one(
        "SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'lake_stores'",
        &[],
    )
}

/// 55000, with the command to type, where library and catalogue differ.
pub fn check() -> Result<()> {
    match catalogue()? {
        Some(version) => compare(LIBRARY, &version),
        None => Err(Error::not_in_prerequisite_state("lake_stores is not installed here")
            .hint("CREATE EXTENSION lake_stores;")),
    }
}

/// Which of the two is behind decides what its owner has to do.
fn compare(library: &str, catalogue: &str) -> Result<()> {
    if library == catalogue {
        return Ok(());
    }
    let error = Error::not_in_prerequisite_state(format!(
        "the library of lake_stores is version {library}, its catalogue in this database {catalogue}"
    ));
    Err(if parts(library) > parts(catalogue) {
        error.hint(format!("ALTER EXTENSION lake_stores UPDATE TO '{library}';"))
    } else {
        error.hint(
            "Install the newer package on the server and restart it, so that the library is loaded anew.",
        )
    })
}

/// `0.10.2` as numbers, so that 0.10 is after 0.9. What isn't a number counts as 0.
pub fn parts(version: &str) -> Vec<u32> {
    version
        .split(|c: char| !c.is_ascii_digit())
        .take(3)
        .map(|part| part.parse().unwrap_or(0))
        .collect()
}

#[cfg(any(test, feature = "pg_test"))]
#[pgrx::pg_schema]
mod tests {
    use pgrx::prelude::*;

    #[pg_test]
    fn a_library_ahead_of_its_catalogue_names_the_command() {
        let error = super::compare("0.10.0", "0.9.3").unwrap_err();
        assert_eq!(error.code, PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE);
        assert_eq!(error.hint.unwrap(), "ALTER EXTENSION lake_stores UPDATE TO '0.10.0';");
        let error = super::compare("0.9.3", "0.10.0").unwrap_err();
        assert!(error.hint.unwrap().contains("restart"), "the library is the older one");
        super::compare("1.0.0", "1.0.0").unwrap();
        super::check().unwrap();
    }
}
