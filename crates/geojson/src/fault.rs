//! Faults, the rules they break, and how grave each is in each profile.

use std::fmt;

/// How a fault counts: a document with errors is not valid, one with warnings is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Warning,
    Error,
}

impl Severity {
    pub const fn as_str(self) -> &'static str {
        match self {
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// How strictly a document is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// Errors are what [`repair`](crate::repair) can't mend; all else is a warning.
    Lenient,
    /// Errors are what RFC 7946 says MUST (NOT) be; what SHOULD (NOT) be is a warning.
    #[default]
    Rfc7946,
    /// What SHOULD (NOT) be is an error too, and polygons must be valid in the sense of OGC.
    Strict,
}

impl Profile {
    pub const NAMES: [&'static str; 3] = ["rfc7946", "strict", "lenient"];

    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "rfc7946" => Some(Profile::Rfc7946),
            "strict" => Some(Profile::Strict),
            "lenient" => Some(Profile::Lenient),
            _ => None,
        }
    }
}

/// What stands behind a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// A MUST (NOT), or a definition, that no repair can make good.
    Must,
    /// A MUST (NOT), or a definition, whose breach can be repaired, or passed over, without guessing.
    MustMendable,
    /// A SHOULD (NOT).
    Should,
    /// Worth knowing; never an error.
    Note,
    /// As `Note`, and so common that only the strict profile tells.
    Advice,
    /// A condition of OGC's that GeoJSON doesn't have: looked at in the strict profile alone, where it
    /// is an error.
    Ogc,
}

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident => $code:literal, $level:ident, $section:literal;)*) => {
        /// The rules. Several may share a code: the code names the rule of the RFC, the variant the
        /// way it was broken.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Rule { $($(#[$doc])* $name,)* }

        impl Rule {
            pub const ALL: &'static [Rule] = &[$(Rule::$name,)*];

            /// The rule's id, as users see it.
            pub const fn code(self) -> &'static str {
                match self { $(Rule::$name => $code,)* }
            }

            pub const fn level(self) -> Level {
                match self { $(Rule::$name => Level::$level,)* }
            }

            /// Where it is written.
            pub const fn section(self) -> &'static str {
                match self { $(Rule::$name => $section,)* }
            }
        }
    };
}

rules! {
    /// Not JSON: syntax, trailing text, not UTF-8, a byte order mark, NaN, Infinity.
    Json => "J1", Must, "2; RFC 8259";
    /// A number that no double can hold, as a coordinate.
    NumberTooLarge => "J2", Must, "RFC 7493 2.2";
    /// A member that GeoJSON defines, twice in one object.
    DuplicateMember => "J2", Must, "RFC 7493 2.3";
    /// Any other member, twice in one object; a number beyond doubles in foreign members.
    DuplicateForeign => "J2", Note, "RFC 7493 2.3";
    /// Deeper, larger or with more faults than is looked at.
    Limit => "J3", Must, "10";
    /// Legal JSON that jsonb can't hold: U+0000, half a surrogate pair, a number beyond numeric.
    NotStorable => "J4", Note, "RFC 7493 2.1";
    /// The document isn't an object, or has no type.
    Object => "O1", Must, "3";
    /// `coordinates` missing, or not an array, or nested wrongly.
    Coordinates => "G1", Must, "3.1";
    /// Empty coordinates: an empty geometry.
    Empty => "G2", Note, "3.1";
    /// A position that isn't an array of two or more numbers.
    Position => "P1", Must, "3.1.1";
    /// More than three elements in a position.
    ExtraElements => "P2", Should, "3.1.1";
    /// A latitude beyond ±90, or a longitude that no wrapping brings home.
    Range => "P3", Must, "4";
    /// A longitude beyond ±180 that wraps.
    Longitude => "P3", MustMendable, "4";
    /// Positions with and without a height in one geometry.
    Mixed => "P4", Note, "3.1.1";
    /// More than six decimals.
    Precision => "P5", Advice, "11.2";
    /// A line of fewer than two positions.
    Line => "L1", Must, "3.1.4";
    /// A line without length.
    ZeroLength => "L1", Note, "3.1.4";
    /// A ring of fewer than four positions.
    RingLength => "R1", Must, "3.1.6";
    /// A ring that doesn't end where it began.
    RingClosure => "R2", MustMendable, "3.1.6";
    /// A shell that runs clockwise, or a hole that doesn't.
    Winding => "R3", Should, "3.1.6";
    /// A hole outside its shell.
    Hole => "R4", Must, "3.1.6";
    /// A ring that crosses or touches itself, or another of its polygon along more than points.
    SelfIntersection => "V1", Ogc, "OGC 06-103r4 6.1.11.1";
    /// A hole inside another.
    NestedHoles => "V2", Ogc, "OGC 06-103r4 6.1.11.1";
    /// Holes that touch so that they cut the interior in pieces.
    Disconnected => "V3", Ogc, "OGC 06-103r4 6.1.11.1";
    /// Polygons of a MultiPolygon that share more than points.
    Overlap => "V4", Ogc, "OGC 06-103r4 6.1.14";
    /// `geometries` missing, not an array, or with members that aren't geometries.
    Geometries => "C1", Must, "3.1.8";
    /// A collection inside a collection.
    NestedCollection => "C2", Should, "3.1.8";
    /// A line or ring across the antimeridian that isn't cut there.
    Antimeridian => "A1", Should, "3.1.9";
    /// A Feature without `geometry`, or with one that is neither object nor null.
    FeatureGeometry => "F1", Must, "3.2";
    /// A Feature without `properties`.
    NoProperties => "F1", MustMendable, "3.2";
    /// `properties` that are neither object nor null.
    Properties => "F1", Must, "3.2";
    /// An `id` that is neither string nor number.
    FeatureId => "F2", Must, "3.2";
    /// `features` missing, not an array, or with members that aren't Features.
    Features => "F3", Must, "3.3";
    /// A bbox that isn't an array of 2n numbers.
    BboxShape => "B1", MustMendable, "5";
    /// A bbox whose south is north of its north, or whose floor is above its roof.
    BboxOrder => "B2", MustMendable, "5";
    /// A bbox beyond ±90 or ±180.
    BboxRange => "B4", MustMendable, "5.3";
    /// A bbox that doesn't hold what it bounds.
    BboxContains => "B5", Note, "5";
    /// A type that isn't one of the nine.
    Type => "X1", Must, "7";
    /// A member that the type must not have.
    Forbidden => "X2", MustMendable, "7.1";
    /// A coordinate reference system other than WGS 84.
    Crs => "S1", Must, "4, B.1";
    /// The removed `crs` member, saying what is so anyway.
    CrsSame => "S1", Note, "4, B.1";
}

impl Rule {
    /// How a breach counts; `None` where the profile doesn't report it.
    pub const fn severity(self, profile: Profile) -> Option<Severity> {
        match (self.level(), profile) {
            (Level::Must, _) => Some(Severity::Error),
            (Level::MustMendable, Profile::Lenient) => Some(Severity::Warning),
            (Level::MustMendable, _) => Some(Severity::Error),
            (Level::Should, Profile::Strict) => Some(Severity::Error),
            (Level::Should | Level::Note, _) => Some(Severity::Warning),
            (Level::Advice, Profile::Strict) => Some(Severity::Warning),
            (Level::Ogc, Profile::Strict) => Some(Severity::Error),
            (Level::Advice | Level::Ogc, _) => None,
        }
    }
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub rule: Rule,
    pub severity: Severity,
    /// JSON Pointer (RFC 6901); empty for the document itself.
    pub pointer: String,
    /// Byte offset into the text.
    pub offset: usize,
    /// Lower case, no full stop.
    pub message: String,
    /// What to do about it: a sentence.
    pub hint: Option<String>,
}

impl Fault {
    pub fn code(&self) -> &'static str {
        self.rule.code()
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at \"{}\": {}", self.code(), self.pointer, self.message)
    }
}
