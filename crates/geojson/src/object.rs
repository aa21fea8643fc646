//! What an object is while it is read: its place, its type, the members that the type gives a meaning.

use crate::cursor::Step;
use crate::geometry::{Geometry, GeometryType};
use crate::lexer::Token;
use crate::scan::Id;
use std::ops::Range;

/// Where an object stands, which says what it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Root,
    /// A Feature's `geometry`.
    Geometry,
    /// A member of `geometries`.
    Part,
    /// A member of `features`.
    Feature,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Geometry(GeometryType),
    Feature,
    FeatureCollection,
}

impl Kind {
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "Feature" => Some(Kind::Feature),
            "FeatureCollection" => Some(Kind::FeatureCollection),
            name => GeometryType::parse(name).map(Kind::Geometry),
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Geometry(t) => t.as_str(),
            Kind::Feature => "Feature",
            Kind::FeatureCollection => "FeatureCollection",
        }
    }

    /// Whether the type must not have this member (section 7.1).
    pub fn forbids(self, member: Member) -> bool {
        match self {
            Kind::FeatureCollection => {
                matches!(
                    member,
                    Member::Coordinates
                        | Member::Geometries
                        | Member::Geometry
                        | Member::Properties
                )
            }
            Kind::Feature => {
                matches!(member, Member::Coordinates | Member::Geometries | Member::Features)
            }
            Kind::Geometry(t) => match member {
                Member::Geometry | Member::Properties | Member::Features => true,
                // Section 7.1 leaves these two to the definition of each type.
                Member::Coordinates => t == GeometryType::GeometryCollection,
                _ => false,
            },
        }
    }

    /// Whether the member is read by what the type says.
    pub fn reads(self, member: Member) -> bool {
        match self {
            Kind::FeatureCollection => member == Member::Features,
            Kind::Feature => member == Member::Geometry,
            Kind::Geometry(GeometryType::GeometryCollection) => member == Member::Geometries,
            Kind::Geometry(_) => member == Member::Coordinates,
        }
    }
}

/// The members whose meaning depends on the type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member {
    Coordinates,
    Geometries,
    Geometry,
    Features,
    Properties,
}

impl Member {
    pub fn parse(key: &str) -> Option<Self> {
        match key {
            "coordinates" => Some(Member::Coordinates),
            "geometries" => Some(Member::Geometries),
            "geometry" => Some(Member::Geometry),
            "features" => Some(Member::Features),
            "properties" => Some(Member::Properties),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Member::Coordinates => "coordinates",
            Member::Geometries => "geometries",
            Member::Geometry => "geometry",
            Member::Features => "features",
            Member::Properties => "properties",
        }
    }
}

/// What is known of an object while its members are read.
#[derive(Default)]
pub struct Object {
    pub start: usize,
    pub kind: Option<Kind>,
    /// Whether a `type` was seen, be it a good one or not.
    pub typed: bool,
    /// Members that came before `type`, by where their value begins.
    pub deferred: Vec<(Member, Step, usize)>,
    pub seen: Vec<(Member, usize)>,
    pub bbox: Option<(usize, Vec<f64>)>,
    pub id: Option<Id>,
    pub id_at: Option<(usize, Token)>,
    pub properties: Option<(usize, Token, Range<usize>)>,
    pub geometry: Option<Geometry>,
    pub read: Option<Geometry>,
    /// Where the type, the coordinates, the bbox and the crs stand: for repair.
    pub type_value: Range<usize>,
    pub coordinates: Option<Range<usize>>,
    pub bbox_member: Option<Range<usize>>,
    pub bbox_bad: bool,
}
