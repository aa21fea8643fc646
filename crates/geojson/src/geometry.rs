//! Geometries as GeoJSON has them (section 3.1): longitude and latitude in degrees, height in metres
//! above the WGS 84 ellipsoid (section 4).

use std::fmt;

/// One position: longitude, latitude, and height where the document gives one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Position {
    pub x: f64,
    pub y: f64,
    pub z: Option<f64>,
}

impl Position {
    pub const fn new(x: f64, y: f64) -> Self {
        Self { x, y, z: None }
    }
}

/// A line or a ring.
pub type Ring = Vec<Position>;

/// The seven types of section 1.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GeometryType {
    Point,
    LineString,
    Polygon,
    MultiPoint,
    MultiLineString,
    MultiPolygon,
    GeometryCollection,
}

impl GeometryType {
    pub const ALL: [GeometryType; 7] = [
        GeometryType::Point,
        GeometryType::LineString,
        GeometryType::Polygon,
        GeometryType::MultiPoint,
        GeometryType::MultiLineString,
        GeometryType::MultiPolygon,
        GeometryType::GeometryCollection,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            GeometryType::Point => "Point",
            GeometryType::LineString => "LineString",
            GeometryType::Polygon => "Polygon",
            GeometryType::MultiPoint => "MultiPoint",
            GeometryType::MultiLineString => "MultiLineString",
            GeometryType::MultiPolygon => "MultiPolygon",
            GeometryType::GeometryCollection => "GeometryCollection",
        }
    }

    /// By its exact, case-sensitive name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.as_str() == name)
    }

    /// The code that WKB gives the type (OGC 06-103r4, table 7).
    pub const fn wkb_code(self) -> u32 {
        match self {
            GeometryType::Point => 1,
            GeometryType::LineString => 2,
            GeometryType::Polygon => 3,
            GeometryType::MultiPoint => 4,
            GeometryType::MultiLineString => 5,
            GeometryType::MultiPolygon => 6,
            GeometryType::GeometryCollection => 7,
        }
    }

    pub fn from_wkb_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.wkb_code() == code)
    }
}

impl fmt::Display for GeometryType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A geometry. `Point(None)` and empty lists are the empty geometries.
#[derive(Debug, Clone, PartialEq)]
pub enum Geometry {
    Point(Option<Position>),
    LineString(Ring),
    Polygon(Vec<Ring>),
    MultiPoint(Vec<Position>),
    MultiLineString(Vec<Ring>),
    MultiPolygon(Vec<Vec<Ring>>),
    GeometryCollection(Vec<Geometry>),
}

/// Some positions of a geometry have a height and some don't: no binary form can hold that without
/// making heights up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("some positions have a height and some have none")]
pub struct MixedDimensions;

impl Geometry {
    pub fn geometry_type(&self) -> GeometryType {
        match self {
            Geometry::Point(_) => GeometryType::Point,
            Geometry::LineString(_) => GeometryType::LineString,
            Geometry::Polygon(_) => GeometryType::Polygon,
            Geometry::MultiPoint(_) => GeometryType::MultiPoint,
            Geometry::MultiLineString(_) => GeometryType::MultiLineString,
            Geometry::MultiPolygon(_) => GeometryType::MultiPolygon,
            Geometry::GeometryCollection(_) => GeometryType::GeometryCollection,
        }
    }

    /// Whether positions have a height; `Ok(false)` for an empty geometry.
    pub fn has_z(&self) -> Result<bool, MixedDimensions> {
        let (mut with, mut without) = (false, false);
        self.each_position(&mut |p| {
            with |= p.z.is_some();
            without |= p.z.is_none();
        });
        if with && without { Err(MixedDimensions) } else { Ok(with) }
    }

    pub fn is_empty(&self) -> bool {
        let mut any = false;
        self.each_position(&mut |_| any = true);
        !any
    }

    /// Every position, in order.
    pub fn each_position(&self, f: &mut dyn FnMut(&Position)) {
        match self {
            Geometry::Point(p) => p.iter().for_each(&mut *f),
            Geometry::LineString(ps) | Geometry::MultiPoint(ps) => ps.iter().for_each(&mut *f),
            Geometry::Polygon(lines) | Geometry::MultiLineString(lines) => {
                lines.iter().flatten().for_each(&mut *f);
            }
            Geometry::MultiPolygon(polygons) => polygons.iter().flatten().flatten().for_each(f),
            Geometry::GeometryCollection(parts) => {
                for part in parts {
                    part.each_position(f);
                }
            }
        }
    }

    /// Every position, in order, to change.
    pub fn each_position_mut(&mut self, f: &mut dyn FnMut(&mut Position)) {
        match self {
            Geometry::Point(p) => p.iter_mut().for_each(&mut *f),
            Geometry::LineString(ps) | Geometry::MultiPoint(ps) => ps.iter_mut().for_each(&mut *f),
            Geometry::Polygon(lines) | Geometry::MultiLineString(lines) => {
                lines.iter_mut().flatten().for_each(&mut *f);
            }
            Geometry::MultiPolygon(polygons) => {
                polygons.iter_mut().flatten().flatten().for_each(f);
            }
            Geometry::GeometryCollection(parts) => {
                for part in parts {
                    part.each_position_mut(f);
                }
            }
        }
    }

    /// Every polygon (list of rings, shell first), to change.
    pub fn each_polygon_mut(&mut self, f: &mut dyn FnMut(&mut Vec<Ring>)) {
        match self {
            Geometry::Polygon(rings) => f(rings),
            Geometry::MultiPolygon(polygons) => polygons.iter_mut().for_each(f),
            Geometry::GeometryCollection(parts) => {
                for part in parts {
                    part.each_polygon_mut(f);
                }
            }
            _ => {}
        }
    }
}
