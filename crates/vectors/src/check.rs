//! The checks a row passes before it is written, and a query before it is asked.

use crate::item::{Embedding, Row};
use crate::{IdType, MAX_ID_BYTES, Metric, Storage};
use std::fmt;

/// A stable word for the kind of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    NullId,
    IdType,
    IdLength,
    NullEmbedding,
    EmbeddingType,
    NullElement,
    Dimension,
    Nan,
    Infinity,
    OutOfRange,
    ZeroNorm,
    NormOverflow,
    MetadataType,
    ContentType,
    NulCharacter,
    ItemType,
    UnknownKey,
    DuplicateId,
}

impl Code {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Code::NullId => "null_id",
            Code::IdType => "id_type",
            Code::IdLength => "id_length",
            Code::NullEmbedding => "null_embedding",
            Code::EmbeddingType => "embedding_type",
            Code::NullElement => "null_element",
            Code::Dimension => "dimension",
            Code::Nan => "nan",
            Code::Infinity => "infinity",
            Code::OutOfRange => "out_of_range",
            Code::ZeroNorm => "zero_norm",
            Code::NormOverflow => "norm_overflow",
            Code::MetadataType => "metadata_type",
            Code::ContentType => "content_type",
            Code::NulCharacter => "nul_character",
            Code::ItemType => "item_type",
            Code::UnknownKey => "unknown_key",
            Code::DuplicateId => "duplicate_id",
        }
    }

    /// What to do about it, as a sentence.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Code::NullId => "Every row needs an id of its own.",
            Code::IdType => "Send ids as the store's id column reads them; \\d shows its type.",
            Code::IdLength => {
                "Use a shorter id, such as a hash, and keep the long one in metadata."
            }
            Code::NullEmbedding | Code::NullElement => {
                "Every row needs a number for each dimension; leave rows without an embedding out."
            }
            Code::EmbeddingType => "An embedding is an array of numbers: [0.1, 0.2, …].",
            Code::Dimension => {
                "A store holds embeddings of one model; check that this one made all of them, the query too."
            }
            Code::Nan | Code::Infinity => {
                "The model or the code behind it failed on this input; compute the embedding again."
            }
            Code::OutOfRange => {
                "Scale the values down, or make the store with storage => 'vector'."
            }
            Code::ZeroNorm => {
                "Leave such rows out, or make the store with metric => 'l2' if length zero has a meaning."
            }
            Code::NormOverflow => "Scale the values down; cosine doesn't depend on the length.",
            Code::MetadataType => "Metadata is an object: {\"key\": \"value\"}.",
            Code::ContentType => "Content is a string.",
            Code::NulCharacter => "Postgres' text can't hold \\u0000; remove it.",
            Code::ItemType => "An item is an object: {\"id\": …, \"embedding\": […]}.",
            Code::UnknownKey => {
                "An item has id, embedding, metadata and content; the rest goes into metadata."
            }
            Code::DuplicateId => "Send each id once in a batch.",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub code: Code,
    /// Lower case, no full stop; the row itself is named by the caller.
    pub message: String,
    /// JSON Pointer into the row as an item.
    pub pointer: String,
}

impl Fault {
    pub(crate) fn new(code: Code, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), pointer: pointer.into() }
    }
}

/// What a store takes.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    pub id_type: IdType,
    pub storage: Storage,
    pub metric: Metric,
    pub dimensions: usize,
}

/// From here on a number rounds to infinity as a half-precision float (IEEE 754 binary16: halfway
/// between 65,504 and the next power of two).
const HALF_OVERFLOW: f32 = 65_520.0;

/// Up to here a number rounds to zero as a half-precision float (half of its smallest subnormal).
const HALF_UNDERFLOW: f32 = 1.0 / 33_554_432.0;

impl Rules {
    /// Every check on a row; its canonical id where it passes.
    ///
    /// # Errors
    /// The first fault.
    pub fn row(&self, row: &Row<'_>) -> Result<String, Fault> {
        if let Some(fault) = &row.malformed {
            return Err(fault.clone());
        }
        let id = self.id(row.id.as_deref())?;
        match &row.embedding {
            Embedding::Null => {
                return Err(Fault::new(Code::NullEmbedding, "/embedding", "embedding is null"));
            }
            Embedding::NullElement(values) => {
                let index = values.iter().position(Option::is_none).unwrap_or(0);
                return Err(Fault::new(
                    Code::NullElement,
                    format!("/embedding/{index}"),
                    format!("element {} of embedding is null", index + 1),
                ));
            }
            Embedding::Values(values) => self.embedding(values)?,
        }
        if let Some(metadata) = &row.metadata {
            if !metadata.trim_start().starts_with('{') {
                return Err(Fault::new(
                    Code::MetadataType,
                    "/metadata",
                    format!("metadata must be an object, not {}", json_kind(metadata)),
                ));
            }
            if holds_nul(metadata) {
                return Err(nul("/metadata", "metadata"));
            }
            if metadata.contains("\\u") && !escapes_are_unicode(metadata) {
                return Err(Fault::new(
                    Code::MetadataType,
                    "/metadata",
                    "metadata holds an escape that is not valid Unicode",
                ));
            }
        }
        if row.content.as_deref().is_some_and(|content| content.contains('\0')) {
            return Err(nul("/content", "content"));
        }
        Ok(id)
    }

    /// The id as Postgres would show it.
    ///
    /// # Errors
    /// Null, not of the store's type, too long, NUL.
    pub fn id(&self, id: Option<&str>) -> Result<String, Fault> {
        let Some(id) = id else {
            return Err(Fault::new(Code::NullId, "/id", "id is null"));
        };
        if id.contains('\0') {
            return Err(nul("/id", "id"));
        }
        if id.len() > MAX_ID_BYTES {
            return Err(Fault::new(
                Code::IdLength,
                "/id",
                format!("id has {} bytes; at most {MAX_ID_BYTES} are possible", id.len()),
            ));
        }
        self.id_type.canonical(id).ok_or_else(|| {
            Fault::new(Code::IdType, "/id", format!("id is not of type {}", self.id_type.as_str()))
        })
    }

    /// The checks on a vector, of a row or of a query: dimension, NaN, infinity, range of the
    /// storage, and for cosine a length that single-precision arithmetic can divide by.
    ///
    /// # Errors
    /// The first fault.
    pub fn embedding(&self, values: &[f32]) -> Result<(), Fault> {
        if values.len() != self.dimensions {
            return Err(Fault::new(
                Code::Dimension,
                "/embedding",
                format!("embedding has {} dimensions, not {}", values.len(), self.dimensions),
            ));
        }
        let half = self.storage == Storage::Halfvec;
        let mut norm = 0.0_f32;
        for (index, &value) in values.iter().enumerate() {
            if !value.is_finite() {
                let (code, name) =
                    if value.is_nan() { (Code::Nan, "NaN") } else { (Code::Infinity, "infinite") };
                return Err(element(code, index, name));
            }
            if half && value.abs() >= HALF_OVERFLOW {
                return Err(element(
                    Code::OutOfRange,
                    index,
                    &format!("{value}, out of range for halfvec (65504)"),
                ));
            }
            if !(half && value.abs() <= HALF_UNDERFLOW) {
                norm += value * value;
            }
        }
        if self.metric != Metric::Cosine {
            return Ok(());
        }
        if norm < f32::MIN_POSITIVE {
            return Err(Fault::new(
                Code::ZeroNorm,
                "/embedding",
                "embedding has length zero, for which there is no cosine",
            ));
        }
        if norm.is_infinite() {
            return Err(Fault::new(
                Code::NormOverflow,
                "/embedding",
                "embedding is too long for cosine: its squared length overflows",
            ));
        }
        Ok(())
    }
}

fn element(code: Code, index: usize, what: &str) -> Fault {
    Fault::new(
        code,
        format!("/embedding/{index}"),
        format!("element {} of embedding is {what}", index + 1),
    )
}

fn nul(pointer: &str, what: &str) -> Fault {
    Fault::new(
        Code::NulCharacter,
        pointer,
        format!("{what} holds the character NUL, which Postgres can't store"),
    )
}

/// Whether a JSON text has NUL in a string or a name: `\u0000` after an even run of backslashes.
fn holds_nul(json: &str) -> bool {
    json.contains('\0')
        || json.match_indices("\\u0000").any(|(at, _)| {
            let before = json.as_bytes()[..at].iter().rev().take_while(|&&b| b == b'\\').count();
            before % 2 == 0
        })
}

/// Whether every `\u` escape stands for a character; half of a surrogate pair doesn't.
fn escapes_are_unicode(json: &str) -> bool {
    match serde_json::from_str::<serde_json::Value>(json) {
        Ok(_) => true,
        // Numbers that only a numeric can hold are fine.
        Err(error) => error.to_string().contains("out of range"),
    }
}

/// The kind of a JSON text, with its article.
fn json_kind(json: &str) -> &'static str {
    match json.trim_start().as_bytes().first() {
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b'n') => "null",
        Some(b't' | b'f') => "a boolean",
        _ => "a number",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RULES: Rules = Rules {
        id_type: IdType::Text,
        storage: Storage::Vector,
        metric: Metric::Cosine,
        dimensions: 3,
    };

    fn code(rules: Rules, values: &[f32]) -> Option<Code> {
        rules.embedding(values).err().map(|fault| fault.code)
    }

    #[test]
    fn vectors() {
        assert_eq!(code(RULES, &[1.0, 0.0, 0.0]), None);
        assert_eq!(code(RULES, &[1.0, 0.0]), Some(Code::Dimension));
        assert_eq!(code(RULES, &[1.0, f32::NAN, 0.0]), Some(Code::Nan));
        assert_eq!(code(RULES, &[1.0, f32::NEG_INFINITY, 0.0]), Some(Code::Infinity));
        assert_eq!(code(RULES, &[0.0, -0.0, 0.0]), Some(Code::ZeroNorm));
        assert_eq!(code(RULES, &[1e-30, 0.0, 0.0]), Some(Code::ZeroNorm));
        assert_eq!(code(RULES, &[1e30, 0.0, 0.0]), Some(Code::NormOverflow));
        let l2 = Rules { metric: Metric::L2, ..RULES };
        assert_eq!(code(l2, &[0.0, 0.0, 0.0]), None);
        assert_eq!(code(l2, &[1e30, 0.0, 0.0]), None);
    }

    #[test]
    fn halfvec_rounds() {
        let half = Rules { storage: Storage::Halfvec, ..RULES };
        assert_eq!(code(half, &[65_519.0, 0.0, 0.0]), None);
        assert_eq!(code(half, &[-65_520.0, 0.0, 0.0]), Some(Code::OutOfRange));
        assert_eq!(code(half, &[2e-8, 0.0, 0.0]), Some(Code::ZeroNorm));
        assert_eq!(code(half, &[6e-8, 0.0, 0.0]), None);
        assert_eq!(code(half, &[1e-4, 0.0, 0.0]), None);
    }

    #[test]
    fn nul_is_seen_and_an_escaped_backslash_is_not_nul() {
        assert!(holds_nul(r#"{"a":"\u0000"}"#));
        assert!(!holds_nul(r#"{"a":"\\u0000"}"#));
        assert!(holds_nul(r#"{"a":"\\\u0000"}"#));
        assert!(escapes_are_unicode(r#"{"a":"\ud83d\ude00", "b": 1e999}"#));
        assert!(!escapes_are_unicode(r#"{"a":"\ud83d"}"#));
    }

    proptest! {
        /// What passes has a finite, positive cosine with itself in single precision.
        #[test]
        fn what_passes_can_be_compared(values in prop::array::uniform3(any::<f32>())) {
            if RULES.embedding(&values).is_ok() {
                let dot: f32 = values.iter().map(|v| v * v).sum();
                let cosine = f64::from(dot) / (f64::from(dot) * f64::from(dot)).sqrt();
                prop_assert!((cosine - 1.0).abs() < 1e-6);
            }
        }
    }
}
