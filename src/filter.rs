//! The filter language as the functions use it: compiled by `lake_filter`, its parameters bound, its
//! faults as errors.

use crate::error::{Error, Result};
use lake_filter::{Compiled, Param};
use pgrx::JsonB;
use pgrx::datum::DatumWithOid;
use serde_json::Value;

/// A condition on a `jsonb` column, with parameters from `first_param` on. 22023 for a filter that
/// isn't one.
pub fn compile(filter: &Value, column: &str, first_param: usize) -> Result<Compiled> {
    lake_filter::compile(filter, column, first_param).map_err(|fault| {
        let at = if fault.pointer.is_empty() { "the whole of it" } else { &fault.pointer };
        let mut error = Error::invalid_parameter(format!("bad filter: {}", fault.message))
            .detail(format!("Where in the filter: {at}"));
        error.hint = fault.hint;
        error
    })
}

/// The parameters of a condition, ready to bind.
pub fn bind(params: &[Param]) -> impl Iterator<Item = DatumWithOid<'static>> {
    params.iter().map(|param| match param {
        Param::Jsonb(value) => JsonB(value.clone()).into(),
        Param::Text(text) => text.as_str().into(),
    })
}

/// The names that the name of a field stands for. 22023 for what can't be one.
pub fn path(key: &str) -> Result<Vec<String>> {
    lake_filter::path(key).map_err(|fault| {
        let mut error = Error::invalid_parameter(format!("bad key: {}", fault.message));
        error.hint = fault.hint;
        error
    })
}
