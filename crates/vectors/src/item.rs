//! Rows, and rows as JSON objects: `{"id": …, "embedding": […], "metadata": {…}, "content": …}`.

use crate::check::{Code, Fault};
use crate::kinds::Mode;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The vector of a row, as sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Embedding<'a> {
    Null,
    /// Some element is null.
    NullElement(Vec<Option<f32>>),
    Values(Cow<'a, [f32]>),
}

/// One row of a batch, as sent.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    /// Position in the batch, from 1.
    pub ordinal: i64,
    pub id: Option<Cow<'a, str>>,
    pub embedding: Embedding<'a>,
    /// JSON text, kept as sent so that numbers keep all their digits.
    pub metadata: Option<Cow<'a, str>>,
    pub content: Option<Cow<'a, str>>,
    pub mode: Mode,
    /// A fault in the row's form, found while it was read.
    pub malformed: Option<Fault>,
    /// The row as sent, where it came as JSON.
    pub source: Option<&'a str>,
}

impl<'a> Row<'a> {
    /// Reads one JSON object. What can't be read becomes [`Row::malformed`], so that the row can
    /// be reported with its id.
    #[must_use]
    pub fn from_json(text: &'a str, ordinal: i64, mode: Mode) -> Self {
        let mut row = Row {
            ordinal,
            id: None,
            embedding: Embedding::Null,
            metadata: None,
            content: None,
            mode,
            malformed: None,
            source: Some(text),
        };
        let members: BTreeMap<Cow<'_, str>, &RawValue> = match serde_json::from_str(text) {
            Ok(members) => members,
            Err(_) => {
                row.malformed = Some(Fault::new(Code::ItemType, "", "the row is not an object"));
                return row;
            }
        };
        let mut fault = None;
        for (name, value) in &members {
            let read = match name.as_ref() {
                "id" => read_id(value).map(|id| row.id = id),
                "embedding" => read_embedding(value).map(|embedding| row.embedding = embedding),
                "metadata" => {
                    row.metadata = (value.get() != "null").then(|| Cow::Borrowed(value.get()));
                    Ok(())
                }
                "content" => read_content(value).map(|content| row.content = content),
                "mode" => read_mode(value).map(|mode| row.mode = mode),
                "superseded_by" => Err(Fault::new(
                    Code::DuplicateId,
                    "/id",
                    format!("superseded by row {}, which had the same id", value.get()),
                )),
                other => Err(Fault::new(
                    Code::UnknownKey,
                    format!("/{}", other.replace('~', "~0").replace('/', "~1")),
                    format!("unknown key \"{other}\"; a row has id, embedding, metadata, content"),
                )),
            };
            if let Err(found) = read {
                fault.get_or_insert(found);
            }
        }
        row.malformed = fault;
        row
    }
}

fn read_id<'a>(value: &'a RawValue) -> Result<Option<Cow<'a, str>>, Fault> {
    let text = value.get();
    match text.as_bytes().first() {
        Some(b'n') => Ok(None),
        Some(b'"') => read_string(text, "/id").map(Some),
        Some(b'-' | b'0'..=b'9') if !text.contains(['.', 'e', 'E']) => {
            Ok(Some(Cow::Borrowed(text)))
        }
        _ => Err(Fault::new(Code::IdType, "/id", "id must be a string or a whole number")),
    }
}

fn read_content<'a>(value: &'a RawValue) -> Result<Option<Cow<'a, str>>, Fault> {
    match value.get().as_bytes().first() {
        Some(b'n') => Ok(None),
        Some(b'"') => read_string(value.get(), "/content").map(Some),
        _ => Err(Fault::new(Code::ContentType, "/content", "content must be a string")),
    }
}

fn read_mode(value: &RawValue) -> Result<Mode, Fault> {
    serde_json::from_str::<&str>(value.get()).ok().and_then(Mode::parse).ok_or_else(|| {
        Fault::new(Code::UnknownKey, "/mode", format!("mode can't be {}", value.get()))
    })
}

fn read_string<'a>(json: &'a str, pointer: &str) -> Result<Cow<'a, str>, Fault> {
    if let Ok(plain) = serde_json::from_str::<&'a str>(json) {
        return Ok(Cow::Borrowed(plain));
    }
    serde_json::from_str::<String>(json)
        .map(Cow::Owned)
        .map_err(|_| Fault::new(Code::ItemType, pointer, "the string is not valid Unicode"))
}

fn read_embedding<'a>(value: &'a RawValue) -> Result<Embedding<'a>, Fault> {
    let text = value.get();
    if text == "null" {
        return Ok(Embedding::Null);
    }
    if let Ok(values) = serde_json::from_str::<Vec<f64>>(text) {
        return narrow(values).map(|values| Embedding::Values(Cow::Owned(values)));
    }
    // Slowly, to say what is wrong; NaN and infinities come as strings.
    let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| {
        Fault::new(Code::EmbeddingType, "/embedding", "embedding must be an array of numbers")
    })?;
    let mut values = Vec::with_capacity(elements.len());
    for (index, element) in elements.iter().enumerate() {
        values.push(match element.get() {
            "null" => {
                // The row as sent is at hand, so the other elements needn't be.
                let mut until = vec![Some(0.0); index];
                until.push(None);
                return Ok(Embedding::NullElement(until));
            }
            "\"NaN\"" => f64::NAN,
            "\"Infinity\"" => f64::INFINITY,
            "\"-Infinity\"" => f64::NEG_INFINITY,
            other if other.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) => {
                other
                    .parse()
                    .map(|v: f64| if v.is_infinite() { f64::MAX } else { v })
                    .unwrap_or(f64::MAX)
            }
            _ => {
                return Err(Fault::new(
                    Code::EmbeddingType,
                    format!("/embedding/{index}"),
                    format!("element {} of embedding is not a number", index + 1),
                ));
            }
        });
    }
    narrow(values).map(|values| Embedding::Values(Cow::Owned(values)))
}

/// To single precision; a number that becomes infinite by it is out of range.
fn narrow(values: Vec<f64>) -> Result<Vec<f32>, Fault> {
    values
        .into_iter()
        .enumerate()
        .map(|(index, value)| {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "this is the rounding that is meant"
            )]
            let narrow = value as f32;
            if value.is_finite() && narrow.is_infinite() {
                return Err(Fault::new(
                    Code::OutOfRange,
                    format!("/embedding/{index}"),
                    format!("element {} of embedding is out of range for real", index + 1),
                ));
            }
            Ok(narrow)
        })
        .collect()
}

/// The row as JSON text, such that [`Row::from_json`] reads the same row. A row that another one of
/// its batch superseded says so, and is not taken again.
#[must_use]
pub fn payload(row: &Row<'_>, superseded_by: Option<i64>) -> String {
    let string = |text: &str| serde_json::Value::from(text).to_string();
    let mut members = vec![];
    if let Some(source) = row.source {
        if superseded_by.is_none() && row.mode == Mode::Upsert {
            return source.to_owned();
        }
        let known: BTreeMap<Cow<'_, str>, &RawValue> = match serde_json::from_str(source) {
            Ok(known) => known,
            Err(_) => return source.to_owned(),
        };
        for (name, value) in known {
            if name != "mode" && name != "superseded_by" {
                members.push(format!("{}: {}", string(&name), value.get()));
            }
        }
    } else {
        members.push(format!("\"id\": {}", row.id.as_deref().map_or("null".into(), string)));
        members.push(format!("\"embedding\": {}", embedding_json(&row.embedding)));
        if let Some(metadata) = &row.metadata {
            members.push(format!("\"metadata\": {metadata}"));
        }
        if let Some(content) = &row.content {
            members.push(format!("\"content\": {}", string(content)));
        }
    }
    if row.mode != Mode::Upsert {
        members.push(format!("\"mode\": \"{}\"", row.mode.as_str()));
    }
    if let Some(ordinal) = superseded_by {
        members.push(format!("\"superseded_by\": {ordinal}"));
    }
    format!("{{{}}}", members.join(", "))
}

fn embedding_json(embedding: &Embedding<'_>) -> String {
    let array = |elements: Vec<String>| format!("[{}]", elements.join(", "));
    match embedding {
        Embedding::Null => "null".into(),
        Embedding::NullElement(values) => {
            array(values.iter().map(|value| value.map_or("null".into(), number_json)).collect())
        }
        Embedding::Values(values) => array(values.iter().copied().map(number_json).collect()),
    }
}

fn number_json(value: f32) -> String {
    if value.is_nan() {
        "\"NaN\"".into()
    } else if value.is_infinite() {
        if value > 0.0 { "\"Infinity\"".into() } else { "\"-Infinity\"".into() }
    } else {
        serde_json::Value::from(value).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Row<'_> {
        Row::from_json(text, 1, Mode::Upsert)
    }

    fn fault(text: &str) -> Option<(Code, String)> {
        read(text).malformed.map(|fault| (fault.code, fault.pointer))
    }

    #[test]
    fn reads_a_row() {
        let row = read(
            r#"{"id": "a\n", "embedding": [1, 2.5], "metadata": {"n": 1.00}, "content": "x"}"#,
        );
        assert_eq!(row.malformed, None);
        assert_eq!(row.id.as_deref(), Some("a\n"));
        assert_eq!(row.embedding, Embedding::Values(Cow::Owned(vec![1.0, 2.5])));
        assert_eq!(row.metadata.as_deref(), Some(r#"{"n": 1.00}"#));
        assert_eq!(row.content.as_deref(), Some("x"));
        assert_eq!(read(r#"{"id": 7, "embedding": []}"#).id.as_deref(), Some("7"));
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        assert_eq!(fault("[]"), Some((Code::ItemType, String::new())));
        assert_eq!(fault(r#"{"id": 1.5}"#), Some((Code::IdType, "/id".into())));
        assert_eq!(
            fault(r#"{"id": "a", "embeding": []}"#),
            Some((Code::UnknownKey, "/embeding".into()))
        );
        assert_eq!(
            fault(r#"{"id": "a", "embedding": "x"}"#),
            Some((Code::EmbeddingType, "/embedding".into()))
        );
        assert_eq!(
            fault(r#"{"id": "a", "embedding": [1, true]}"#),
            Some((Code::EmbeddingType, "/embedding/1".into()))
        );
        assert_eq!(
            fault(r#"{"id": "a", "embedding": [1e39]}"#),
            Some((Code::OutOfRange, "/embedding/0".into()))
        );
        assert_eq!(
            fault(r#"{"id": "a", "embedding": [1e999]}"#),
            Some((Code::OutOfRange, "/embedding/0".into()))
        );
        assert_eq!(
            fault(r#"{"id": "a", "content": 1}"#),
            Some((Code::ContentType, "/content".into()))
        );
        assert_eq!(
            fault(r#"{"id": "a", "superseded_by": 3}"#),
            Some((Code::DuplicateId, "/id".into()))
        );
        assert_eq!(
            read(r#"{"id": "a", "embedding": [1, null]}"#).embedding,
            Embedding::NullElement(vec![Some(0.0), None])
        );
    }

    proptest! {
        #[test]
        fn a_payload_reads_back(
            id in ".*",
            values in prop::collection::vec(any::<f32>(), 0..5),
            content in prop::option::of(".*"),
            update in any::<bool>(),
        ) {
            let row = Row {
                ordinal: 1,
                id: Some(Cow::Owned(id)),
                embedding: Embedding::Values(Cow::Owned(values)),
                metadata: Some(Cow::Borrowed(r#"{"n": 12345678901234567890.12345}"#)),
                content: content.map(Cow::Owned),
                mode: if update { Mode::UpdateOnly } else { Mode::Upsert },
                malformed: None,
                source: None,
            };
            let text = payload(&row, None);
            let back = read(&text);
            prop_assert_eq!(&back.malformed, &None);
            prop_assert_eq!(&back.id, &row.id);
            prop_assert_eq!(format!("{:?}", back.embedding), format!("{:?}", row.embedding));
            prop_assert_eq!(&back.metadata, &row.metadata);
            prop_assert_eq!(&back.content, &row.content);
            prop_assert_eq!(back.mode, row.mode);
            let text = payload(&back, None);
            let superseded = payload(&read(&text), Some(2));
            prop_assert_eq!(read(&superseded).malformed.map(|f| f.code), Some(Code::DuplicateId));
        }
    }
}
