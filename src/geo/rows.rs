//! Rows of a store as GeoJSON: selected, got, deleted, counted, written out as a FeatureCollection.

use super::document;
use super::store::Places;
use crate::error::{Error, Result};
use crate::filter;
use crate::jsonb::JsonbText;
use crate::spi;
use lake_geojson::Geometry;
use pgrx::datum::DatumWithOid;
use pgrx::spi::SpiHeapTupleData;
use pgrx::{PgSqlErrorCode, Spi, pg_sys};
use serde_json::Value;

/// A row as read by [`Places::select_list`].
pub struct Place {
    pub id: String,
    pub geometry: Option<Geometry>,
    /// JSON text.
    pub properties: String,
}

impl Place {
    pub fn read(row: &SpiHeapTupleData<'_>) -> Result<Self> {
        let geometry = match spi::get::<Vec<u8>>(row, 2)? {
            Some(ewkb) => Some(document::from_ewkb(&ewkb)?.0),
            None => None,
        };
        Ok(Self {
            id: spi::need(row, 1)?,
            geometry,
            properties: spi::get(row, 3)?.unwrap_or_else(|| "{}".to_owned()),
        })
    }

    pub fn geometry_json(&self) -> Option<JsonbText> {
        self.geometry.as_ref().map(|g| JsonbText(document::to_text(g)))
    }

    pub fn into_columns(self) -> (String, Option<JsonbText>, JsonbText) {
        let geometry = self.geometry_json();
        (self.id, geometry, JsonbText(self.properties))
    }
}

/// Conditions on rows `t`, joined by AND, with their parameters.
pub struct Conditions {
    sql: Vec<String>,
    pub args: Vec<DatumWithOid<'static>>,
}

impl Conditions {
    /// Beginning with parameters that the rest of the statement uses.
    pub fn new(args: Vec<DatumWithOid<'static>>) -> Self {
        Self { sql: Vec::new(), args }
    }

    pub fn and(&mut self, sql: String) {
        self.sql.push(sql);
    }

    /// Binds a value, and returns its placeholder.
    pub fn bind(&mut self, value: DatumWithOid<'static>) -> String {
        self.args.push(value);
        format!("${}", self.args.len())
    }

    /// Adds a filter on the properties; 22023 for one that isn't a filter.
    pub fn filter(&mut self, places: &Places, filter: Option<&JsonbText>) -> Result<()> {
        let Some(filter) = filter else { return Ok(()) };
        let value: Value = filter.parse("filter")?;
        let compiled = filter::compile(&value, &places.properties(), self.args.len() + 1)?;
        self.args.extend(filter::bind(&compiled.params));
        self.sql.push(format!("({})", compiled.sql));
        Ok(())
    }

    /// Adds a choice of ids.
    pub fn ids(&mut self, places: &Places, ids: Option<&[Option<String>]>) {
        let Some(ids) = ids else { return };
        let ids: Vec<String> = ids.iter().flatten().cloned().collect();
        let ids = self.bind(ids.into());
        self.sql.push(format!(
            "t.{} OPERATOR(pg_catalog.=) ANY ({ids}::pg_catalog.text[]::{}[])",
            places.table.id, places.table.id_type
        ));
    }

    /// As SQL; `true` for none.
    pub fn sql(&self) -> String {
        if self.sql.is_empty() { "true".to_owned() } else { self.sql.join(" AND ") }
    }
}

/// The rows that satisfy the conditions, ordered by id.
pub fn select(places: &Places, conditions: &Conditions, limit: Option<i64>) -> Result<Vec<Place>> {
    spi::cached_rows(&select_sql(places, conditions, limit), &conditions.args, Place::read)
}

fn select_sql(places: &Places, conditions: &Conditions, limit: Option<i64>) -> String {
    let limit = limit.map(|n| format!(" LIMIT {n}")).unwrap_or_default();
    format!(
        "SELECT {} FROM {} t WHERE {} ORDER BY t.{}{limit}",
        places.select_list(),
        places.store.relation,
        conditions.sql(),
        places.table.id
    )
}

/// Deletes the rows that satisfy the conditions; returns how many there were.
pub fn delete(places: &Places, conditions: &Conditions) -> Result<i64> {
    spi::scalar(
        &format!(
            "WITH gone AS (DELETE FROM {} t WHERE {} RETURNING 1) SELECT pg_catalog.count(*) FROM gone",
            places.store.relation,
            conditions.sql()
        ),
        &conditions.args,
    )
}

/// Counts the rows that satisfy the conditions.
pub fn count(places: &Places, conditions: &Conditions) -> Result<i64> {
    spi::scalar(
        &format!(
            "SELECT pg_catalog.count(*) FROM {} t WHERE {}",
            places.store.relation,
            conditions.sql()
        ),
        &conditions.args,
    )
}

/// Rows that a cursor brings at once.
const FETCH: std::ffi::c_long = 1000;

/// Just under what a Postgres value can hold.
const MAX_TEXT: usize = 1_000_000_000;

/// The rows as the text of a FeatureCollection. Assembled as text: as jsonb it takes five times as
/// long and ends at 256 MB.
pub fn feature_collection(
    places: &Places,
    conditions: &Conditions,
    limit: Option<i64>,
) -> Result<String> {
    let sql = select_sql(places, conditions, limit);
    let numeric_ids =
        matches!(places.table.id_type_oid, pg_sys::INT8OID | pg_sys::INT4OID | pg_sys::INT2OID);
    let mut out = String::from("{\"type\":\"FeatureCollection\",\"features\":[");
    Spi::connect(|client| {
        let mut cursor = client.try_open_cursor(sql.as_str(), &conditions.args)?;
        let mut first = true;
        loop {
            let rows = cursor.fetch(FETCH)?;
            if rows.is_empty() {
                return Ok(());
            }
            for row in rows {
                pgrx::check_for_interrupts!();
                if !std::mem::take(&mut first) {
                    out.push(',');
                }
                write_feature(&mut out, &Place::read(&row)?, numeric_ids);
                if out.len() > MAX_TEXT {
                    return Err(Error::new(
                        PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                        format!(
                            "the FeatureCollection of {} is larger than a Postgres value can be (1 GB)",
                            places.store.relation
                        ),
                    )
                    .hint("Ask for part of it: by limit, bbox or filter."));
                }
            }
        }
    })?;
    out.push_str("]}");
    Ok(out)
}

fn write_feature(out: &mut String, place: &Place, numeric_id: bool) {
    out.push_str("{\"type\":\"Feature\",\"id\":");
    if numeric_id {
        out.push_str(&place.id);
    } else {
        lake_geojson::write::string(out, &place.id);
    }
    out.push_str(",\"geometry\":");
    match &place.geometry {
        Some(geometry) => lake_geojson::write::geometry(out, geometry),
        None => out.push_str("null"),
    }
    out.push_str(",\"properties\":");
    out.push_str(&place.properties);
    out.push('}');
}
