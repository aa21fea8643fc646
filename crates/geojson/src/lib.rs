//! GeoJSON (RFC 7946) without a database: find every fault, say where, mend what can be mended, and
//! go to and from EWKB.
//!
//! - [`scan`](fn@scan) reads a document once, byte by byte, and reports every fault with a rule id, a
//!   JSON Pointer and a byte offset; for a geometry or a Feature it also returns what was read.
//! - [`collection`] takes a FeatureCollection apart, feature by feature, without building it in memory.
//! - [`ewkb`] writes and reads PostGIS' binary form, [`mod@write`] writes RFC-clean text.
//! - [`repair`] closes rings, winds them, cuts at the antimeridian; each change is listed.
//!
//! Sections named in the documentation are those of RFC 7946 unless another RFC is named.

#![forbid(unsafe_code)]

mod antimeridian;
mod bbox;
pub mod collection;
mod cursor;
pub mod ewkb;
mod fault;
mod geometry;
mod lexer;
mod object;
pub mod repair;
mod rings;
mod rules;
mod scan;
mod shape;
pub mod validity;
pub mod write;

pub use fault::{Fault, Level, Profile, Rule, Severity};
pub use geometry::{Geometry, GeometryType, MixedDimensions, Position, Ring};
pub use scan::{Feature, Id, Limits, Root, Scan, scan, scan_feature};
