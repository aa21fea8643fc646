//! What is wrong with a filter, and where.

use std::fmt::Write as _;

/// A fault in a filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FilterError {
    /// JSON Pointer (RFC 6901) into the filter; empty for the whole of it.
    pub pointer: String,
    /// Lower case, no full stop.
    pub message: String,
    /// A sentence that helps.
    pub hint: Option<String>,
}

/// Where the parser is: a chain on the stack, turned into text only when there is a fault.
#[derive(Clone, Copy)]
pub(crate) enum At<'a> {
    Root,
    Key(&'a At<'a>, &'a str),
    Index(&'a At<'a>, usize),
}

impl At<'_> {
    pub(crate) fn pointer(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            At::Root => {}
            At::Key(parent, key) => {
                parent.write(out);
                out.push('/');
                out.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            At::Index(parent, index) => {
                parent.write(out);
                let _ = write!(out, "/{index}");
            }
        }
    }

    pub(crate) fn fault(&self, message: impl Into<String>) -> FilterError {
        FilterError { pointer: self.pointer(), message: message.into(), hint: None }
    }

    pub(crate) fn fault_hint(
        &self,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> FilterError {
        FilterError { hint: Some(hint.into()), ..self.fault(message) }
    }
}
