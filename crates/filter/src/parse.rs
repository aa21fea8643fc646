//! From JSON to a tree of conditions that already has the shape of the SQL.

use crate::error::{At, FilterError};
use crate::fields::{Field, Usage};
use crate::{MAX_CONDITIONS, MAX_DEPTH};
use serde_json::{Map, Value};

/// Names from the column inwards; never empty.
pub(crate) type Path = Vec<String>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Gt,
    Gte,
    Lt,
    Lte,
}

/// A condition. As in SQL, one may be null; null counts as false.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Const(bool),
    /// All of them; at least two.
    And(Vec<Node>),
    /// Any of them; at least two.
    Or(Vec<Node>),
    /// True where the inner one is false or null.
    NotTrue(Box<Node>),
    /// The column contains this document.
    Contains(Value),
    /// The value at the path is exactly this.
    Is(Path, Value),
    /// There is a value at the path (null counts).
    Exists(Path),
    /// The value at the path is missing or null.
    Null(Path),
    /// The value at the path is a number and compares so.
    Number(Path, Comparison, Value),
    /// The value at the path is a string and compares so, by code point.
    Text(Path, Comparison, String),
}

const OPERATORS: &str = "Operators are $eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $exists, $contains, $not; \
                         between fields $and, $or, $not.";

/// What is still allowed, and which fields were met.
struct Budget {
    conditions: usize,
    fields: Vec<Field>,
}

impl Budget {
    /// One more condition, on this field.
    fn take(&mut self, path: &Path, usage: Usage, at: At<'_>) -> Result<(), FilterError> {
        match self.conditions.checked_sub(1) {
            Some(left) => {
                self.conditions = left;
                if !self.fields.iter().any(|field| field.usage == usage && field.path == *path) {
                    self.fields.push(Field { path: path.clone(), usage });
                }
                Ok(())
            }
            None => Err(at.fault_hint(
                format!("the filter has more than {MAX_CONDITIONS} conditions"),
                "Each value of $in and $nin counts as one. Join with a table of the values instead.",
            )),
        }
    }
}

pub(crate) fn parse(filter: &Value) -> Result<(Node, Vec<Field>), FilterError> {
    let mut budget = Budget { conditions: MAX_CONDITIONS, fields: vec![] };
    let node = document(filter, At::Root, 0, &mut budget)?;
    Ok((node, budget.fields))
}

fn document(
    filter: &Value,
    at: At<'_>,
    depth: usize,
    budget: &mut Budget,
) -> Result<Node, FilterError> {
    if depth > MAX_DEPTH {
        return Err(at.fault(format!("the filter is nested more than {MAX_DEPTH} levels deep")));
    }
    let Value::Object(members) = filter else {
        return Err(at.fault_hint(
            format!("a filter is an object, not {}", kind(filter)),
            "For example {\"lang\": \"en\", \"year\": {\"$gte\": 2020}}.",
        ));
    };
    let mut all = Vec::with_capacity(members.len());
    for (name, value) in members {
        let at = At::Key(&at, name);
        all.push(match name.as_str() {
            "$and" => Node::and(list(value, name, at, depth, budget)?),
            "$or" => Node::or(list(value, name, at, depth, budget)?),
            "$not" => Node::not(document(value, at, depth + 1, budget)?),
            operator if operator.starts_with('$') => return Err(misplaced(operator, at)),
            _ => field(&path(name, at)?, value, at, depth, budget)?,
        });
    }
    Ok(Node::and(all))
}

/// The filters under `$and`, `$or`.
fn list(
    value: &Value,
    operator: &str,
    at: At<'_>,
    depth: usize,
    budget: &mut Budget,
) -> Result<Vec<Node>, FilterError> {
    match value {
        Value::Array(filters) if !filters.is_empty() => filters
            .iter()
            .enumerate()
            .map(|(i, filter)| document(filter, At::Index(&at, i), depth + 1, budget))
            .collect(),
        Value::Array(_) => Err(at.fault(format!("{operator} needs at least one filter"))),
        other => {
            Err(at.fault(format!("{operator} takes an array of filters, not {}", kind(other))))
        }
    }
}

/// What a field must satisfy: a plain operand, or an object of operators.
fn field(
    path: &Path,
    value: &Value,
    at: At<'_>,
    depth: usize,
    budget: &mut Budget,
) -> Result<Node, FilterError> {
    match value {
        Value::Object(members) if members.keys().any(|name| name.starts_with('$')) => {
            operators(path, members, at, depth, budget)
        }
        operand => equals(path, operand, at, budget),
    }
}

fn operators(
    path: &Path,
    members: &Map<String, Value>,
    at: At<'_>,
    depth: usize,
    budget: &mut Budget,
) -> Result<Node, FilterError> {
    if depth > MAX_DEPTH {
        return Err(at.fault(format!("the filter is nested more than {MAX_DEPTH} levels deep")));
    }
    let mut all = Vec::with_capacity(members.len());
    for (operator, operand) in members {
        let at = At::Key(&at, operator);
        all.push(match operator.as_str() {
            "$eq" => equals(path, operand, at, budget)?,
            "$ne" => Node::not(equals(path, operand, at, budget)?),
            "$in" => one_of(path, operator, operand, at, budget)?,
            "$nin" => Node::not(one_of(path, operator, operand, at, budget)?),
            "$gt" => compare(path, operator, Comparison::Gt, operand, at, budget)?,
            "$gte" => compare(path, operator, Comparison::Gte, operand, at, budget)?,
            "$lt" => compare(path, operator, Comparison::Lt, operand, at, budget)?,
            "$lte" => compare(path, operator, Comparison::Lte, operand, at, budget)?,
            "$exists" => exists(path, operand, at, budget)?,
            "$contains" => contains(path, operand, at, budget)?,
            "$not" => match operand {
                Value::Object(inner)
                    if !inner.is_empty() && inner.keys().all(|name| name.starts_with('$')) =>
                {
                    Node::not(operators(path, inner, at, depth + 1, budget)?)
                }
                _ => {
                    return Err(at.fault_hint(
                        "$not of a field takes an object of operators",
                        "For example {\"year\": {\"$not\": {\"$gte\": 2020}}}; to exclude a value use $ne.",
                    ));
                }
            },
            other if other.starts_with('$') => return Err(misplaced(other, at)),
            _ => {
                return Err(at.fault_hint(
                    "operators and plain names can't be mixed in one object",
                    "Name a nested field with a dot: {\"author.name\": {\"$eq\": \"Ada\"}}; compare a whole object with $eq.",
                ));
            }
        });
    }
    Ok(Node::and(all))
}

fn equals(
    path: &Path,
    operand: &Value,
    at: At<'_>,
    budget: &mut Budget,
) -> Result<Node, FilterError> {
    budget.take(path, Usage::Equal, at)?;
    storable(operand, at, 0)?;
    Ok(match operand {
        Value::Null => Node::Null(path.clone()),
        // Containment is what an index can serve; it is wider than equality for these two.
        Value::Array(_) | Value::Object(_) => Node::And(vec![
            Node::Contains(nest(path, operand.clone())),
            Node::Is(path.clone(), operand.clone()),
        ]),
        scalar => Node::Contains(nest(path, scalar.clone())),
    })
}

fn one_of(
    path: &Path,
    operator: &str,
    operand: &Value,
    at: At<'_>,
    budget: &mut Budget,
) -> Result<Node, FilterError> {
    let Value::Array(values) = operand else {
        return Err(at.fault_hint(
            format!("{operator} takes an array of values, not {}", kind(operand)),
            "For example {\"lang\": {\"$in\": [\"en\", \"de\"]}}.",
        ));
    };
    let any: Result<Vec<_>, _> = values
        .iter()
        .enumerate()
        .map(|(i, value)| equals(path, value, At::Index(&at, i), budget))
        .collect();
    Ok(Node::or(any?))
}

fn compare(
    path: &Path,
    operator: &str,
    comparison: Comparison,
    operand: &Value,
    at: At<'_>,
    budget: &mut Budget,
) -> Result<Node, FilterError> {
    let usage = match operand {
        Value::Number(_) => Usage::Number,
        Value::String(_) => Usage::Text,
        _ => Usage::Other,
    };
    budget.take(path, usage, at)?;
    storable(operand, at, 0)?;
    match operand {
        Value::Number(_) => Ok(Node::Number(path.clone(), comparison, operand.clone())),
        Value::String(text) => Ok(Node::Text(path.clone(), comparison, text.clone())),
        other => Err(at.fault_hint(
            format!("{operator} takes a number or a string, not {}", kind(other)),
            "Strings compare by code point, so dates in ISO form compare as dates.",
        )),
    }
}

fn exists(
    path: &Path,
    operand: &Value,
    at: At<'_>,
    budget: &mut Budget,
) -> Result<Node, FilterError> {
    budget.take(path, Usage::Other, at)?;
    match operand {
        Value::Bool(true) => Ok(Node::Exists(path.clone())),
        Value::Bool(false) => Ok(Node::not(Node::Exists(path.clone()))),
        other => Err(at.fault(format!("$exists takes true or false, not {}", kind(other)))),
    }
}

fn contains(
    path: &Path,
    operand: &Value,
    at: At<'_>,
    budget: &mut Budget,
) -> Result<Node, FilterError> {
    budget.take(path, Usage::Equal, at)?;
    storable(operand, at, 0)?;
    Ok(Node::Contains(nest(
        path,
        match operand {
            Value::Array(_) | Value::Object(_) => operand.clone(),
            scalar => Value::Array(vec![scalar.clone()]),
        },
    )))
}

/// An operator where a field was expected, or one that there isn't.
fn misplaced(name: &str, at: At<'_>) -> FilterError {
    match name {
        "$and" | "$or" => at.fault_hint(
            format!("{name} can't stand under a field"),
            "Write it beside the fields: {\"$or\": [{\"year\": 1}, {\"year\": 2}]}.",
        ),
        "$eq" | "$ne" | "$gt" | "$gte" | "$lt" | "$lte" | "$in" | "$nin" | "$exists"
        | "$contains" => at.fault_hint(
            format!("{name} needs a field"),
            format!("For example {{\"year\": {{\"{name}\": …}}}}."),
        ),
        _ => at.fault_hint(
            format!("unknown operator \"{name}\""),
            format!("{OPERATORS} A field whose name starts with $ is written \"\\\\$…\"."),
        ),
    }
}

/// The path of a field that stands alone.
pub(crate) fn field_path(name: &str) -> Result<Path, FilterError> {
    if name.starts_with('$') {
        return Err(misplaced(name, At::Root));
    }
    path(name, At::Root)
}

/// Splits a dotted name.
fn path(name: &str, at: At<'_>) -> Result<Path, FilterError> {
    let mut path = vec![];
    let mut part = String::new();
    let mut chars = name.chars();
    while let Some(c) = chars.next() {
        match c {
            '.' => path.push(std::mem::take(&mut part)),
            '\\' => match chars.next() {
                Some(escaped @ ('.' | '\\' | '$')) => part.push(escaped),
                _ => {
                    return Err(at.fault_hint(
                        format!("the name \"{name}\" has a backslash that escapes nothing"),
                        "Only \\. \\\\ and \\$ are escapes; a backslash in a name is written \\\\.",
                    ));
                }
            },
            '\0' => return Err(at.fault("a name can't hold the character NUL")),
            other => part.push(other),
        }
    }
    path.push(part);
    if path.len() > MAX_DEPTH {
        return Err(at.fault(format!("the name goes more than {MAX_DEPTH} levels deep")));
    }
    if path.iter().any(String::is_empty) {
        return Err(at.fault_hint(
            format!("the name \"{name}\" has an empty part"),
            "A dot goes into a nested object; a dot in a name is written \\. .",
        ));
    }
    Ok(path)
}

/// Whether jsonb could hold the operand.
fn storable(value: &Value, at: At<'_>, depth: usize) -> Result<(), FilterError> {
    const NUL: &str = "jsonb can't hold the character NUL";
    if depth > MAX_DEPTH {
        return Err(at.fault(format!("the value is nested more than {MAX_DEPTH} levels deep")));
    }
    match value {
        Value::String(text) if text.contains('\0') => Err(at.fault(NUL)),
        Value::Array(values) => values
            .iter()
            .enumerate()
            .try_for_each(|(i, value)| storable(value, At::Index(&at, i), depth + 1)),
        Value::Object(members) => members.iter().try_for_each(|(name, value)| {
            let at = At::Key(&at, name);
            if name.contains('\0') { Err(at.fault(NUL)) } else { storable(value, at, depth + 1) }
        }),
        _ => Ok(()),
    }
}

/// `a.b`, v → `{"a": {"b": v}}`.
fn nest(path: &[String], value: Value) -> Value {
    path.iter()
        .rev()
        .fold(value, |inner, name| Value::Object(Map::from_iter([(name.clone(), inner)])))
}

/// A value's type with its article, for messages.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

impl Node {
    fn and(mut nodes: Vec<Node>) -> Node {
        match nodes.len() {
            0 => Node::Const(true),
            1 => nodes.remove(0),
            _ => Node::And(nodes),
        }
    }

    fn or(mut nodes: Vec<Node>) -> Node {
        match nodes.len() {
            0 => Node::Const(false),
            1 => nodes.remove(0),
            _ => Node::Or(nodes),
        }
    }

    fn not(node: Node) -> Node {
        match node {
            Node::Const(value) => Node::Const(!value),
            other => Node::NotTrue(Box::new(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    //! The tree, evaluated with SQL's three values, against the reference that reads the filter.

    use super::*;
    use crate::reference::{self, arbitrary};
    use proptest::prelude::*;

    fn at<'v>(doc: &'v Value, path: &Path) -> Option<&'v Value> {
        path.iter().try_fold(doc, |value, name| value.as_object()?.get(name))
    }

    fn holds<T: PartialOrd>(comparison: Comparison, a: &T, b: &T) -> bool {
        match comparison {
            Comparison::Gt => a > b,
            Comparison::Gte => a >= b,
            Comparison::Lt => a < b,
            Comparison::Lte => a <= b,
        }
    }

    /// As Postgres evaluates what `sql.rs` writes; `doc` is `None` for a null column.
    fn eval(node: &Node, doc: Option<&Value>) -> Option<bool> {
        match node {
            Node::Const(value) => Some(*value),
            Node::And(nodes) => kleene(nodes, doc, false),
            Node::Or(nodes) => kleene(nodes, doc, true),
            Node::NotTrue(node) => Some(eval(node, doc) != Some(true)),
            Node::Contains(value) => doc.map(|doc| reference::contains(doc, value)),
            Node::Is(path, value) => at(doc?, path).map(|v| reference::equal(v, value)),
            Node::Exists(path) => Some(doc.and_then(|doc| at(doc, path)).is_some()),
            Node::Null(path) => Some(doc.and_then(|doc| at(doc, path)).is_none_or(Value::is_null)),
            Node::Number(path, comparison, value) => {
                Some(holds(*comparison, &at(doc?, path)?.as_f64()?, &value.as_f64()?))
            }
            Node::Text(path, comparison, value) => {
                Some(holds(*comparison, &at(doc?, path)?.as_str()?, &value.as_str()))
            }
        }
    }

    /// AND decides on false, OR on true; unknown where nothing decides and something is unknown.
    fn kleene(nodes: &[Node], doc: Option<&Value>, decisive: bool) -> Option<bool> {
        let values: Vec<_> = nodes.iter().map(|node| eval(node, doc)).collect();
        if values.contains(&Some(decisive)) {
            Some(decisive)
        } else if values.contains(&None) {
            None
        } else {
            Some(!decisive)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn tree_means_what_the_filter_says(filter in arbitrary::filter(), doc in arbitrary::document()) {
            let (node, _) = parse(&filter).unwrap();
            prop_assert_eq!(eval(&node, Some(&doc)) == Some(true), reference::matches(&filter, &doc));
        }

        #[test]
        fn a_null_column_is_an_empty_object(filter in arbitrary::filter()) {
            let (node, _) = parse(&filter).unwrap();
            prop_assert_eq!(
                eval(&node, None) == Some(true),
                reference::matches(&filter, &serde_json::json!({}))
            );
        }
    }
}
