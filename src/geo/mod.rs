//! Places: GeoJSON checked, measured and converted without PostGIS; tables of places on PostGIS.
//!
//! - [`geojson`] — the SQL functions on documents; [`document`], [`measure`] do the work.
//! - [`api`] — the SQL functions on stores. [`store`] is the typed view of one; [`create`] makes or
//!   adopts a table, [`upsert`] fills it (from features that [`feature`] has judged), [`nearby`] and
//!   [`area`] search it, [`rows`] reads and writes it out,
//!   [`map`] draws it, [`watch`] notes who enters and leaves.
//!
//! Distances are those of the WGS 84 ellipsoid. Areas are taken as RFC 7946 draws them: edges are
//! straight in longitude and latitude.

mod api;
mod area;
mod create;
mod document;
mod feature;
mod geojson;
pub mod health;
mod map;
mod measure;
mod nearby;
mod rows;
mod store;
mod upsert;
pub mod watch;

#[cfg(any(test, feature = "pg_test"))]
mod tests;

pub use upsert::replay;

use pgrx::extension_sql_file;

extension_sql_file!(
    "../../sql/install/60_geo.sql",
    name = "geo_sql",
    requires = [
        "catalog",
        geojson_validate,
        geojson_validate_jsonb,
        geojson_is_valid,
        geojson_is_valid_jsonb,
        geojson_assert,
        geojson_assert_jsonb,
        geojson_repair,
        geojson_repair_jsonb,
        geojson_to_ewkb,
        geojson_to_ewkb_jsonb,
        geojson_from_ewkb,
        geojson_distance,
        geojson_distance_jsonb,
        geojson_bearing,
        geojson_bearing_jsonb,
        geojson_area,
        geojson_area_jsonb,
        geojson_length,
        geojson_length_jsonb,
        geo_create,
        geo_adopt,
        geo_upsert,
        geo_upsert_many,
        geo_upsert_many_jsonb,
        geo_near,
        geo_nearest,
        geo_within,
        geo_intersects,
        geo_in_bbox,
        geo_feature_collection,
        geo_get,
        geo_delete,
        geo_count,
    ]
);
