//! Areas: polygons and boxes, with edges straight in longitude and latitude as RFC 7946 draws them
//! (section 3.1.1), also across the antimeridian.

use super::document;
use super::rows::{self, Conditions, Place};
use super::store::{Places, SRID};
use crate::error::{Error, Result};
use crate::jsonb::JsonbText;
use crate::spi;
use lake_geojson::{Geometry, Profile, Ring};

/// How a place may lie to an area.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// No part of it outside; the edge counts as inside.
    Within,
    /// Any part of it inside, the edge included.
    Intersects,
}

/// The places that lie so to an area, ordered by id.
pub fn find(
    places: &Places,
    area: &JsonbText,
    relation: Relation,
    filter: Option<&JsonbText>,
    limit: Option<i64>,
) -> Result<Vec<Place>> {
    let ewkb = prepare(places, area)?;
    let mut conditions = Conditions::new(vec![ewkb.into()]);
    let function = match relation {
        Relation::Within => "st_coveredby",
        Relation::Intersects => "st_intersects",
    };
    conditions.and(format!(
        "{}(t.{}, $1::pg_catalog.bytea::{})",
        places.pg(function),
        places.table.geometry,
        places.pg("geometry")
    ));
    conditions.filter(places, filter)?;
    rows::select(places, &conditions, limit)
}

/// West, south, east, north in degrees; west greater than east crosses the antimeridian.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bbox {
    pub west: f64,
    pub south: f64,
    pub east: f64,
    pub north: f64,
}

impl Bbox {
    /// 22023 for a box that isn't on Earth, or upside down.
    pub fn new(west: f64, south: f64, east: f64, north: f64) -> Result<Self> {
        for (name, value, limit) in [
            ("west", west, 180.0),
            ("south", south, 90.0),
            ("east", east, 180.0),
            ("north", north, 90.0),
        ] {
            if !(-limit..=limit).contains(&value) {
                return Err(Error::invalid_parameter(format!(
                    "{name} {value} is outside -{limit} to {limit}"
                )));
            }
        }
        if south > north {
            return Err(Error::invalid_parameter(format!("south {south} is north of north {north}"))
                .hint("The order is west, south, east, north. Only west may be greater than east: across the antimeridian."));
        }
        Ok(Self { west, south, east, north })
    }

    /// Degrees of longitude from west to east, eastwards.
    pub fn width(&self) -> f64 {
        self.east - self.west + if self.west > self.east { 360.0 } else { 0.0 }
    }

    /// From an array of four.
    pub fn from_array(values: &[Option<f64>]) -> Result<Self> {
        match values {
            [Some(west), Some(south), Some(east), Some(north)] => {
                Self::new(*west, *south, *east, *north)
            }
            _ => Err(Error::invalid_parameter("bbox must be an array of four numbers")
                .hint("ARRAY[west, south, east, north]")),
        }
    }

    /// Adds the condition that a place and the box meet.
    pub fn condition(&self, places: &Places, conditions: &mut Conditions) {
        let part = |conditions: &mut Conditions, west: f64, east: f64| {
            let [w, s, e, n] =
                [west, self.south, east, self.north].map(|v| conditions.bind(v.into()));
            // Of a box without width ST_MakeEnvelope makes a polygon that nothing meets.
            let box_sql = if west < east && self.south < self.north {
                format!("{}({w}, {s}, {e}, {n})", places.pg("st_makeenvelope"))
            } else if west < east || self.south < self.north {
                let point = places.pg("st_makepoint");
                format!("{}({point}({w}, {s}), {point}({e}, {n}))", places.pg("st_makeline"))
            } else {
                // All parameters are used, so that their types are known.
                format!("{}(LEAST({w}, {e}), LEAST({s}, {n}))", places.pg("st_makepoint"))
            };
            format!(
                "{}(t.{}, {}({box_sql}, {SRID}))",
                places.pg("st_intersects"),
                places.table.geometry,
                places.pg("st_setsrid"),
            )
        };
        let sql = if self.west <= self.east {
            part(conditions, self.west, self.east)
        } else {
            let west = part(conditions, self.west, 180.0);
            let east = part(conditions, -180.0, self.east);
            format!("({west} OR {east})")
        };
        conditions.and(sql);
    }
}

/// The places that meet a box, ordered by id.
pub fn in_bbox(
    places: &Places,
    bbox: Bbox,
    filter: Option<&JsonbText>,
    limit: Option<i64>,
) -> Result<Vec<Place>> {
    let mut conditions = Conditions::new(Vec::new());
    bbox.condition(places, &mut conditions);
    conditions.filter(places, filter)?;
    rows::select(places, &conditions, limit)
}

/// EWKB of the area, cut at the antimeridian where it crosses. 22023 for what isn't an area.
fn prepare(places: &Places, area: &JsonbText) -> Result<Vec<u8>> {
    let geometry = document::geometry(&area.0, Profile::Lenient, "area")?;
    let Some(mut geometry @ (Geometry::Polygon(_) | Geometry::MultiPolygon(_))) = geometry else {
        let what = geometry.map_or("nowhere".to_owned(), |g| format!("a {}", g.geometry_type()));
        return Err(Error::invalid_parameter(format!("area is {what}"))
            .hint("It must be a Polygon, a MultiPolygon, or a Feature of one."));
    };
    let mut crosses = false;
    geometry.each_polygon_mut(&mut |rings| {
        for ring in rings.iter_mut() {
            // Lenient documents may leave rings open.
            if ring.first() != ring.last() {
                ring.extend(ring.first().copied());
            }
            ring.iter_mut().for_each(|p| p.z = None);
        }
        unwrap(rings);
        crosses |= rings.iter().flatten().any(|p| p.x.abs() > 180.0);
    });
    let ewkb = document::ewkb(&geometry, SRID)?;
    let given = format!("$1::pg_catalog.bytea::{}", places.pg("geometry"));
    let reason: String = spi::scalar(
        &format!("SELECT {}({given})", places.pg("st_isvalidreason")),
        &[ewkb.clone().into()],
    )?;
    if reason != "Valid Geometry" {
        return Err(Error::invalid_parameter("area is not a valid polygon")
            .detail(format!("{reason}."))
            .hint("Rings must not cross themselves or each other; ST_MakeValid mends them."));
    }
    if !crosses {
        return Ok(ewkb);
    }
    let wrap = places.pg("st_wrapx");
    spi::scalar(
        &format!(
            "SELECT {}({wrap}({wrap}({given}, 180, -360), -180, 360))",
            places.pg("st_asewkb")
        ),
        &[ewkb.into()],
    )
}

/// Makes longitudes run on across the antimeridian: an edge over more than half the world is taken
/// the short way round. Holes are brought to where their shell is.
fn unwrap(rings: &mut [Ring]) {
    let mut shell_middle = None;
    for ring in rings {
        let mut previous: Option<(f64, f64)> = None;
        for p in ring.iter_mut() {
            let given = p.x;
            if let Some((was_given, became)) = previous {
                let d = given - was_given;
                let d = match d.abs() {
                    far if far > 180.0 && far < 360.0 => d - 360.0 * d.signum(),
                    _ => d,
                };
                p.x = became + d;
            }
            previous = Some((given, p.x));
        }
        let (low, high) = ring
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), p| (l.min(p.x), h.max(p.x)));
        let middle = f64::midpoint(low, high);
        let to = *shell_middle.get_or_insert(middle);
        let turns = ((to - middle) / 360.0).round() * 360.0;
        if turns != 0.0 {
            ring.iter_mut().for_each(|p| p.x += turns);
        }
    }
}
