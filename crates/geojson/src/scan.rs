//! Reads GeoJSON objects (sections 2 to 7): types, members, bounding boxes.

use crate::cursor::{Cursor, Read, Step};
use crate::fault::{Fault, Profile, Rule};
use crate::geometry::{Geometry, GeometryType};
use crate::lexer::{Token, shown};
use crate::object::{Kind, Member, Object, Role};
use std::ops::Range;

/// How far a document is followed, and how it is judged.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub profile: Profile,
    /// Arrays and objects inside each other.
    pub max_depth: usize,
    /// Faults listed; what is beyond is told by one more fault of rule `J3`.
    pub max_faults: usize,
}

impl Limits {
    pub const fn new(profile: Profile) -> Self {
        Self { profile, max_depth: 128, max_faults: 1000 }
    }
}

/// What a scan found.
#[derive(Debug, Clone)]
pub struct Scan {
    /// In the order of reading, which is close to that of the text.
    pub faults: Vec<Fault>,
    /// What was read; `None` where it can't be told, which at least one error says.
    pub root: Option<Root>,
}

impl Scan {
    /// Whether there are no errors.
    pub fn is_valid(&self) -> bool {
        !self.faults.iter().any(Fault::is_error)
    }

    pub fn first_error(&self) -> Option<&Fault> {
        self.faults.iter().find(|f| f.is_error())
    }
}

/// A document. Geometries are whole only if the scan found no errors.
#[derive(Debug, Clone, PartialEq)]
pub enum Root {
    Geometry(Geometry),
    Feature(Feature),
    /// Its features are checked and let go: [`collection`](crate::collection) yields them one by one.
    FeatureCollection,
}

/// A Feature (section 3.2).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Feature {
    pub id: Option<Id>,
    /// `None` for `null`: a Feature without a place.
    pub geometry: Option<Geometry>,
    /// The bytes of the properties' object; `None` for `null` or none.
    pub properties: Option<Range<usize>>,
}

/// A Feature's id. Numbers as they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Id {
    String(String),
    Number(String),
}

impl Id {
    pub fn as_str(&self) -> &str {
        match self {
            Id::String(s) | Id::Number(s) => s,
        }
    }
}

/// Scans a document. `poll` is called every thousand elements or so; it stops the scan by unwinding.
///
/// Never panics by itself, whatever the bytes; runs in linear time but for documents that put `type`
/// behind the members it explains, level within level, where each such level is passed twice.
pub fn scan(text: &[u8], limits: Limits, poll: &mut dyn FnMut()) -> Scan {
    let mut cursor = Cursor::new(text, limits, poll);
    let root = cursor.document(Role::Root).unwrap_or(None);
    Scan { faults: cursor.faults, root }
}

/// As [`scan`](fn@scan), for a text that must be a Feature.
pub fn scan_feature(text: &[u8], limits: Limits, poll: &mut dyn FnMut()) -> Scan {
    let mut cursor = Cursor::new(text, limits, poll);
    let root = cursor.document(Role::Feature).unwrap_or(None);
    Scan { faults: cursor.faults, root }
}

impl Cursor<'_, '_> {
    /// Scans the document for its faults and splices alone.
    pub fn scan_document(&mut self) {
        let _ = self.document(Role::Root);
    }

    /// Checks the encoding and passes what may not stand before a value.
    pub fn begin(&mut self) -> Read<()> {
        if let Err(error) = std::str::from_utf8(self.src) {
            return Err(self.halt(Rule::Json, error.valid_up_to(), "the text is not UTF-8"));
        }
        if self.src.starts_with(b"\xef\xbb\xbf") {
            self.report_hint(
                Rule::Json,
                0,
                "the text begins with a byte order mark",
                "Leave it out: JSON is UTF-8.",
            );
            self.pos = 3;
        }
        Ok(())
    }

    /// Reports what stands after the value.
    pub fn end(&mut self) {
        self.skip_space();
        if self.pos < self.src.len() {
            self.report(Rule::Json, self.pos, "there is text after the end of the document");
        }
    }

    fn document(&mut self, role: Role) -> Read<Option<Root>> {
        self.begin()?;
        if self.token()? != Token::Object {
            let token = self.token()?;
            self.report_hint(
                Rule::Object,
                self.pos,
                format!("the document is {}, not an object", token.describe()),
                match role {
                    Role::Feature => "It must be a Feature.",
                    _ => "GeoJSON is one object: a geometry, a Feature or a FeatureCollection.",
                },
            );
            self.skip_value()?;
            self.end();
            return Ok(None);
        }
        let (kind, object) = self.geojson_object(role)?;
        self.end();
        Ok(match kind {
            None => None,
            Some(Kind::FeatureCollection) => Some(Root::FeatureCollection),
            Some(Kind::Geometry(_)) => object.read.map(Root::Geometry),
            Some(Kind::Feature) => Some(Root::Feature(Feature {
                id: object.id,
                geometry: object.geometry,
                properties: object
                    .properties
                    .filter(|(_, token, _)| *token == Token::Object)
                    .map(|(_, _, range)| range),
            })),
        })
    }

    /// Reads an object that GeoJSON defines; the cursor stands at its brace.
    fn geojson_object(&mut self, role: Role) -> Read<(Option<Kind>, Object)> {
        let outer = std::mem::take(&mut self.extent);
        let outer_imprecise = self.imprecise.take();
        let mut o = Object { start: self.pos, ..Object::default() };
        self.object(|c, key, again| {
            let defined =
                matches!(key, "type" | "bbox" | "id" | "crs") || Member::parse(key).is_some();
            if again && defined {
                c.report_hint(
                    Rule::DuplicateMember,
                    c.pos,
                    format!("the member \"{key}\" is there twice"),
                    "Readers differ in which one they take; keep one.",
                );
                return c.pass_over().map(drop);
            }
            if again {
                c.report_hint(
                    Rule::DuplicateForeign,
                    c.pos,
                    format!("the member \"{}\" is there twice", shown(key)),
                    "Readers differ in which one they take.",
                );
            }
            match key {
                "type" => c.type_member(&mut o, role),
                "bbox" => {
                    let met = c.met;
                    c.bbox_member(&mut o)?;
                    o.bbox_bad = c.met > met;
                    o.bbox_member = Some(c.member_range());
                    Ok(())
                }
                "id" => c.id_member(&mut o),
                "crs" => {
                    c.crs_member()?;
                    let range = c.member_range();
                    c.splice(range, "S1", "", || (String::new(), "dropped the crs member".into()));
                    Ok(())
                }
                key => match Member::parse(key) {
                    Some(Member::Properties) => {
                        let token = c.token()?;
                        let at = c.pos;
                        let range = c.skip_value()?;
                        o.seen.push((Member::Properties, at));
                        o.properties = Some((at, token, range));
                        Ok(())
                    }
                    Some(member) => {
                        c.token()?;
                        o.seen.push((member, c.pos));
                        match o.kind {
                            Some(kind) => c.typed_member(&mut o, kind, member),
                            None => {
                                let step = c.path.last().cloned().unwrap_or(Step::Index(0));
                                o.deferred.push((member, step, c.pos));
                                c.pass_over().map(drop)
                            }
                        }
                    }
                    None => c.skip_value().map(drop),
                },
            }
        })?;
        let end = self.pos;
        for (member, step, at) in std::mem::take(&mut o.deferred) {
            self.pos = at;
            self.path.push(step);
            match o.kind {
                Some(kind) => self.typed_member(&mut o, kind, member)?,
                None => {
                    self.skip_value()?;
                }
            }
            self.path.pop();
        }
        self.pos = end;
        self.finish(&mut o, role);
        self.mend(&o);
        let inner = std::mem::replace(&mut self.extent, outer);
        self.extent.merge(&inner);
        self.imprecise = outer_imprecise;
        Ok((o.kind, o))
    }

    fn type_member(&mut self, o: &mut Object, role: Role) -> Read<()> {
        o.typed = true;
        let token = self.token()?;
        let at = self.pos;
        if token != Token::String {
            self.skip_value()?;
            self.report(
                Rule::Object,
                at,
                format!("the type is {}, not a string", token.describe()),
            );
            return Ok(());
        }
        let range = self.string()?;
        o.type_value = at..self.pos;
        let name = self.text(range);
        let Some(kind) = Kind::parse(&name) else {
            let near = ["Feature", "FeatureCollection"]
                .into_iter()
                .chain(GeometryType::ALL.map(GeometryType::as_str))
                .find(|known| known.eq_ignore_ascii_case(&name));
            let hint = match near {
                Some(known) => format!("Types are case-sensitive: \"{known}\"."),
                None => "There are Feature, FeatureCollection, Point, MultiPoint, LineString, MultiLineString, Polygon, MultiPolygon and GeometryCollection.".to_owned(),
            };
            self.report_hint(
                Rule::Type,
                at,
                format!("\"{}\" is not a type of GeoJSON", shown(&name)),
                hint,
            );
            return Ok(());
        };
        o.kind = Some(kind);
        let is_geometry = matches!(kind, Kind::Geometry(_));
        let wrong = match role {
            Role::Root => None,
            Role::Feature if kind != Kind::Feature => {
                Some((Rule::Features, "where a Feature should be"))
            }
            Role::Geometry if !is_geometry => {
                Some((Rule::FeatureGeometry, "where a geometry should be"))
            }
            Role::Part if !is_geometry => Some((Rule::Geometries, "where a geometry should be")),
            _ => None,
        };
        if let Some((rule, what)) = wrong {
            let hint = if role == Role::Feature && is_geometry {
                "Wrap it: {\"type\": \"Feature\", \"geometry\": …, \"properties\": null}."
            } else {
                "Only the types of section 1.4 of RFC 7946 are geometries, and only Features are features."
            };
            self.report_hint(rule, at, format!("a {} {what}", kind.as_str()), hint);
        }
        Ok(())
    }

    /// A member whose meaning the type decides; the cursor stands at its value.
    fn typed_member(&mut self, o: &mut Object, kind: Kind, member: Member) -> Read<()> {
        if !kind.reads(member) {
            return self.skip_value().map(drop);
        }
        match (kind, member) {
            (_, Member::Features) => self.features_member(),
            (_, Member::Geometry) => self.geometry_member(o),
            (_, Member::Geometries) => self.geometries_member(o),
            (Kind::Geometry(of), _) => {
                let start = self.pos;
                o.read = self.coordinates(of)?;
                o.coordinates = Some(start..self.pos);
                Ok(())
            }
            _ => self.skip_value().map(drop),
        }
    }

    fn features_member(&mut self) -> Read<()> {
        let token = self.token()?;
        if token != Token::Array {
            self.report(
                Rule::Features,
                self.pos,
                format!("the features are {}, not an array", token.describe()),
            );
            return self.skip_value().map(drop);
        }
        self.array(|c, _| {
            let token = c.token()?;
            if token == Token::Object {
                return c.geojson_object(Role::Feature).map(drop);
            }
            c.report(
                Rule::Features,
                c.pos,
                format!("{} where a Feature should be", token.describe()),
            );
            c.skip_value().map(drop)
        })
        .map(drop)
    }

    fn geometry_member(&mut self, o: &mut Object) -> Read<()> {
        match self.token()? {
            Token::Object => {
                let (_, inner) = self.geojson_object(Role::Geometry)?;
                o.geometry = inner.read;
                Ok(())
            }
            Token::Null => self.skip_value().map(drop),
            token => {
                self.report_hint(
                    Rule::FeatureGeometry,
                    self.pos,
                    format!("the geometry is {}", token.describe()),
                    "It is a geometry object, or null for a Feature without a place.",
                );
                self.skip_value().map(drop)
            }
        }
    }

    fn geometries_member(&mut self, o: &mut Object) -> Read<()> {
        let token = self.token()?;
        if token != Token::Array {
            self.report(
                Rule::Geometries,
                self.pos,
                format!("the geometries are {}, not an array", token.describe()),
            );
            return self.skip_value().map(drop);
        }
        let mut parts = Vec::new();
        self.array(|c, _| {
            let token = c.token()?;
            if token != Token::Object {
                c.report(
                    Rule::Geometries,
                    c.pos,
                    format!("{} where a geometry should be", token.describe()),
                );
                return c.skip_value().map(drop);
            }
            let at = c.pos;
            let (kind, inner) = c.geojson_object(Role::Part)?;
            if kind == Some(Kind::Geometry(GeometryType::GeometryCollection)) {
                c.report_hint(
                    Rule::NestedCollection,
                    at,
                    "a GeometryCollection inside another",
                    "List all parts in one collection.",
                );
            }
            parts.extend(inner.read);
            Ok(())
        })?;
        o.read = Some(Geometry::GeometryCollection(parts));
        Ok(())
    }

    fn id_member(&mut self, o: &mut Object) -> Read<()> {
        let token = self.token()?;
        let at = self.pos;
        o.id_at = Some((at, token));
        let range = self.skip_value()?;
        o.id = match token {
            Token::String => {
                Some(Id::String(self.text(range.start + 1..range.end - 1).into_owned()))
            }
            Token::Number => Some(Id::Number(self.text(range).into_owned())),
            _ => None,
        };
        Ok(())
    }

    pub fn crs_member(&mut self) -> Read<()> {
        const SAME: [&str; 8] = [
            "\"urn:ogc:def:crs:OGC:1.3:CRS84\"",
            "\"urn:ogc:def:crs:OGC::CRS84\"",
            "\"urn:ogc:def:crs:EPSG::4326\"",
            "\"http://www.opengis.net/def/crs/OGC/1.3/CRS84\"",
            "\"OGC:CRS84\"",
            "\"CRS84\"",
            "\"EPSG:4326\"",
            "\"WGS84\"",
        ];
        let token = self.token()?;
        let at = self.pos;
        let range = self.skip_value()?;
        let text = String::from_utf8_lossy(&self.src[range]);
        let hint = "GeoJSON is in WGS 84, longitude first; RFC 7946 removed crs: leave it out.";
        if token == Token::Null || SAME.iter().any(|name| text.contains(name)) {
            self.report_hint(Rule::CrsSame, at, "there is a crs member", hint);
        } else {
            self.report_hint(
                Rule::Crs,
                at,
                "the crs member names another reference system than WGS 84",
                "Transform the coordinates to WGS 84, longitude first, and leave crs out.",
            );
        }
        Ok(())
    }

    /// What can be said once all members of an object are known.
    fn finish(&mut self, o: &mut Object, role: Role) {
        if !o.typed {
            let hint = match role {
                Role::Feature => "Add \"type\": \"Feature\".",
                Role::Geometry | Role::Part => {
                    "Add the type of the geometry, as \"type\": \"Point\"."
                }
                Role::Root => {
                    "GeoJSON is one object: a geometry, a Feature or a FeatureCollection."
                }
            };
            self.report_hint(Rule::Object, o.start, "the object has no type", hint);
        }
        let Some(kind) = o.kind else { return };
        for (member, at) in &o.seen {
            if kind.forbids(*member) {
                self.report_in(
                    Step::Name(member.as_str()),
                    Rule::Forbidden,
                    *at,
                    format!("a {} has the member \"{}\"", kind.as_str(), member.as_str()),
                    Some("RFC 7946 forbids it; leave it out."),
                );
            }
        }
        let has = |member| o.seen.iter().any(|(m, _)| *m == member);
        match kind {
            Kind::FeatureCollection => {
                if !has(Member::Features) {
                    self.report(Rule::Features, o.start, "the FeatureCollection has no features");
                }
            }
            Kind::Feature => self.finish_feature(o),
            Kind::Geometry(of) => {
                if of == GeometryType::GeometryCollection {
                    if !has(Member::Geometries) {
                        self.report(
                            Rule::Geometries,
                            o.start,
                            "the GeometryCollection has no geometries",
                        );
                    }
                } else if !has(Member::Coordinates) {
                    self.report(Rule::Coordinates, o.start, format!("the {of} has no coordinates"));
                } else if let Some(geometry) = &o.read {
                    self.check_geometry(geometry, o.start);
                }
            }
        }
        if let Some((at, bbox)) = &o.bbox {
            let met = self.met;
            self.path.push(Step::Name("bbox"));
            self.check_bbox(*at, bbox);
            self.path.pop();
            o.bbox_bad |= self.met > met;
        }
    }

    /// The member that the cursor has just read, from its key on.
    fn member_range(&self) -> Range<usize> {
        match self.path.last() {
            Some(Step::Key(key)) => key.start - 1..self.pos,
            _ => self.pos..self.pos,
        }
    }

    /// Records how an object is mended, where that is asked for. The cursor stands behind it.
    fn mend(&mut self, o: &Object) {
        if self.splices.is_none() || self.muted > 0 {
            return;
        }
        if let (true, Some(range)) = (o.bbox_bad, o.bbox_member.clone()) {
            self.splice(range, "B1", "/bbox", || {
                (String::new(), "dropped a bbox that was wrong".into())
            });
        }
        if o.kind == Some(Kind::Feature) && o.properties.is_none() {
            let brace = self.pos - 1;
            self.splice(brace..brace, "F1", "/properties", || {
                (",\"properties\":null".into(), "added properties".into())
            });
        }
        if let (Some(geometry), Some(range)) = (&o.read, &o.coordinates) {
            let mut mended = geometry.clone();
            let edits = crate::repair::geometry(&mut mended);
            if mended.geometry_type() != geometry.geometry_type() {
                let kind = mended.geometry_type();
                self.splice(o.type_value.clone(), "A1", "/type", || {
                    (format!("\"{kind}\""), format!("became a {kind}"))
                });
            }
            if !edits.is_empty() {
                let mut text = String::new();
                crate::write::coordinates(&mut text, &mended);
                for edit in edits {
                    let replacement = std::mem::take(&mut text);
                    self.splice(range.clone(), edit.code, "/coordinates", || {
                        (replacement, edit.message)
                    });
                }
            }
        }
    }

    fn finish_feature(&mut self, o: &Object) {
        if !o.seen.iter().any(|(m, _)| *m == Member::Geometry) {
            self.report_hint(
                Rule::FeatureGeometry,
                o.start,
                "the Feature has no geometry",
                "It must be there; null for a Feature without a place.",
            );
        }
        match &o.properties {
            None => self.report_hint(
                Rule::NoProperties,
                o.start,
                "the Feature has no properties",
                "They must be there; null for none.",
            ),
            Some((_, Token::Object | Token::Null, _)) => {}
            Some((at, token, _)) => self.report_in(
                Step::Name("properties"),
                Rule::Properties,
                *at,
                format!("the properties are {}", token.describe()),
                Some("They are an object, or null for none."),
            ),
        }
        if let Some((at, token)) = &o.id_at
            && !matches!(token, Token::String | Token::Number)
        {
            self.report_in(
                Step::Name("id"),
                Rule::FeatureId,
                *at,
                format!("the id is {}", token.describe()),
                Some("It is a string or a number; leave it out for none."),
            );
        }
    }
}
