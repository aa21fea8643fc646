//! The filter language: a JSON object that says which rows are meant, compiled to parameterised SQL
//! over one `jsonb` column.
//!
//! ```json
//! {"lang": "en", "year": {"$gte": 2020, "$lt": 2025}, "$or": [{"draft": false}, {"author.name": "Ada"}]}
//! ```
//!
//! # Shape
//! - An object is the conjunction of its members; `{}` is true.
//! - `"$and"`, `"$or"`: a non-empty array of filters. `"$not"`: a filter.
//! - Any other name is a field. A dot goes into a nested object (`author.name`); `\.` is a dot in a
//!   name, `\\` a backslash, `\$` a dollar sign at the start of one.
//! - A field's value is an operand of `$eq`, or an object of operators, all of which must hold. An
//!   object without any name that starts with `$` is an operand too (whole-object equality).
//!
//! # Meaning
//! Every condition is true or false, never unknown; `$not`, `$ne`, `$nin` are exact complements.
//!
//! | condition | true where the field |
//! |---|---|
//! | `$eq` v | is there and equals v; numbers by value (`1` = `1.0`), arrays and objects as a whole. `$eq` null: is missing or null |
//! | `$ne` v | not `$eq` v: so also where the field is missing (`$ne` null: is there and not null) |
//! | `$in` [v…], `$nin` [v…] | `$eq` one of them; none of them. `[]`: never; always |
//! | `$gt $gte $lt $lte` v | has v's type and compares so; numbers by value, strings by code point. v is a number or a string; another type, null or missing is false |
//! | `$exists` bool | is there (null counts as there); is not there |
//! | `$contains` v | is an array with the element v; of an array v: with all of v's elements; of an object v: is an object that contains v's pairs |
//! | `$not` {operators} | does not satisfy all of the operators |
//!
//! A null column counts as `{}`. Dotted names go through objects only, never into arrays.
//!
//! # SQL
//! [`compile`] emits `column @> $n` for equality, membership and containment, which a GIN index
//! (`jsonb_path_ops` too) serves; comparisons are `column -> $key` with a guard on the type, so odd
//! data is a "no", never an error. Of strings the first [`PREFIX`] characters are compared, and the rest
//! only where an operand is as long, so that an index on the beginning serves. Names and values only ever appear as parameters; functions,
//! operators and types are qualified, so the caller's `search_path` has no say.

mod error;
mod fields;
mod parse;
#[doc(hidden)]
pub mod reference;
mod sql;

pub use error::FilterError;
pub use fields::{Field, Usage};
pub use sql::{Compiled, Param};

use serde_json::Value;

/// Deepest nesting of `$and`, `$or`, `$not`, of names within a dotted name, and of an operand.
pub const MAX_DEPTH: usize = 32;

/// Most conditions in one filter; each value of `$in` and `$nin` counts as one.
pub const MAX_CONDITIONS: usize = 1_000;

/// How many characters of a string decide a comparison with a shorter operand: an index on so many serves
/// it, and holds strings of any length, of which a B-tree takes some 2,700 bytes.
pub const PREFIX: usize = 500;

/// Compiles `filter` to a boolean SQL expression over `column` (SQL of a `jsonb` expression, used as
/// it is, so it must be safe), with parameters numbered from `first_param`.
///
/// The expression may be null where it isn't true; a filter is used as a condition, where that is
/// the same, and everything that negates does so with `IS NOT TRUE`.
///
/// # Errors
/// The first fault, with a JSON Pointer to it.
pub fn compile(filter: &Value, column: &str, first_param: usize) -> Result<Compiled, FilterError> {
    let (node, fields) = parse::parse(filter)?;
    Ok(Compiled { fields, ..sql::render(&node, column, first_param) })
}

/// Checks a filter without compiling it.
///
/// # Errors
/// As [`compile`].
pub fn check(filter: &Value) -> Result<(), FilterError> {
    parse::parse(filter).map(drop)
}

/// The names, from the column inwards, that the name of a field stands for (`author.name`).
///
/// # Errors
/// What [`compile`] says of such a field.
pub fn path(name: &str) -> Result<Vec<String>, FilterError> {
    parse::field_path(name)
}
