//! Mapbox Vector Tiles (specification 2.1) of a store, in the Web Mercator scheme of tiles, made by PostGIS.
//!
//! A place is taken as its edges are drawn in a store: straight in longitude and latitude. Lines and areas
//! are cut to the tile, simplified to what the tile can show, and their long edges bent as Mercator
//! bends them.

use crate::error::{Error, Result};
use crate::geo::rows::Conditions;
use crate::geo::store::{Places, SRID};
use crate::jsonb::JsonbText;
use crate::spi;
use lake_geojson::GeometryType;
use pgrx::pg_sys;
use std::f64::consts::PI;

/// Units along the edge of a tile.
const EXTENT: i32 = 4096;
/// Units beyond the edge that are drawn too, so that lines and symbols meet across it.
const BUFFER: i32 = 64;
/// Units that a line may be off: an eighth of a pixel of a tile drawn at 512.
const TOLERANCE: f64 = 1.0;
/// Pieces that an edge right across a tile is bent in.
const PIECES: f64 = 16.0;
/// The deepest zoom that PostGIS knows tiles of.
const MAX_ZOOM: i32 = 31;

/// A tile of the Web Mercator pyramid; `y` counts from the north.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    z: i32,
    x: i32,
    y: i32,
}

impl Tile {
    /// 22023 for one that isn't in the pyramid.
    pub fn new(z: i32, x: i32, y: i32) -> Result<Self> {
        if !(0..=MAX_ZOOM).contains(&z) {
            return Err(Error::invalid_parameter(format!("z {z} is outside 0 to {MAX_ZOOM}")));
        }
        let last = i32::try_from((1_i64 << z) - 1).unwrap_or(i32::MAX);
        for (name, value) in [("x", x), ("y", y)] {
            if !(0..=last).contains(&value) {
                return Err(Error::invalid_parameter(format!(
                    "{name} {value} is outside 0 to {last}, which is what there is at zoom {z}"
                )));
            }
        }
        Ok(Self { z, x, y })
    }

    /// Degrees of longitude from edge to edge.
    fn width(self) -> f64 {
        360.0 / 2_f64.powi(self.z)
    }

    /// West, south, east, north in degrees, with the buffer and what rounds into it. Longitudes may be beyond ±180.
    fn bounds(self) -> [f64; 4] {
        let buffer = f64::from(BUFFER + 1) / f64::from(EXTENT);
        let tiles = 2_f64.powi(self.z);
        let lon = |x: f64| x / tiles * 360.0 - 180.0;
        let lat = |y: f64| (PI * (1.0 - 2.0 * y / tiles)).sinh().atan().to_degrees();
        let (x, y) = (f64::from(self.x), f64::from(self.y));
        [lon(x - buffer), lat(y + 1.0 + buffer), lon(x + 1.0 + buffer), lat(y - buffer)]
    }
}

/// The tile with one layer, called as the store's table unless said otherwise; no bytes where nothing is in it.
pub fn encode(
    places: &Places,
    tile: Tile,
    filter: Option<&JsonbText>,
    layer: Option<&str>,
) -> Result<Vec<u8>> {
    let layer = layer.unwrap_or(&places.store.relation.name).to_owned();
    let [west, south, east, north] = tile.bounds();
    let mut conditions = Conditions::new(vec![
        layer.into(),
        tile.z.into(),
        tile.x.into(),
        tile.y.into(),
        west.into(),
        south.into(),
        east.into(),
        north.into(),
        (tile.width() / f64::from(EXTENT) * TOLERANCE).into(),
        (tile.width() / PIECES).into(),
    ]);
    conditions.filter(places, filter)?;
    Ok(spi::cached_one(&sql(places, &conditions.sql()), &conditions.args)?.unwrap_or_default())
}

/// `$1` layer, `$2`–`$4` tile, `$5`–`$8` its bounds, `$9` tolerance, `$10` longest piece, in degrees.
fn sql(places: &Places, condition: &str) -> String {
    let (id, geom) = (&places.table.id, &places.table.geometry);
    let bounds = format!("{}($5, $6, $7, $8, {SRID})", places.pg("st_makeenvelope"));
    let feature_id = match places.table.id_type_oid {
        pg_sys::INT2OID | pg_sys::INT4OID | pg_sys::INT8OID => format!("t.{id}::pg_catalog.int8"),
        _ => "NULL::pg_catalog.int8".to_owned(),
    };
    format!(
        "SELECT {asmvt}(m, $1::pg_catalog.text, {EXTENT}, 'geom', 'feature_id') FROM ( \
             SELECT {asmvtgeom}({transform}(s.shape, 3857), {box2d}({tileenvelope}($2, $3, $4)), {EXTENT}, {BUFFER}, true) AS geom, \
                    s.feature_id, s.id, s.properties \
             FROM (SELECT {shape} AS shape, {feature_id} AS feature_id, t.{id}::pg_catalog.text AS id, \
                          {properties} OPERATOR(pg_catalog.-) 'id' AS properties \
                   FROM {relation} t WHERE t.{geom} {overlaps} {bounds} AND {condition}) s) m \
         WHERE m.geom IS NOT NULL",
        asmvt = places.pg("st_asmvt"),
        asmvtgeom = places.pg("st_asmvtgeom"),
        transform = places.pg("st_transform"),
        box2d = places.pg("box2d"),
        tileenvelope = places.pg("st_tileenvelope"),
        shape = shape(places, &bounds),
        properties = places.properties(),
        relation = places.store.relation,
        overlaps = places.postgis.operator("&&"),
    )
}

/// What of the geometry of `t` is drawn, in degrees.
fn shape(places: &Places, bounds: &str) -> String {
    let geom = format!("t.{}", places.table.geometry);
    // All parameters are used, so that their types are known.
    let (tolerance, piece) = ("$9::pg_catalog.float8", "$10::pg_catalog.float8");
    let drawn = format!(
        "{}({}({}({geom}, {}({bounds})), {tolerance}, true), {piece})",
        places.pg("st_segmentize"),
        places.pg("st_simplify"),
        places.pg("st_clipbybox2d"),
        places.pg("box2d"),
    );
    if places.table.kind == Some(GeometryType::Point) {
        // Never evaluated, and seen to be so when the statement is planned.
        return format!("CASE WHEN true THEN {geom} ELSE {drawn} END");
    }
    format!(
        "CASE WHEN {}({geom}) OPERATOR(pg_catalog.=) 0 THEN {geom} ELSE {drawn} END",
        places.pg("st_dimension")
    )
}
