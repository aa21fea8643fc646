//! Reads `coordinates`: positions and their nesting (sections 3.1.1 to 3.1.7).

use crate::cursor::{Cursor, Halt, Read, Step};
use crate::fault::Rule;
use crate::geometry::{Geometry, GeometryType, Position, Ring};
use crate::lexer::Token;
use crate::rings;

impl Cursor<'_, '_> {
    /// Reads the `coordinates` of a geometry that isn't a collection; the cursor stands at the value.
    /// `None` where they are of the wrong shape, which has been reported.
    pub fn coordinates(&mut self, of: GeometryType) -> Read<Option<Geometry>> {
        let errors = self.errors;
        let start = self.pos;
        if self.token()? != Token::Array {
            let token = self.token()?;
            self.report_hint(
                Rule::Coordinates,
                self.pos,
                format!("the coordinates of a {of} are {}", token.describe()),
                format!("They must be {}.", wanted(of)),
            );
            self.skip_value()?;
            return Ok(None);
        }
        let geometry = match of {
            GeometryType::Point => {
                if self.is_empty_array() {
                    self.pass_over()?;
                    Geometry::Point(None)
                } else {
                    Geometry::Point(self.position(of)?)
                }
            }
            GeometryType::MultiPoint => Geometry::MultiPoint(self.positions(of)?),
            GeometryType::LineString => Geometry::LineString(self.line(of)?),
            GeometryType::MultiLineString => {
                Geometry::MultiLineString(self.list(of, Self::line_of_many)?)
            }
            GeometryType::Polygon => Geometry::Polygon(self.rings(of)?),
            GeometryType::MultiPolygon => Geometry::MultiPolygon(self.list(of, Self::rings)?),
            GeometryType::GeometryCollection => {
                self.report_hint(
                    Rule::Forbidden,
                    start,
                    "a GeometryCollection has coordinates",
                    "Its parts stand in \"geometries\".",
                );
                self.skip_value()?;
                return Ok(None);
            }
        };
        if geometry.is_empty() && self.errors == errors {
            self.report_hint(
                Rule::Empty,
                start,
                format!("the coordinates of the {of} are empty"),
                "Readers may take it for a null geometry; it is kept as an empty one.",
            );
        }
        Ok(Some(geometry))
    }

    fn is_empty_array(&self) -> bool {
        let inner = &self.src[self.pos + 1..];
        inner.iter().find(|b| !b" \n\r\t".contains(b)) == Some(&b']')
    }

    /// An array of what `each` reads, which are arrays themselves.
    fn list<T>(
        &mut self,
        of: GeometryType,
        mut each: impl FnMut(&mut Self, GeometryType) -> Read<T>,
    ) -> Read<Vec<T>> {
        let mut out = Vec::new();
        let mut shallow = false;
        self.array(|c, _| {
            let token = c.token()?;
            if token == Token::Array {
                out.push(each(c, of)?);
                return Ok(());
            }
            // Numbers here mean one level too few: said once for all of them.
            let number = token == Token::Number;
            if !(number && shallow) {
                let (message, hint) = if number {
                    ("the coordinates are nested one level too little".to_owned(), wanted(of))
                } else {
                    (format!("{} stands among the coordinates", token.describe()), wanted(of))
                };
                c.report_hint(
                    Rule::Coordinates,
                    c.pos,
                    message,
                    format!("The coordinates of a {of} are {hint}."),
                );
            }
            shallow |= number;
            c.pass_over().map(drop)
        })?;
        Ok(out)
    }

    fn positions(&mut self, of: GeometryType) -> Read<Vec<Position>> {
        let mut out = Vec::new();
        self.list(of, |c, of| {
            out.extend(c.position(of)?);
            Ok(())
        })?;
        Ok(out)
    }

    fn line(&mut self, of: GeometryType) -> Read<Ring> {
        let (start, errors) = (self.pos, self.errors);
        let line = self.positions(of)?;
        // An empty LineString as a whole is an empty geometry.
        if line.len() == 1 && self.errors == errors {
            self.report_hint(
                Rule::Line,
                start,
                "a line has one position",
                "It needs two at least; a Point has one.",
            );
        }
        if line.len() > 1 && line.iter().all(|p| p == &line[0]) {
            self.report(Rule::ZeroLength, start, "a line runs from a position to itself");
        }
        Ok(line)
    }

    fn line_of_many(&mut self, of: GeometryType) -> Read<Ring> {
        let (start, errors) = (self.pos, self.errors);
        let line = self.line(of)?;
        if line.is_empty() && self.errors == errors {
            self.report(Rule::Line, start, "a line has no positions");
        }
        Ok(line)
    }

    fn rings(&mut self, of: GeometryType) -> Read<Vec<Ring>> {
        let errors = self.errors;
        let mut starts = Vec::new();
        let rings = self.list(of, |c, of| {
            starts.push(c.pos);
            c.ring(of)
        })?;
        // Rules about rings among each other: pointless where a position is missing.
        if self.errors == errors {
            self.check_rings(&rings, &starts);
        }
        Ok(rings)
    }

    fn ring(&mut self, of: GeometryType) -> Read<Ring> {
        let (start, errors) = (self.pos, self.errors);
        let ring = self.positions(of)?;
        if self.errors > errors {
            return Ok(ring);
        }
        let closed = rings::is_closed(&ring);
        // What closing it would give is what has to be long enough.
        let length = ring.len() + usize::from(!closed && ring.len() > 1);
        if length < 4 {
            self.report_hint(
                Rule::RingLength,
                start,
                format!("a ring has {} positions", ring.len()),
                "It needs four at least, the last being the first again.",
            );
        } else if !closed {
            let (first, last) = (&ring[0], &ring[ring.len() - 1]);
            let message = if first.x == last.x && first.y == last.y {
                "the heights of a ring's first and last position differ".to_owned()
            } else {
                format!(
                    "a ring ends at [{}, {}], not at [{}, {}] where it began",
                    last.x, last.y, first.x, first.y
                )
            };
            self.report_hint(
                Rule::RingClosure,
                start,
                message,
                "Repeat the first position at the end.",
            );
        }
        Ok(ring)
    }

    fn position(&mut self, of: GeometryType) -> Read<Option<Position>> {
        let start = self.pos;
        let mut ordinates = [0.0_f64; 3];
        let mut offsets = [0_usize; 3];
        let mut good = true;
        let count = self.array(|c, i| {
            let token = c.token()?;
            if token != Token::Number {
                good = false;
                return c.not_a_number(token, of);
            }
            let at = c.pos;
            let value = c.number()?;
            if i < 3 {
                ordinates[i] = value;
                offsets[i] = at;
            }
            if value.is_infinite() && c.src[c.pos - 1] != b'y' {
                c.report(Rule::NumberTooLarge, at, "a number is too large for a double");
            }
            good &= value.is_finite();
            Ok(())
        })?;
        if !good {
            return Ok(None);
        }
        if count < 2 {
            self.report_hint(
                Rule::Position,
                start,
                match count {
                    0 => "a position is empty".to_owned(),
                    _ => "a position has one number".to_owned(),
                },
                "It is [longitude, latitude], or [longitude, latitude, height].",
            );
            return Ok(None);
        }
        if count > 3 {
            self.report_hint(
                Rule::ExtraElements,
                start,
                format!("a position has {count} numbers"),
                "Those after the third are not kept: what they mean is defined nowhere.",
            );
        }
        let [x, y, z] = ordinates;
        self.check_range(x, y, offsets);
        let position = Position { x, y, z: (count > 2).then_some(z) };
        if self.muted == 0 {
            self.extent.add(&position);
        }
        Ok(Some(position))
    }

    fn not_a_number(&mut self, token: Token, of: GeometryType) -> Result<(), Halt> {
        let at = self.pos;
        let value = self.pass_over()?;
        let (message, hint) = match token {
            Token::String => {
                let text = self.text(value.start + 1..value.end - 1);
                if text.trim().parse::<f64>().is_ok_and(f64::is_finite) {
                    (
                        format!(
                            "a number is written as the string \"{}\"",
                            crate::lexer::shown(&text)
                        ),
                        Some("Leave the quotes out.".to_owned()),
                    )
                } else {
                    (
                        format!(
                            "the string \"{}\" where a number should be",
                            crate::lexer::shown(&text)
                        ),
                        None,
                    )
                }
            }
            Token::Array => (
                "an array where a number should be".to_owned(),
                Some(format!("The coordinates of a {of} are {}.", wanted(of))),
            ),
            token => (format!("{} where a number should be", token.describe()), None),
        };
        match hint {
            Some(hint) => self.report_hint(Rule::Position, at, message, hint),
            None => self.report(Rule::Position, at, message),
        }
        Ok(())
    }

    fn check_range(&mut self, x: f64, y: f64, offsets: [usize; 3]) {
        if (-180.0..=180.0).contains(&x) && (-90.0..=90.0).contains(&y) {
            return;
        }
        // Metres of a map projection rather than degrees.
        let projected = x.abs() > 360.0 || y.abs() > 180.0;
        let swapped = y.abs() > 90.0 && x.abs() <= 90.0;
        let projected_hint =
            "The numbers look like metres of a map projection; GeoJSON is in degrees of WGS 84.";
        if x.abs() > 180.0 {
            let (rule, hint) = if projected {
                (Rule::Range, projected_hint)
            } else {
                (Rule::Longitude, "Add or subtract 360.")
            };
            let message = format!("the longitude {x} is outside -180 to 180");
            self.report_in(Step::Index(0), rule, offsets[0], message, Some(hint));
        }
        if y.abs() > 90.0 {
            let hint = if projected {
                Some(projected_hint)
            } else if swapped {
                Some("Latitude and longitude may be swapped: GeoJSON is [longitude, latitude].")
            } else {
                None
            };
            let message = format!("the latitude {y} is outside -90 to 90");
            self.report_in(Step::Index(1), Rule::Range, offsets[1], message, hint);
        }
    }
}

/// What the coordinates of a type are, in words.
fn wanted(of: GeometryType) -> &'static str {
    match of {
        GeometryType::Point => "one position: [longitude, latitude]",
        GeometryType::MultiPoint => "an array of positions: [[longitude, latitude], …]",
        GeometryType::LineString => "an array of two or more positions: [[longitude, latitude], …]",
        GeometryType::MultiLineString => "an array of lines: [[[longitude, latitude], …], …]",
        GeometryType::Polygon => "an array of rings: [[[longitude, latitude], …], …]",
        GeometryType::MultiPolygon => {
            "an array of polygons, each an array of rings: [[[[longitude, latitude], …], …], …]"
        }
        GeometryType::GeometryCollection => "left out",
    }
}
