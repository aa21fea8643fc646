//! What maps are drawn from: [`tile`]s of vectors, and a [`grid`] of counts where there are too many
//! places to draw. [`api`] has the SQL functions.

mod api;
mod grid;
mod tile;

use pgrx::extension_sql_file;

extension_sql_file!(
    "../../../sql/install/62_geo_map.sql",
    name = "geo_map_sql",
    requires = ["geo_sql", geo_tile, geo_grid]
);
