//! EWKB: well-known binary (OGC 06-103r4, section 8) with PostGIS' flags for height, measure and
//! reference system. What is written is little-endian; both byte orders and the ISO type codes (1001
//! for PointZ …) are read.

use crate::geometry::{Geometry, GeometryType, MixedDimensions, Position, Ring};

const Z: u32 = 0x8000_0000;
const M: u32 = 0x4000_0000;
const SRID: u32 = 0x2000_0000;

/// Writes a geometry with its reference system; `srid` 0 writes none.
pub fn encode(geometry: &Geometry, srid: u32) -> Result<Vec<u8>, MixedDimensions> {
    let z = geometry.has_z()?;
    let mut out = Vec::with_capacity(64);
    write(&mut out, geometry, z, srid);
    Ok(out)
}

fn header(out: &mut Vec<u8>, kind: GeometryType, z: bool, srid: u32) {
    out.push(1);
    let flags = if z { Z } else { 0 } | if srid > 0 { SRID } else { 0 };
    out.extend_from_slice(&(kind.wkb_code() | flags).to_le_bytes());
    if srid > 0 {
        out.extend_from_slice(&srid.to_le_bytes());
    }
}

fn count(out: &mut Vec<u8>, n: usize) {
    // A text of GeoJSON that has 2^32 elements has 8 GB, more than any Postgres value.
    let n = u32::try_from(n).unwrap_or(u32::MAX);
    out.extend_from_slice(&n.to_le_bytes());
}

fn point(out: &mut Vec<u8>, p: &Position, z: bool) {
    out.extend_from_slice(&p.x.to_le_bytes());
    out.extend_from_slice(&p.y.to_le_bytes());
    if z {
        out.extend_from_slice(&p.z.unwrap_or(f64::NAN).to_le_bytes());
    }
}

fn line(out: &mut Vec<u8>, line: &Ring, z: bool) {
    count(out, line.len());
    out.reserve(line.len() * if z { 24 } else { 16 });
    line.iter().for_each(|p| point(out, p, z));
}

fn write(out: &mut Vec<u8>, geometry: &Geometry, z: bool, srid: u32) {
    header(out, geometry.geometry_type(), z, srid);
    match geometry {
        // An empty point has no other form than NaN.
        Geometry::Point(p) => {
            let nan = Position { x: f64::NAN, y: f64::NAN, z: z.then_some(f64::NAN) };
            point(out, p.as_ref().unwrap_or(&nan), z);
        }
        Geometry::LineString(points) => line(out, points, z),
        Geometry::Polygon(rings) => {
            count(out, rings.len());
            rings.iter().for_each(|r| line(out, r, z));
        }
        Geometry::MultiPoint(points) => {
            count(out, points.len());
            for p in points {
                header(out, GeometryType::Point, z, 0);
                point(out, p, z);
            }
        }
        Geometry::MultiLineString(lines) => {
            count(out, lines.len());
            for l in lines {
                header(out, GeometryType::LineString, z, 0);
                line(out, l, z);
            }
        }
        Geometry::MultiPolygon(polygons) => {
            count(out, polygons.len());
            for rings in polygons {
                header(out, GeometryType::Polygon, z, 0);
                count(out, rings.len());
                rings.iter().for_each(|r| line(out, r, z));
            }
        }
        Geometry::GeometryCollection(parts) => {
            count(out, parts.len());
            for part in parts {
                write(out, part, z, 0);
            }
        }
    }
}

/// Why bytes aren't a geometry that GeoJSON can hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("the bytes end within the geometry")]
    Truncated,
    #[error("{0} bytes follow the geometry")]
    Trailing(usize),
    #[error("the byte order mark is {0}, neither 0 nor 1")]
    ByteOrder(u8),
    #[error("GeoJSON has no geometry type for the type code {0} ({name})", name = type_name(*.0))]
    Type(u32),
    #[error("a {inner} inside a {outer}")]
    Part { outer: GeometryType, inner: GeometryType },
    #[error("a coordinate is not a finite number")]
    NotFinite,
    #[error("collections are nested more than {MAX_DEPTH} deep")]
    TooDeep,
}

fn type_name(code: u32) -> &'static str {
    match code {
        8 => "CircularString",
        9 => "CompoundCurve",
        10 => "CurvePolygon",
        11 => "MultiCurve",
        12 => "MultiSurface",
        15 => "PolyhedralSurface",
        16 => "Tin",
        17 => "Triangle",
        _ => "unknown",
    }
}

const MAX_DEPTH: usize = 64;

/// A geometry and its reference system, 0 where the bytes name none. Measures (M) are dropped: no
/// GeoJSON reader would know them.
pub fn decode(bytes: &[u8]) -> Result<(Geometry, u32), DecodeError> {
    let mut reader = Reader { bytes };
    let (geometry, srid) = reader.geometry(0)?;
    if !reader.bytes.is_empty() {
        return Err(DecodeError::Trailing(reader.bytes.len()));
    }
    Ok((geometry, srid))
}

struct Reader<'a> {
    bytes: &'a [u8],
}

#[derive(Clone, Copy)]
struct Layout {
    little: bool,
    z: bool,
    m: bool,
}

impl Layout {
    fn point_size(self) -> usize {
        16 + 8 * (usize::from(self.z) + usize::from(self.m))
    }
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.bytes.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.bytes = rest;
        Ok(*head)
    }

    fn u32(&mut self, little: bool) -> Result<u32, DecodeError> {
        let b = self.take::<4>()?;
        Ok(if little { u32::from_le_bytes(b) } else { u32::from_be_bytes(b) })
    }

    fn f64(&mut self, little: bool) -> Result<f64, DecodeError> {
        let b = self.take::<8>()?;
        Ok(if little { f64::from_le_bytes(b) } else { f64::from_be_bytes(b) })
    }

    /// A number of elements that the bytes left can hold.
    fn count(&mut self, layout: Layout, element: usize) -> Result<usize, DecodeError> {
        let n = self.u32(layout.little)? as usize;
        if n.checked_mul(element).is_none_or(|size| size > self.bytes.len()) {
            return Err(DecodeError::Truncated);
        }
        Ok(n)
    }

    /// `None` for the point of NaNs, which is the empty one.
    fn position(&mut self, layout: Layout) -> Result<Option<Position>, DecodeError> {
        let x = self.f64(layout.little)?;
        let y = self.f64(layout.little)?;
        let z = if layout.z { Some(self.f64(layout.little)?) } else { None };
        if layout.m {
            self.f64(layout.little)?;
        }
        if x.is_nan() && y.is_nan() {
            return Ok(None);
        }
        if x.is_finite() && y.is_finite() && z.is_none_or(f64::is_finite) {
            return Ok(Some(Position { x, y, z }));
        }
        Err(DecodeError::NotFinite)
    }

    fn line(&mut self, layout: Layout) -> Result<Ring, DecodeError> {
        let n = self.count(layout, layout.point_size())?;
        (0..n).map(|_| self.position(layout)?.ok_or(DecodeError::NotFinite)).collect()
    }

    fn lines(&mut self, layout: Layout) -> Result<Vec<Ring>, DecodeError> {
        let n = self.count(layout, 4)?;
        (0..n).map(|_| self.line(layout)).collect()
    }

    fn geometry(&mut self, depth: usize) -> Result<(Geometry, u32), DecodeError> {
        if depth > MAX_DEPTH {
            return Err(DecodeError::TooDeep);
        }
        let [order] = self.take::<1>()?;
        let little = match order {
            0 => false,
            1 => true,
            other => return Err(DecodeError::ByteOrder(other)),
        };
        let code = self.u32(little)?;
        let base = code & !(Z | M | SRID);
        let (base, iso) = (base % 1000, base / 1000);
        let Some(kind) = GeometryType::from_wkb_code(base).filter(|_| iso <= 3) else {
            return Err(DecodeError::Type(code & !(Z | M | SRID)));
        };
        let layout = Layout {
            little,
            z: code & Z != 0 || matches!(iso, 1 | 3),
            m: code & M != 0 || matches!(iso, 2 | 3),
        };
        let srid = if code & SRID != 0 { self.u32(little)? } else { 0 };
        let geometry = match kind {
            GeometryType::Point => Geometry::Point(self.position(layout)?),
            GeometryType::LineString => Geometry::LineString(self.line(layout)?),
            GeometryType::Polygon => Geometry::Polygon(self.lines(layout)?),
            GeometryType::MultiPoint => Geometry::MultiPoint(
                self.parts(layout, kind, depth, |g| match g {
                    Geometry::Point(p) => Ok(p),
                    other => Err(other),
                })?
                // Empty points among others have no form in GeoJSON, and no place.
                .into_iter()
                .flatten()
                .collect(),
            ),
            GeometryType::MultiLineString => {
                Geometry::MultiLineString(self.parts(layout, kind, depth, |g| match g {
                    Geometry::LineString(l) => Ok(l),
                    other => Err(other),
                })?)
            }
            GeometryType::MultiPolygon => {
                Geometry::MultiPolygon(self.parts(layout, kind, depth, |g| match g {
                    Geometry::Polygon(p) => Ok(p),
                    other => Err(other),
                })?)
            }
            GeometryType::GeometryCollection => {
                Geometry::GeometryCollection(self.parts(layout, kind, depth, Ok)?)
            }
        };
        Ok((geometry, srid))
    }

    fn parts<T>(
        &mut self,
        layout: Layout,
        outer: GeometryType,
        depth: usize,
        as_part: fn(Geometry) -> Result<T, Geometry>,
    ) -> Result<Vec<T>, DecodeError> {
        let n = self.count(layout, 9)?;
        (0..n)
            .map(|_| {
                as_part(self.geometry(depth + 1)?.0)
                    .map_err(|g| DecodeError::Part { outer, inner: g.geometry_type() })
            })
            .collect()
    }
}
