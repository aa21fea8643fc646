//! InfluxDB line protocol, version 2: `measurement,tag=value field=1.5,other=2i 1700000000000000000`.
//!
//! The reference is InfluxData's "Line protocol" page. Lines are separated by `\n` or `\r\n`; empty
//! ones and those that begin with `#` are passed over. A line break within a quoted text belongs to it.
//! In a measurement `\,` and `\ ` stand for the comma and the space, in tags and field keys `\=` too,
//! in a quoted text `\"` and `\\`; any other backslash stands for itself.
//!
//! [`read`] gives every line or what is wrong with it, so that one bad line costs no other.

mod line;
mod precision;

pub use line::{Line, Tags, Value};
pub use precision::Precision;
use std::borrow::Cow;

/// A line with its place, and what it says.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbered<'a> {
    /// From 1, as an editor counts.
    pub number: u32,
    /// As it was sent, without its line break.
    pub text: &'a str,
    pub line: Result<Line<'a>, Fault>,
}

/// Why a line can't be read. `column` counts characters from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} (column {column})")]
pub struct Fault {
    pub problem: Problem,
    pub column: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("the measurement is missing")]
    NoMeasurement,
    #[error("a tag has no key")]
    NoTagKey,
    #[error("tag {0:?} has no value")]
    NoTagValue(String),
    #[error("tag {0:?} is there twice")]
    TagTwice(String),
    #[error("there is no field: a space and key=value are expected")]
    NoField,
    #[error("a field has no key")]
    NoFieldKey,
    #[error("field {0:?} has no value")]
    NoFieldValue(String),
    #[error("field {0:?} is there twice")]
    FieldTwice(String),
    #[error(
        "field {key:?} has the value {value:?}, which is no number, integer (1i, 1u), text (\"…\") or boolean"
    )]
    BadValue { key: String, value: String },
    #[error("field {key:?} has {value}, which is outside of what 64 bits hold")]
    OutOfRange { key: String, value: String },
    #[error("the text of field {0:?} is not closed")]
    OpenText(String),
    #[error("the timestamp {0:?} is not a whole number of 64 bits")]
    BadTimestamp(String),
}

/// Every line that says something.
pub fn read(text: &str) -> impl Iterator<Item = Numbered<'_>> {
    let mut rest = text;
    let mut number = 0;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            number += 1;
            let here = number;
            let start = rest;
            let until_break = start.split_once('\n').map_or(start, |(line, _)| line);
            let plain = until_break.strip_suffix('\r').unwrap_or(until_break);
            let said = plain.trim_start_matches([' ', '\t']);
            if said.is_empty() || said.starts_with('#') {
                rest = start[until_break.len()..].strip_prefix('\n').unwrap_or("");
                continue;
            }
            return Some(match line::parse(start) {
                Ok((line, length)) => {
                    let text = &start[..length];
                    number += u32::try_from(text.matches('\n').count()).unwrap_or(0);
                    let after = &start[length..];
                    let after = after.strip_prefix('\r').unwrap_or(after);
                    rest = after.strip_prefix('\n').unwrap_or(after);
                    Numbered { number: here, text, line: Ok(line) }
                }
                Err((problem, offset)) => {
                    rest = start[until_break.len()..].strip_prefix('\n').unwrap_or("");
                    let offset = offset.min(plain.len());
                    let column =
                        plain.char_indices().take_while(|(at, _)| *at < offset).count() + 1;
                    Numbered { number: here, text: plain, line: Err(Fault { problem, column }) }
                }
            });
        }
        None
    })
}

/// The tags of what a line begins with ([`Line::series`]); none of what isn't that.
pub fn tags(series: &str) -> Tags<'_> {
    let mut at = line::Cursor { text: series, at: 0 };
    at.series().map_or_else(|_| vec![], |(_, tags)| tags)
}

/// Takes backslashes away before the characters in `special`.
fn unescape<'a>(text: &'a str, special: &[char]) -> Cow<'a, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some(next) if c == '\\' && special.contains(next) => {
                out.push(*next);
                chars.next();
            }
            _ => out.push(c),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests;
