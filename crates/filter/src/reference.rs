//! The meaning of a filter in its plainest form, straight from the JSON and one document at a time.
//! Slow, and exact for numbers that a double holds; tests check the SQL against it.

use serde_json::Value;

/// Whether the document satisfies a filter that [`crate::check`] accepts.
#[must_use]
pub fn matches(filter: &Value, doc: &Value) -> bool {
    members(filter).all(|(name, value)| match name.as_str() {
        "$and" => elements(value).all(|filter| matches(filter, doc)),
        "$or" => elements(value).any(|filter| matches(filter, doc)),
        "$not" => !matches(value, doc),
        name => {
            let field = find(name, doc);
            match value.as_object() {
                Some(object) if object.keys().any(|k| k.starts_with('$')) => {
                    satisfies(field, value)
                }
                _ => is(field, value),
            }
        }
    })
}

fn satisfies(field: Option<&Value>, operators: &Value) -> bool {
    members(operators).all(|(operator, operand)| match operator.as_str() {
        "$eq" => is(field, operand),
        "$ne" => !is(field, operand),
        "$in" => elements(operand).any(|value| is(field, value)),
        "$nin" => !elements(operand).any(|value| is(field, value)),
        "$gt" => order(field, operand).is_some_and(|o| o.is_gt()),
        "$gte" => order(field, operand).is_some_and(|o| o.is_ge()),
        "$lt" => order(field, operand).is_some_and(|o| o.is_lt()),
        "$lte" => order(field, operand).is_some_and(|o| o.is_le()),
        "$exists" => field.is_some() == (operand == &Value::Bool(true)),
        "$contains" => match (field, operand) {
            (Some(Value::Array(have)), Value::Array(want)) => {
                want.iter().all(|want| have.iter().any(|have| element(have, want)))
            }
            (Some(object @ Value::Object(_)), Value::Object(_)) => contains(object, operand),
            (Some(Value::Array(have)), want) if !want.is_object() => {
                have.iter().any(|have| element(have, want))
            }
            _ => false,
        },
        "$not" => !satisfies(field, operand),
        other => unreachable!("{other} passed the check"),
    })
}

/// `$eq`: equal, or null meaning missing.
fn is(field: Option<&Value>, operand: &Value) -> bool {
    match field {
        None => operand.is_null(),
        Some(value) => equal(value, operand),
    }
}

fn order(field: Option<&Value>, operand: &Value) -> Option<std::cmp::Ordering> {
    match (field?, operand) {
        (Value::Number(a), Value::Number(b)) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        (Value::String(a), Value::String(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        _ => None,
    }
}

/// Equality with numbers by value.
#[must_use]
pub fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, a)| b.get(k).is_some_and(|b| equal(a, b)))
        }
        (a, b) => a == b,
    }
}

/// jsonb's `@>` between values of the same level.
#[must_use]
pub fn contains(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            b.iter().all(|(k, b)| a.get(k).is_some_and(|a| contains(a, b)))
        }
        (Value::Array(a), Value::Array(b)) => b.iter().all(|b| a.iter().any(|a| element(a, b))),
        (a, b) => equal(a, b),
    }
}

/// Whether an element of an array stands for a wanted one.
fn element(have: &Value, want: &Value) -> bool {
    contains(have, want)
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn elements(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The value that a dotted name leads to.
fn find<'v>(name: &str, doc: &'v Value) -> Option<&'v Value> {
    let mut parts = vec![String::new()];
    let mut chars = name.chars();
    while let Some(c) = chars.next() {
        match c {
            '.' => parts.push(String::new()),
            '\\' => parts.last_mut()?.extend(chars.next()),
            c => parts.last_mut()?.push(c),
        }
    }
    parts.iter().try_fold(doc, |value, part| value.as_object()?.get(part))
}

#[cfg(test)]
pub(crate) mod arbitrary {
    //! Filters and documents from few names and values, so that they meet often.

    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn scalar() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-2..3_i64).prop_map(Value::from),
            (-2..3_i32).prop_map(|n| json!(f64::from(n) * 0.5)),
            prop::sample::select(vec!["", "a", "b", "ä", "B", "1"]).prop_map(Value::from),
        ]
    }

    fn value() -> impl Strategy<Value = Value> {
        scalar().prop_recursive(2, 8, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::hash_map(part(), inner, 0..3)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    fn part() -> impl Strategy<Value = String> {
        prop::sample::select(vec!["a", "b", "c.d"]).prop_map(String::from)
    }

    pub fn document() -> impl Strategy<Value = Value> {
        prop::collection::hash_map(part(), value(), 0..4)
            .prop_map(|m| Value::Object(m.into_iter().collect()))
    }

    fn operators() -> impl Strategy<Value = Value> {
        let comparable = prop_oneof![
            (-2..3_i64).prop_map(Value::from),
            prop::sample::select(vec!["", "a", "ä"]).prop_map(Value::from)
        ];
        let one = prop_oneof![
            (prop::sample::select(vec!["$eq", "$ne", "$contains"]), value()),
            (
                prop::sample::select(vec!["$in", "$nin"]),
                prop::collection::vec(value(), 0..3).prop_map(Value::from)
            ),
            (prop::sample::select(vec!["$gt", "$gte", "$lt", "$lte"]), comparable),
            (Just("$exists"), any::<bool>().prop_map(Value::from)),
        ]
        .prop_map(|(k, v)| (k.to_owned(), v));
        prop::collection::vec(one, 1..3)
            .prop_map(|m| Value::Object(m.into_iter().collect()))
            .prop_recursive(1, 2, 1, |inner| inner.prop_map(|i| json!({ "$not": i })))
    }

    pub fn filter() -> impl Strategy<Value = Value> {
        let name = prop::sample::select(vec!["a", "b", "c\\.d", "a.b", "a.c\\.d"]);
        let field = (name, prop_oneof![value(), operators()]).prop_map(|(k, v)| json!({ k: v }));
        field.prop_recursive(3, 16, 3, |inner| {
            let list = prop::collection::vec(inner.clone(), 1..3);
            prop_oneof![
                list.clone().prop_map(|f| json!({ "$and": f })),
                list.prop_map(|f| json!({ "$or": f })),
                inner.clone().prop_map(|f| json!({ "$not": f })),
                (inner.clone(), inner).prop_map(|(a, b)| {
                    let mut both = a.as_object().cloned().unwrap_or_default();
                    both.extend(b.as_object().cloned().unwrap_or_default());
                    Value::Object(both)
                }),
            ]
        })
    }
}
