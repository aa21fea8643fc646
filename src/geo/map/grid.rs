//! How many places there are in the cells of a grid over a box of longitude and latitude.

use crate::error::{Error, Result};
use crate::geo::area::Bbox;
use crate::geo::rows::Conditions;
use crate::geo::store::Places;
use crate::jsonb::JsonbText;
use crate::spi;
use lake_geojson::GeometryType;

/// More cells along an edge than a screen has dots.
const MAX_CELLS: i32 = 4096;

/// A box cut into cells that are as square in degrees as whole numbers allow.
#[derive(Debug, Clone, Copy)]
pub struct Grid {
    bbox: Bbox,
    columns: i32,
    rows: i32,
}

/// A cell with places in it.
#[derive(Debug, Clone, Copy)]
pub struct Cell {
    /// From the west, from 0.
    pub x: i32,
    /// From the south, from 0.
    pub y: i32,
    pub count: i64,
    /// The mean position of the places.
    pub lon: f64,
    pub lat: f64,
    /// West, south, east, north; west is greater than east across the antimeridian.
    pub bbox: [f64; 4],
}

impl Grid {
    /// `cells` along the longer edge. 22023 for a box without width or height, and too few or many cells.
    pub fn new(bbox: Bbox, cells: i32) -> Result<Self> {
        if !(1..=MAX_CELLS).contains(&cells) {
            return Err(Error::invalid_parameter(format!(
                "cells {cells} is outside 1 to {MAX_CELLS}"
            ))
            .hint("It is how many cells there are along the longer edge of the box."));
        }
        let (width, height) = (bbox.width(), bbox.north - bbox.south);
        if width <= 0.0 || height <= 0.0 {
            return Err(Error::invalid_parameter("bbox has no area")
                .hint("The order is west, south, east, north."));
        }
        let side = width.max(height) / f64::from(cells);
        // Between 1 and `cells`.
        let along = |edge: f64| (edge / side).round().max(1.0) as i32;
        Ok(Self { bbox, columns: along(width), rows: along(height) })
    }

    fn cell_width(&self) -> f64 {
        self.bbox.width() / f64::from(self.columns)
    }

    fn cell_height(&self) -> f64 {
        (self.bbox.north - self.bbox.south) / f64::from(self.rows)
    }

    fn bounds(&self, x: i32, y: i32) -> [f64; 4] {
        let edge = |from: f64, size: f64, n: i32, last: i32, to: f64| {
            if n == last { to } else { from + f64::from(n) * size }
        };
        let lon = |x| {
            let east = self.bbox.west + self.bbox.width();
            edge(self.bbox.west, self.cell_width(), x, self.columns, east)
        };
        let lat = |y| edge(self.bbox.south, self.cell_height(), y, self.rows, self.bbox.north);
        let west = lon(x);
        let west = if west >= 180.0 { west - 360.0 } else { west };
        [west, lat(y), wrapped(lon(x + 1)), lat(y + 1)]
    }
}

/// Brings what went on beyond the antimeridian back.
fn wrapped(lon: f64) -> f64 {
    if lon > 180.0 { lon - 360.0 } else { lon }
}

/// The cells that aren't empty, row by row from the south-west.
///
/// A place that isn't a point counts where a point inside it is (`ST_PointOnSurface`).
pub fn count(places: &Places, grid: &Grid, filter: Option<&JsonbText>) -> Result<Vec<Cell>> {
    let east = grid.bbox.west + grid.bbox.width();
    let mut conditions = Conditions::new(vec![
        grid.bbox.west.into(),
        grid.bbox.south.into(),
        east.into(),
        grid.bbox.north.into(),
        grid.cell_width().into(),
        grid.cell_height().into(),
        grid.columns.into(),
        grid.rows.into(),
    ]);
    grid.bbox.condition(places, &mut conditions);
    conditions.filter(places, filter)?;
    spi::cached_rows(&sql(places, &conditions.sql()), &conditions.args, |row| {
        let (x, y) = (spi::need(row, 1)?, spi::need(row, 2)?);
        Ok(Cell {
            x,
            y,
            count: spi::need(row, 3)?,
            lon: wrapped(spi::need(row, 4)?),
            lat: spi::need(row, 5)?,
            bbox: grid.bounds(x, y),
        })
    })
}

/// `$1`–`$4` the box, its east beyond 180 where it crosses; `$5`, `$6` a cell's size; `$7`, `$8` how many.
fn sql(places: &Places, condition: &str) -> String {
    let geom = format!("t.{}", places.table.geometry);
    let point = if places.table.kind == Some(GeometryType::Point) {
        geom
    } else {
        format!("{}({geom})", places.pg("st_pointonsurface"))
    };
    let cell = |value: &str, from: &str, size: &str, last: &str| {
        format!(
            "LEAST(pg_catalog.floor((p.{value} OPERATOR(pg_catalog.-) {from}) OPERATOR(pg_catalog./) {size})::pg_catalog.int4, \
                   {last} OPERATOR(pg_catalog.-) 1)"
        )
    };
    format!(
        "SELECT c.x, c.y, pg_catalog.count(*), pg_catalog.avg(c.lon), pg_catalog.avg(c.lat) FROM ( \
             SELECT p.lon, p.lat, {x} AS x, {y} AS y FROM ( \
                 SELECT CASE WHEN q.lon OPERATOR(pg_catalog.<) $1 THEN q.lon OPERATOR(pg_catalog.+) 360::pg_catalog.float8 \
                             ELSE q.lon END AS lon, q.lat \
                 FROM (SELECT {st_x}({point}) AS lon, {st_y}({point}) AS lat FROM {relation} t WHERE {condition}) q) p \
             WHERE p.lon OPERATOR(pg_catalog.>=) $1 AND p.lon OPERATOR(pg_catalog.<=) $3 \
               AND p.lat OPERATOR(pg_catalog.>=) $2 AND p.lat OPERATOR(pg_catalog.<=) $4) c \
         GROUP BY c.x, c.y ORDER BY c.y, c.x",
        x = cell("lon", "$1", "$5", "$7"),
        y = cell("lat", "$2", "$6", "$8"),
        st_x = places.pg("st_x"),
        st_y = places.pg("st_y"),
        relation = places.store.relation,
    )
}
