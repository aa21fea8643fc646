//! The typed view of a store of places: its columns, their types, the engine below.

use crate::catalog::{Store, StoreKind};
use crate::engines::{self, Engine};
use crate::error::{Error, Result};
use crate::names::{Relation, ident};
use crate::regclass::RegClass;
use crate::spi;
use lake_geojson::GeometryType;
use pgrx::{PgSqlErrorCode, pg_sys};
use serde_json::{Value, json};

/// The reference system of every store: WGS 84, as GeoJSON has it.
pub const SRID: i32 = 4326;

/// Names of the columns, as they are stored in the catalogue.
#[derive(Debug, Clone)]
pub struct Columns {
    pub id: String,
    pub geometry: String,
    pub properties: Option<String>,
}

impl Columns {
    pub fn to_options(&self) -> Value {
        json!({
            "id_column": self.id,
            "geometry_column": self.geometry,
            "properties_column": self.properties,
        })
    }

    fn from_options(store: &Store) -> Self {
        let name = |key, default: &str| store.option_str(key).unwrap_or(default).to_owned();
        Self {
            id: name("id_column", "id"),
            geometry: name("geometry_column", "geom"),
            properties: store.option_str("properties_column").map(str::to_owned),
        }
    }
}

/// A store of places and what its statements need to know.
#[derive(Debug, Clone)]
pub struct Places {
    pub store: Store,
    pub postgis: Engine,
    pub table: Layout,
}

/// The columns of a table of places as they are now.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Quoted.
    pub id: String,
    /// As SQL.
    pub id_type: String,
    pub id_type_oid: pg_sys::Oid,
    /// Quoted.
    pub geometry: String,
    /// Quoted.
    pub properties: Option<String>,
    /// `None` where any type may be.
    pub kind: Option<GeometryType>,
    /// 2 or 3; `None` where the column doesn't say.
    pub dimensions: Option<i32>,
    /// 0 where the column doesn't say.
    pub srid: i32,
}

impl Places {
    pub fn find(table: RegClass) -> Result<Self> {
        let store = Store::find(table, StoreKind::Geo)?;
        let postgis = engines::require("postgis", "geo")?;
        let table = Layout::read(&store.relation, &postgis, &Columns::from_options(&store))?;
        Ok(Self { store, postgis, table })
    }

    /// A function or type of PostGIS, qualified.
    pub fn pg(&self, name: &str) -> String {
        self.postgis.object(name)
    }

    /// The geometry of `t` on the ellipsoid.
    pub fn geography(&self) -> String {
        format!("t.{}::{}", self.table.geometry, self.pg("geography"))
    }

    /// The properties of `t`, never null.
    pub fn properties(&self) -> String {
        match &self.table.properties {
            Some(column) => format!("t.{column}"),
            None => "'{}'::pg_catalog.jsonb".to_owned(),
        }
    }

    /// The columns that [`super::rows`] reads: id, EWKB, properties.
    pub fn select_list(&self) -> String {
        format!(
            "t.{}::pg_catalog.text, {}(t.{}), {}::pg_catalog.text",
            self.table.id,
            self.pg("st_asewkb"),
            self.table.geometry,
            self.properties()
        )
    }
}

impl Layout {
    /// Looks the columns up; 42703 for one that isn't there, 42804 for one of the wrong type.
    pub fn read(relation: &Relation, postgis: &Engine, columns: &Columns) -> Result<Self> {
        let found = spi::cached_rows(
            &format!(
                "SELECT a.attname::pg_catalog.text, pg_catalog.format_type(a.atttypid, -1), a.atttypid, \
                        t.typname::pg_catalog.text, \
                        CASE WHEN t.typname = 'geometry' THEN {ty}(a.atttypmod) END, \
                        CASE WHEN t.typname = 'geometry' THEN {dims}(a.atttypmod) END, \
                        CASE WHEN t.typname = 'geometry' THEN {srid}(a.atttypmod) END, \
                        a.atttypmod < 0 \
                 FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
                 WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped",
                ty = postgis.object("postgis_typmod_type"),
                dims = postgis.object("postgis_typmod_dims"),
                srid = postgis.object("postgis_typmod_srid"),
            ),
            &[relation.oid.into()],
            |row| {
                Ok(Found {
                    name: spi::need(row, 1)?,
                    sql_type: spi::need(row, 2)?,
                    oid: spi::need(row, 3)?,
                    type_name: spi::need(row, 4)?,
                    kind: spi::get(row, 5)?,
                    dimensions: spi::get(row, 6)?,
                    srid: spi::get(row, 7)?,
                    open: spi::need(row, 8)?,
                })
            },
        )?;
        let column = |name: &str| {
            found.iter().find(|c| c.name == name).ok_or_else(|| {
                Error::new(
                    PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
                    format!("{relation} has no column {}", ident(name)),
                )
                .hint("Columns of a store keep their names; lake.drop_store(…, keep_table => true) and lake.geo_adopt make it known by others.")
            })
        };
        let wrong = |c: &Found, wanted: &str| {
            Error::new(
                PgSqlErrorCode::ERRCODE_DATATYPE_MISMATCH,
                format!(
                    "column {} of {relation} is of type {}, not {wanted}",
                    ident(&c.name),
                    c.sql_type
                ),
            )
        };
        let id = column(&columns.id)?;
        let geometry = column(&columns.geometry)?;
        if geometry.type_name == "geography" {
            return Err(wrong(geometry, "geometry").hint(
                "Searches draw polygons as RFC 7946 does, in the plane of longitude and latitude: ALTER TABLE … ALTER COLUMN … TYPE geometry(Geometry, 4326).",
            ));
        }
        if geometry.type_name != "geometry" {
            return Err(wrong(geometry, "geometry"));
        }
        if let Some(properties) = &columns.properties {
            let properties = column(properties)?;
            if properties.oid != pg_sys::JSONBOID {
                return Err(wrong(properties, "jsonb"));
            }
        }
        let kind = geometry.kind.as_deref().map(|k| k.trim_end_matches(['Z', 'M']));
        Ok(Self {
            id: ident(&id.name),
            id_type: id.sql_type.clone(),
            id_type_oid: id.oid,
            geometry: ident(&geometry.name),
            properties: columns.properties.as_deref().map(ident),
            kind: kind.and_then(GeometryType::parse),
            dimensions: geometry.dimensions.filter(|_| !geometry.open),
            srid: geometry.srid.unwrap_or(0),
        })
    }
}

struct Found {
    name: String,
    sql_type: String,
    oid: pg_sys::Oid,
    type_name: String,
    kind: Option<String>,
    dimensions: Option<i32>,
    srid: Option<i32>,
    open: bool,
}
