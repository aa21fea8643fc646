//! Makes tables of places, and adopts those that are there.

use super::store::{Columns, Layout, SRID};
use crate::access;
use crate::catalog::{Store, StoreKind};
use crate::engines::{self, Engine};
use crate::error::{Error, Result};
use crate::names::{NewName, Relation, ident};
use crate::regclass::RegClass;
use crate::spi;
use lake_geojson::GeometryType;
use pgrx::PgSqlErrorCode;
use serde_json::Value;

/// What `options` may hold.
struct Options {
    /// 2 or 3: whether positions have heights.
    dimensions: i64,
}

impl Options {
    fn parse(options: &Value) -> Result<Self> {
        let mut parsed = Self { dimensions: 2 };
        let Value::Object(members) = options else {
            return Err(Error::invalid_parameter("options must be a JSON object"));
        };
        for (key, value) in members {
            match (key.as_str(), value.as_i64()) {
                ("dimensions", Some(n @ (2 | 3))) => parsed.dimensions = n,
                ("dimensions", _) => {
                    return Err(Error::invalid_parameter(format!("dimensions can't be {value}"))
                        .hint("It is 2, or 3 for places with heights."));
                }
                _ => {
                    return Err(Error::invalid_parameter(format!("there is no option \"{key}\""))
                        .hint("Options of geo stores: dimensions (2 or 3)."));
                }
            }
        }
        Ok(parsed)
    }
}

/// Types of ids that can be asked for.
const ID_TYPES: [&str; 4] = ["text", "bigint", "integer", "uuid"];

/// Makes a table `id, geom, properties` with its indexes, in the caller's name, and registers it.
pub fn create(
    name: &str,
    geometry_type: &str,
    srid: i32,
    id_type: &str,
    options: &Value,
) -> Result<RegClass> {
    let postgis = engines::require("postgis", "geo")?;
    let options = Options::parse(options)?;
    let kind = geometry_type_name(geometry_type)?;
    check_srid(srid)?;
    if !ID_TYPES.contains(&id_type) {
        return Err(Error::invalid_parameter(format!("id_type can't be \"{id_type}\""))
            .hint("It is text, bigint, integer or uuid."));
    }
    let name = NewName::parse(name)?;
    let z = if options.dimensions == 3 { "Z" } else { "" };
    let bound = |function: &str, operator: &str, limit: i32| {
        format!(
            "{}(geom::{}) OPERATOR(pg_catalog.{operator}) ({limit})::pg_catalog.float8",
            postgis.object(function),
            postgis.object("box3d")
        )
    };
    // Ranges are checked here too, because rows may come by plain INSERT, and PostGIS' geography
    // would bend what lies outside.
    spi::execute(
        &format!(
            "CREATE TABLE {name} (\
                id pg_catalog.{id_type} PRIMARY KEY, \
                geom {geometry}({kind}{z}, {SRID}), \
                properties pg_catalog.jsonb NOT NULL DEFAULT '{{}}', \
                CONSTRAINT lon_lat CHECK ({} AND {} AND {} AND {}))",
            bound("st_xmin", ">=", -180),
            bound("st_xmax", "<=", 180),
            bound("st_ymin", ">=", -90),
            bound("st_ymax", "<=", 90),
            id_type = match id_type {
                "bigint" => "int8",
                "integer" => "int4",
                other => other,
            },
            geometry = postgis.object("geometry"),
        ),
        &[],
    )?;
    let oid = spi::scalar(
        "SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = $1::pg_catalog.name AND c.relname = $2::pg_catalog.name",
        &[name.schema.as_str().into(), name.name.as_str().into()],
    )?;
    let columns =
        Columns { id: "id".into(), geometry: "geom".into(), properties: Some("properties".into()) };
    register(Relation::by_oid(oid)?, &postgis, &columns)?;
    Ok(RegClass(oid))
}

/// Registers a table that exists, and makes the indexes that it lacks.
pub fn adopt(table: RegClass, columns: &Columns) -> Result<RegClass> {
    let postgis = engines::require("postgis", "geo")?;
    let relation = Relation::by_oid(table.0)?;
    access::require_owner(&relation)?;
    let layout = Layout::read(&relation, &postgis, columns).map_err(|mut error| {
        if error.code == PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN {
            error.hint = Some(
                "Name the columns: lake.geo_adopt(tbl, id_column => …, geometry_column => …, properties_column => …); properties_column may be null.".to_owned(),
            );
        }
        error
    })?;
    let foreign_srid = if layout.srid == SRID {
        None
    } else if layout.srid != 0 {
        Some(layout.srid)
    } else {
        spi::one::<i32>(
            &format!(
                "SELECT {st_srid}(t.{geom}) FROM {relation} t \
                 WHERE {st_srid}(t.{geom}) OPERATOR(pg_catalog.<>) {SRID} LIMIT 1",
                st_srid = postgis.object("st_srid"),
                geom = layout.geometry,
            ),
            &[],
        )?
    };
    if let Some(srid) = foreign_srid {
        return Err(Error::invalid_parameter(format!(
            "column {} of {relation} holds geometries of srid {srid}; places are in WGS 84 ({SRID})",
            layout.geometry
        ))
        .hint(format!(
            "ALTER TABLE {relation} ALTER COLUMN {geom} TYPE geometry(Geometry, {SRID}) USING ST_Transform({geom}, {SRID}); (ST_SetSRID where only the number is missing).",
            geom = layout.geometry
        )));
    }
    if !has_unique_index(&relation, &columns.id)? {
        return Err(Error::not_in_prerequisite_state(format!(
            "column {} of {relation} has no unique index",
            layout.id
        ))
        .hint(format!("ALTER TABLE {relation} ADD PRIMARY KEY ({});", layout.id)));
    }
    register(relation, &postgis, columns)?;
    Ok(table)
}

fn register(relation: Relation, postgis: &Engine, columns: &Columns) -> Result<()> {
    let store = Store::register(relation, StoreKind::Geo, "postgis", None, columns.to_options())?;
    make_indexes(&store.relation, postgis, columns)?;
    // The conversion function comes with PostGIS; this is for databases where its event trigger was
    // disabled or the two came by a restore.
    access::as_extension_owner(|| spi::execute("SELECT _lake.geo_make_to_geometry()", &[]))??;
    Ok(())
}

/// The indexes that searches need and the table hasn't: on the plane (polygons, first guess of
/// nearest), on the ellipsoid (distances), on the properties (filters).
fn make_indexes(relation: &Relation, postgis: &Engine, columns: &Columns) -> Result<()> {
    let geometry = ident(&columns.geometry);
    let geography = format!("(({geometry}::{}))", postgis.object("geography"));
    let plain = |column: &str| {
        spi::scalar::<bool>(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_index i \
                JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
                JOIN pg_catalog.pg_am m ON m.oid = c.relam \
                JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] \
                WHERE i.indrelid = $1 AND m.amname IN ('gist', 'gin') AND i.indpred IS NULL \
                  AND i.indisvalid AND a.attname = $2::pg_catalog.name)",
            &[relation.oid.into(), column.into()],
        )
    };
    let on_ellipsoid = spi::scalar::<bool>(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_index i \
            JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
            JOIN pg_catalog.pg_am m ON m.oid = c.relam \
            JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indexrelid AND a.attnum = 1 \
            JOIN pg_catalog.pg_attribute g ON g.attrelid = i.indrelid AND g.attname = $2::pg_catalog.name \
            JOIN pg_catalog.pg_opclass o ON o.oid = i.indclass[0] \
            JOIN pg_catalog.pg_type t ON t.oid = o.opcintype \
            JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
                AND d.objid = i.indexrelid AND d.refobjid = i.indrelid AND d.refobjsubid = g.attnum \
            WHERE i.indrelid = $1 AND m.amname = 'gist' AND i.indkey[0] = 0 AND i.indpred IS NULL \
              AND i.indisvalid AND t.typname = 'geography')",
        &[relation.oid.into(), columns.geometry.as_str().into()],
    )?;
    if !plain(&columns.geometry)? {
        spi::execute(&format!("CREATE INDEX ON {relation} USING gist ({geometry})"), &[])?;
    }
    if !on_ellipsoid {
        spi::execute(&format!("CREATE INDEX ON {relation} USING gist {geography}"), &[])?;
    }
    if let Some(properties) = &columns.properties
        && !plain(properties)?
    {
        spi::execute(
            &format!(
                "CREATE INDEX ON {relation} USING gin ({} pg_catalog.jsonb_path_ops)",
                ident(properties)
            ),
            &[],
        )?;
    }
    Ok(())
}

fn has_unique_index(relation: &Relation, column: &str) -> Result<bool> {
    spi::scalar(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_index i \
            JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] \
            WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indimmediate \
              AND i.indnkeyatts = 1 AND i.indpred IS NULL AND a.attname = $2::pg_catalog.name)",
        &[relation.oid.into(), column.into()],
    )
}

/// PostGIS' name of a type, in any case of letters; 22023 for one that GeoJSON hasn't.
fn geometry_type_name(name: &str) -> Result<&'static str> {
    if name.eq_ignore_ascii_case("Geometry") {
        return Ok("Geometry");
    }
    GeometryType::ALL
        .into_iter()
        .map(GeometryType::as_str)
        .find(|known| known.eq_ignore_ascii_case(name))
        .ok_or_else(|| {
            Error::invalid_parameter(format!("geometry_type can't be \"{name}\"")).hint(
                "It is Geometry (any), Point, LineString, Polygon, MultiPoint, MultiLineString, MultiPolygon or GeometryCollection.",
            )
        })
}

fn check_srid(srid: i32) -> Result<()> {
    if srid == SRID {
        return Ok(());
    }
    Err(Error::unsupported(format!("srid {srid}: places are in WGS 84 ({SRID})")).hint(
        "GeoJSON has no other reference system; transform what is in another with ST_Transform.",
    ))
}
