//! SQL functions for maps. They check arguments and hand over.

use super::{grid, tile};
use crate::error::SqlResult;
use crate::geo::api::{given, places};
use crate::geo::area::Bbox;
use crate::jsonb::JsonbText;
use crate::regclass::RegClass;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

#[pg_extern(schema = "lake", stable)]
pub fn geo_tile(
    store: Option<RegClass>,
    z: Option<i32>,
    x: Option<i32>,
    y: Option<i32>,
    filter: default!(Option<JsonbText>, "NULL"),
    layer: default!(Option<&str>, "NULL"),
) -> SqlResult<Vec<u8>> {
    let places = places(store)?;
    let tile = tile::Tile::new(given(z, "z")?, given(x, "x")?, given(y, "y")?)?;
    Ok(tile::encode(&places, tile, filter.as_ref(), layer)?)
}

#[pg_extern(schema = "lake", stable)]
pub fn geo_grid(
    store: Option<RegClass>,
    bbox: Option<Vec<Option<f64>>>,
    cells: default!(Option<i32>, "32"),
    filter: default!(Option<JsonbText>, "NULL"),
) -> std::result::Result<
    TableIterator<
        'static,
        (
            name!(x, i32),
            name!(y, i32),
            name!(count, i64),
            name!(lon, f64),
            name!(lat, f64),
            name!(bbox, Vec<f64>),
        ),
    >,
    ErrorReport,
> {
    let places = places(store)?;
    let bbox = Bbox::from_array(&given(bbox, "bbox")?)?;
    let grid = grid::Grid::new(bbox, given(cells, "cells")?)?;
    let found = grid::count(&places, &grid, filter.as_ref())?;
    Ok(TableIterator::new(
        found.into_iter().map(|c| (c.x, c.y, c.count, c.lon, c.lat, c.bbox.to_vec())),
    ))
}
