//! One line.

use crate::{Problem, unescape};
use std::borrow::Cow;

/// What a line says. Keys are in the order in which they came.
#[derive(Debug, Clone, PartialEq)]
pub struct Line<'a> {
    /// Measurement and tags as they were sent: what [`tags`](crate::tags) takes.
    pub series: &'a str,
    pub measurement: Cow<'a, str>,
    pub tags: Tags<'a>,
    pub fields: Vec<(Cow<'a, str>, Value<'a>)>,
    pub timestamp: Option<i64>,
}

/// The value of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    Float(f64),
    Integer(i64),
    Unsigned(u64),
    Boolean(bool),
    Text(Cow<'a, str>),
}

impl Value<'_> {
    /// As a number, where it is one: truth is 1 and 0.
    #[expect(
        clippy::cast_precision_loss,
        reason = "what a double can't hold is rounded, as in InfluxDB's own casts"
    )]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            Self::Integer(value) => Some(*value as f64),
            Self::Unsigned(value) => Some(*value as f64),
            Self::Boolean(value) => Some(f64::from(u8::from(*value))),
            Self::Text(_) => None,
        }
    }
}

/// What is wrong, and at which byte.
type Wrong = (Problem, usize);

/// Key and value of each tag.
pub type Tags<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// Reads the line at the beginning of `text`; returns it with its length in bytes. The line break
/// isn't part of it.
pub(crate) fn parse(text: &str) -> Result<(Line<'_>, usize), Wrong> {
    let mut at = Cursor { text, at: 0 };
    at.spaces();
    let start = at.at;
    let (measurement, tags) = at.series()?;
    let series = &text[start..at.at];
    if !at.spaces() {
        return Err((Problem::NoField, at.at));
    }
    let mut fields: Vec<(Cow<str>, Value)> = vec![];
    loop {
        let none = if fields.is_empty() { Problem::NoField } else { Problem::NoFieldKey };
        let (key, start) = match at.key() {
            Ok(Some(found)) => found,
            Ok(None) => return Err((none, at.at)),
            Err((Problem::NoTagValue(key), offset)) => {
                return Err((Problem::NoFieldValue(key), offset));
            }
            Err(other) => return Err(other),
        };
        if fields.iter().any(|(known, _)| *known == key) {
            return Err((Problem::FieldTwice(key.into_owned()), start));
        }
        let value = at.value(&key)?;
        fields.push((key, value));
        if !at.take(',') {
            break;
        }
    }
    at.spaces();
    let start = at.at;
    let word = at.until(&[' ']);
    let timestamp = match word {
        "" => None,
        word => match word.parse() {
            // What Rust takes beyond the protocol.
            Ok(timestamp) if !word.starts_with('+') => Some(timestamp),
            _ => return Err((Problem::BadTimestamp(short(word)), start)),
        },
    };
    at.spaces();
    if !matches!(at.peek(), None | Some('\n' | '\r')) {
        let word = at.until(&[' ']);
        return Err((Problem::BadTimestamp(short(word)), at.at));
    }
    Ok((Line { series, measurement, tags, fields, timestamp }, at.at))
}

/// What a backslash takes its meaning from, in tags and field keys.
const SPECIAL: &[char] = &[',', '=', ' '];

pub(crate) struct Cursor<'a> {
    pub(crate) text: &'a str,
    pub(crate) at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn spaces(&mut self) -> bool {
        let before = self.at;
        while self.take(' ') {}
        self.at > before
    }

    /// Up to one of the characters that isn't escaped, or to the end of the line.
    fn until(&mut self, ends: &[char]) -> &'a str {
        let rest = self.rest();
        let mut escaped = false;
        let length = rest
            .char_indices()
            .find(|(index, c)| {
                let ends_here = *c == '\n'
                    || (*c == '\r' && rest[index + 1..].starts_with('\n'))
                    || (!escaped && ends.contains(c));
                escaped = *c == '\\' && !escaped;
                ends_here
            })
            .map_or(rest.len(), |(index, _)| index);
        // A carriage return at the very end is part of a line break whose rest was cut off.
        let length = if length == rest.len() && rest.ends_with('\r') { length - 1 } else { length };
        self.at += length;
        &rest[..length]
    }

    /// The measurement and the tags, up to the space before the fields.
    pub(crate) fn series(&mut self) -> Result<(Cow<'a, str>, Tags<'a>), Wrong> {
        let measurement = self.until(&[',', ' ']);
        if measurement.is_empty() {
            return Err((Problem::NoMeasurement, self.at));
        }
        let mut tags: Tags = vec![];
        while self.take(',') {
            let (key, start) = self.key()?.ok_or((Problem::NoTagKey, self.at))?;
            let value = self.until(SPECIAL);
            if value.is_empty() || self.peek() == Some('=') {
                return Err((Problem::NoTagValue(key.into_owned()), self.at));
            }
            if tags.iter().any(|(known, _)| *known == key) {
                return Err((Problem::TagTwice(key.into_owned()), start));
            }
            tags.push((key, unescape(value, SPECIAL)));
        }
        Ok((unescape(measurement, &[',', ' ']), tags))
    }

    /// `key=`, and where it began; `None` without a key.
    fn key(&mut self) -> Result<Option<(Cow<'a, str>, usize)>, Wrong> {
        let start = self.at;
        let key = self.until(SPECIAL);
        if key.is_empty() {
            return Ok(None);
        }
        let key = unescape(key, SPECIAL);
        if self.take('=') {
            Ok(Some((key, start)))
        } else {
            Err((Problem::NoTagValue(key.into_owned()), self.at))
        }
    }

    fn value(&mut self, key: &str) -> Result<Value<'a>, Wrong> {
        let start = self.at;
        if self.take('"') {
            return self.text_value(key, start);
        }
        let word = self.until(&[',', ' ']);
        let bad = || Problem::BadValue { key: key.to_owned(), value: short(word) };
        if word.is_empty() {
            return Err((Problem::NoFieldValue(key.to_owned()), start));
        }
        match word {
            "t" | "T" | "true" | "True" | "TRUE" => return Ok(Value::Boolean(true)),
            "f" | "F" | "false" | "False" | "FALSE" => return Ok(Value::Boolean(false)),
            _ => {}
        }
        let range = || Problem::OutOfRange { key: key.to_owned(), value: short(word) };
        if let Some(digits) = word.strip_suffix('i').filter(|digits| whole(digits, true)) {
            return digits.parse().map(Value::Integer).map_err(|_| (range(), start));
        }
        if let Some(digits) = word.strip_suffix('u').filter(|digits| whole(digits, false)) {
            return digits.parse().map(Value::Unsigned).map_err(|_| (range(), start));
        }
        if !word
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'))
        {
            return Err((bad(), start));
        }
        match word.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Value::Float(value)),
            Ok(_) => Err((range(), start)),
            Err(_) => Err((bad(), start)),
        }
    }

    /// The rest of a quoted text.
    fn text_value(&mut self, key: &str, start: usize) -> Result<Value<'a>, Wrong> {
        let rest = self.rest();
        let mut escaped = false;
        let end = rest.char_indices().find(|(_, c)| {
            let closes = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            closes
        });
        let Some((end, _)) = end else { return Err((Problem::OpenText(key.to_owned()), start)) };
        self.at += end + 1;
        if !matches!(self.peek(), None | Some(',' | ' ' | '\n' | '\r')) {
            let value = short(&self.text[start..self.at]);
            return Err((Problem::BadValue { key: key.to_owned(), value }, start));
        }
        Ok(Value::Text(unescape(&rest[..end], &['"', '\\'])))
    }
}

/// Digits, with a sign where that is allowed.
fn whole(text: &str, signed: bool) -> bool {
    let digits = if signed { text.strip_prefix('-').unwrap_or(text) } else { text };
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// Enough of a text for a message.
fn short(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
