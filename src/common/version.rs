//! `lake.version()`.

use pgrx::prelude::*;

/// Version of the extension, and what it was built for and runs in.
#[pg_extern(schema = "lake", immutable, parallel_safe)]
pub fn version() -> String {
    format!(
        "lake_stores {} ({} build for PostgreSQL {})",
        crate::catalog::version::LIBRARY,
        if cfg!(debug_assertions) { "debug" } else { "release" },
        crate::compat::PG_MAJOR,
    )
}

#[cfg(any(test, feature = "pg_test"))]
#[pg_schema]
mod tests {
    use pgrx::prelude::*;

    #[pg_test]
    fn version_names_the_running_major() {
        let version = Spi::get_one::<String>("SELECT lake.version()").unwrap().unwrap();
        let running =
            Spi::get_one::<i32>("SELECT current_setting('server_version_num')::int / 10000");
        assert!(
            version.ends_with(&format!("PostgreSQL {})", running.unwrap().unwrap())),
            "{version}"
        );
    }
}
