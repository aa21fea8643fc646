//! The forms in which a batch arrives, turned into rows: arrays (flat or n×d), packed bytes, JSON.

use crate::error::{Error, Result};
use crate::gucs;
use crate::jsonb::JsonbText;
use lake_vectors::{Embedding, Mode, Row};
use pgrx::PgSqlErrorCode;
use pgrx::array::RawArray;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Vectors as they were sent: numbers in row-major order, and where the nulls are.
pub struct Reals {
    /// Lengths by dimension; empty for the empty array.
    dims: Vec<usize>,
    values: Vec<f32>,
    /// Indices of nulls, ascending.
    nulls: Vec<usize>,
}

impl Reals {
    /// Copies a SQL array.
    pub fn from_array(array: pgrx::Array<'_, f32>) -> Self {
        let mut nulls = vec![];
        let values = match array.as_slice() {
            Ok(values) => values.to_vec(),
            Err(_) => array
                .iter()
                .enumerate()
                .map(|(index, value)| {
                    value.unwrap_or_else(|| {
                        nulls.push(index);
                        0.0
                    })
                })
                .collect(),
        };
        // SAFETY: the array is a valid one, and nothing uses it afterwards.
        let dims = unsafe { RawArray::from_array(array) }.map_or_else(Vec::new, |raw| {
            raw.dims().iter().map(|&n| usize::try_from(n).unwrap_or(0)).collect()
        });
        Self { dims, values, nulls }
    }

    /// Decodes the packed little-endian single-precision floats of an argument. 22023 where the
    /// length isn't a multiple of four.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self> {
        let (chunks, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(Error::invalid_parameter(format!(
                "{name} has {} bytes, which is not a multiple of 4",
                bytes.len()
            ))
            .hint("It is the 4-byte little-endian floats of all vectors, one after the other."));
        }
        let values = chunks.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        Ok(Self { dims: vec![chunks.len()], values, nulls: vec![] })
    }

    /// The vector of a single row. 2202E for an array of more than one dimension.
    pub fn single(&self) -> Result<Embedding<'_>> {
        if self.dims.len() > 1 {
            return Err(Error::new(
                PgSqlErrorCode::ERRCODE_ARRAY_ELEMENT_ERROR,
                "embedding must be an array of one dimension",
            ));
        }
        Ok(self.slice(0, self.values.len()))
    }

    /// Several queries: n×d, flat or in two dimensions. 2202E where the length isn't a multiple of d,
    /// 22004 for nulls.
    pub fn queries(&self, dimensions: usize) -> Result<Vec<Vec<f32>>> {
        let width = match self.dims.as_slice() {
            [_, width] => *width,
            [] | [_] => dimensions,
            more => {
                return Err(Error::new(
                    PgSqlErrorCode::ERRCODE_ARRAY_ELEMENT_ERROR,
                    format!("queries has {} dimensions; it can have one or two", more.len()),
                ));
            }
        };
        if !self.nulls.is_empty() {
            return Err(Error::null_value("queries holds a null element"));
        }
        if width == 0 || !self.values.len().is_multiple_of(width) {
            return Err(Error::new(
                PgSqlErrorCode::ERRCODE_ARRAY_ELEMENT_ERROR,
                format!(
                    "queries has {} numbers, which is not a multiple of {dimensions}",
                    self.values.len()
                ),
            )
            .hint("Send n queries of d numbers: an array of n×d, flat or in two dimensions."));
        }
        Ok(self.values.chunks(width).map(<[f32]>::to_vec).collect())
    }

    fn slice(&self, start: usize, length: usize) -> Embedding<'_> {
        let end = start + length;
        let first = self.nulls.partition_point(|&index| index < start);
        let after = self.nulls.partition_point(|&index| index < end);
        let values = &self.values[start..end];
        if first == after {
            return Embedding::Values(Cow::Borrowed(values));
        }
        let mut values: Vec<Option<f32>> = values.iter().copied().map(Some).collect();
        for index in &self.nulls[first..after] {
            values[index - start] = None;
        }
        Embedding::NullElement(values)
    }

    /// How many numbers each of `rows` rows has. 2202E where that can't be.
    fn width(&self, rows: usize, dimensions: usize) -> Result<usize> {
        let shape =
            |message: String| Error::new(PgSqlErrorCode::ERRCODE_ARRAY_ELEMENT_ERROR, message);
        match self.dims.as_slice() {
            [n, width] if *n == rows => Ok(*width),
            [n, _] => Err(shape(format!("embeddings has {n} rows for {rows} ids"))),
            [] | [_] if self.values.len() == rows * dimensions => Ok(dimensions),
            [] | [_] => {
                let count = self.values.len();
                let error = shape(format!(
                    "embeddings has {count} numbers; {rows} ids of {dimensions} dimensions need {}",
                    rows * dimensions
                ));
                Err(if rows > 0 && count.is_multiple_of(rows) {
                    error.detail(format!("That is {} for each id.", count / rows))
                } else {
                    error.hint(
                        "Send n rows of d numbers: an array of n×d, flat or in two dimensions.",
                    )
                })
            }
            more => Err(shape(format!(
                "embeddings has {} dimensions; it can have one or two",
                more.len()
            ))),
        }
    }
}

/// What goes with the vectors, by position.
pub struct Columns<'a> {
    pub ids: &'a [Option<String>],
    pub metadatas: Option<&'a [Option<JsonbText>]>,
    pub contents: Option<&'a [Option<String>]>,
}

/// The rows of arrays. 2202E where the lengths don't agree.
pub fn from_columns<'a>(
    columns: &Columns<'a>,
    embeddings: &'a Reals,
    dimensions: usize,
    mode: Mode,
) -> Result<Vec<Row<'a>>> {
    let rows = columns.ids.len();
    limit(rows)?;
    let same = |name: &str, length: Option<usize>| match length {
        Some(length) if length != rows => Err(Error::new(
            PgSqlErrorCode::ERRCODE_ARRAY_ELEMENT_ERROR,
            format!("{name} has {length} entries for {rows} ids"),
        )),
        _ => Ok(()),
    };
    same("metadatas", columns.metadatas.map(<[_]>::len))?;
    same("contents", columns.contents.map(<[_]>::len))?;
    let width = embeddings.width(rows, dimensions)?;
    let mut out = Vec::with_capacity(rows);
    for (index, id) in columns.ids.iter().enumerate() {
        pgrx::check_for_interrupts!();
        out.push(Row {
            ordinal: ordinal(index),
            id: id.as_deref().map(Cow::Borrowed),
            embedding: embeddings.slice(index * width, width),
            metadata: columns
                .metadatas
                .and_then(|all| all[index].as_ref())
                .map(|text| Cow::Borrowed(text.0.as_str())),
            content: columns.contents.and_then(|all| all[index].as_deref()).map(Cow::Borrowed),
            mode,
            malformed: None,
            source: None,
        });
    }
    Ok(out)
}

/// The elements of a JSON array. 22023 for another kind of JSON, 22P02 for what isn't JSON.
pub fn split_items(items: &str) -> Result<Vec<&RawValue>> {
    const EXAMPLE: &str =
        "[{\"id\": \"a\", \"embedding\": [0.1, 0.2], \"metadata\": {}, \"content\": \"…\"}, …]";
    serde_json::from_str(items).map_err(|error| {
        let error = if error.is_data() {
            Error::invalid_parameter("items must be an array of objects")
        } else {
            Error::new(
                PgSqlErrorCode::ERRCODE_INVALID_TEXT_REPRESENTATION,
                format!("items is not JSON: {error}"),
            )
        };
        // Untyped parameters mean this form, so what was meant may have been arrays.
        if items.starts_with('{') {
            error.hint("If these are ids and embeddings, say so: $2::text[], $3::real[].")
        } else {
            error.hint(EXAMPLE)
        }
    })
}

/// The rows of JSON texts.
pub fn from_items<'a>(
    items: impl ExactSizeIterator<Item = &'a str>,
    mode: Mode,
) -> Result<Vec<Row<'a>>> {
    limit(items.len())?;
    let mut out = Vec::with_capacity(items.len());
    for (index, item) in items.enumerate() {
        pgrx::check_for_interrupts!();
        out.push(Row::from_json(item, ordinal(index), mode));
    }
    Ok(out)
}

fn ordinal(index: usize) -> i64 {
    i64::try_from(index).map_or(i64::MAX, |index| index + 1)
}

/// 54000 for more rows than one call may carry.
fn limit(rows: usize) -> Result<()> {
    let most = gucs::max_batch_rows();
    if rows <= most {
        return Ok(());
    }
    Err(Error::new(
        PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
        format!("a batch may have at most {most} rows, not {rows}"),
    )
    .hint("Send several batches, or raise lake_stores.max_batch_rows."))
}
