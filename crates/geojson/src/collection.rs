//! Takes a FeatureCollection apart: where each feature stands in the text, so that each can be
//! scanned, taken or refused by itself, without building the document in memory.

use crate::cursor::{Cursor, Read};
use crate::fault::{Fault, Rule, Severity};
use crate::lexer::Token;
use crate::scan::Limits;
use std::ops::Range;

/// The features of a FeatureCollection, or the one Feature that the document is, as ranges of bytes,
/// in order. What stands in the ranges is JSON, and no more is promised: each is for
/// [`scan_feature`](crate::scan_feature) to judge.
///
/// An error is the first fault of the document as such: it isn't JSON, it is neither Feature nor
/// FeatureCollection, it is in another reference system than WGS 84. `poll` as for
/// [`scan`](fn@crate::scan).
pub fn split(
    text: &[u8],
    limits: Limits,
    poll: &mut dyn FnMut(),
) -> Result<Vec<Range<usize>>, Box<Fault>> {
    let mut cursor = Cursor::new(text, limits, poll);
    cursor.only_errors = true;
    let features = cursor.split();
    match cursor.faults.into_iter().find(|f| f.severity == Severity::Error) {
        Some(fault) => Err(Box::new(fault)),
        None => Ok(features.unwrap_or_default()),
    }
}

impl Cursor<'_, '_> {
    fn split(&mut self) -> Read<Vec<Range<usize>>> {
        self.begin()?;
        let token = self.token()?;
        let start = self.pos;
        if token != Token::Object {
            self.report_hint(
                Rule::Object,
                start,
                format!("the document is {}, not an object", token.describe()),
                "It is a FeatureCollection, or one Feature.",
            );
            self.skip_value()?;
            return Ok(Vec::new());
        }
        let mut kind = None;
        let mut features = None;
        self.object(|c, key, again| {
            if again && matches!(key, "type" | "features" | "crs") {
                let message = format!("the member \"{key}\" is there twice");
                c.report(Rule::DuplicateMember, c.pos, message);
                return c.skip_value().map(drop);
            }
            match key {
                "type" => {
                    let token = c.token()?;
                    let range = c.skip_value()?;
                    kind = (token == Token::String)
                        .then(|| c.text(range.start + 1..range.end - 1).into_owned());
                    Ok(())
                }
                "features" if c.token()? == Token::Array => {
                    let mut all = Vec::new();
                    c.array(|c, _| {
                        all.push(c.skip_value()?);
                        Ok(())
                    })?;
                    features = Some(all);
                    Ok(())
                }
                "crs" => c.crs_member(),
                _ => c.skip_value().map(drop),
            }
        })?;
        let end = self.pos;
        self.end();
        match (kind.as_deref(), features) {
            (Some("FeatureCollection"), Some(all)) => return Ok(all),
            (Some("FeatureCollection"), None) => {
                self.report(Rule::Features, start, "the FeatureCollection has no array of features");
            }
            // A whole document of its own, with any faults it has.
            (Some("Feature"), _) => return Ok(std::iter::once(start..end).collect()),
            (Some(other), _) => self.report_hint(
                Rule::Type,
                start,
                format!("the document is of type \"{}\"", crate::lexer::shown(other)),
                "It is a FeatureCollection, or one Feature; a geometry alone has no id to keep it by.",
            ),
            (None, _) => self.report_hint(
                Rule::Object,
                start,
                "the document has no type",
                "It is a FeatureCollection, or one Feature.",
            ),
        }
        Ok(Vec::new())
    }
}
