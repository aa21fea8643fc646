//! The language from outside: what is emitted, what is refused and where.

use lake_filter::{Field, MAX_CONDITIONS, MAX_DEPTH, PREFIX, Param, Usage, check, compile, path};
use proptest::prelude::*;
use serde_json::{Value, json};

fn sql(filter: Value) -> (String, Vec<Param>) {
    let compiled = compile(&filter, "m", 3).unwrap();
    (
        compiled.sql.replace("pg_catalog.", "").replace("OPERATOR(", "").replace(") $", " $"),
        compiled.params,
    )
}

#[test]
fn the_empty_filter_is_true() {
    assert_eq!(sql(json!({})), ("true".into(), vec![]));
}

#[test]
fn equality_is_containment_with_parameters_from_the_given_number() {
    assert_eq!(
        sql(json!({"lang": "en", "a.b": 1})),
        (
            "((m @> $3::jsonb) AND (m @> $4::jsonb))".into(),
            vec![
                // members in order of their names
                Param::Jsonb(json!({"a": {"b": 1}})),
                Param::Jsonb(json!({"lang": "en"})),
            ]
        )
    );
}

#[test]
fn membership_is_one_containment_per_value() {
    let (text, params) = sql(json!({"lang": {"$in": ["en", "de"]}}));
    assert_eq!(text, "((m @> $3::jsonb) OR (m @> $4::jsonb))");
    assert_eq!(params.len(), 2);
    assert_eq!(sql(json!({"lang": {"$in": []}})).0, "false");
    assert_eq!(sql(json!({"lang": {"$nin": []}})).0, "true");
}

#[test]
fn comparisons_guard_the_type_and_bind_the_name() {
    let (text, params) = sql(json!({"year": {"$gte": 2020}}));
    assert_eq!(
        text,
        "(jsonb_typeof((m -> $3::text)) =) 'number'::text AND ((m -> $4::text) >= $5::jsonb))"
    );
    assert_eq!(
        params,
        [Param::Text("year".into()), Param::Text("year".into()), Param::Jsonb(json!(2020))]
    );
    assert!(sql(json!({"day": {"$lt": "2024-01-01"}})).0.contains("COLLATE \"C\""));
}

#[test]
fn a_short_operand_is_compared_with_the_beginning() {
    let (short, params) = sql(json!({"day": {"$gt": "x".repeat(PREFIX - 1)}}));
    assert!(short.contains("\"left\"((m ->> $4::text), 500) COLLATE \"C\""), "{short}");
    assert!(!short.contains("ROW"), "{short}");
    assert_eq!(params.len(), 3);
    let (long, params) = sql(json!({"day": {"$gt": "x".repeat(PREFIX)}}));
    assert_eq!(long.matches("ROW(").count(), 2, "{long}");
    assert_eq!(long.matches("$6").count(), 2, "{long}");
    assert_eq!(params.len(), 4);
}

#[test]
fn fields_are_told_once_for_each_way() {
    let filter = json!({
        "a.b": {"$gte": 1, "$lt": 5}, "c": {"$in": [1, 2]}, "$or": [{"c": 3}, {"c": {"$exists": true}}],
        "$not": {"d": {"$gt": "x"}}
    });
    let field = |path: &[&str], usage| Field {
        path: path.iter().map(|name| (*name).to_owned()).collect(),
        usage,
    };
    let found = compile(&filter, "m", 1).unwrap().fields;
    let wanted = [
        field(&["d"], Usage::Text),
        field(&["c"], Usage::Equal),
        field(&["c"], Usage::Other),
        field(&["a", "b"], Usage::Number),
    ];
    assert_eq!(found.len(), wanted.len(), "{found:?}");
    assert!(wanted.iter().all(|field| found.contains(field)), "{found:?}");
}

proptest! {
    #[test]
    fn a_field_is_named_as_filters_name_it(names in prop::collection::vec(r"[a.\\\\$é ]{1,4}", 1..4)) {
        let field = Field { path: names.clone(), usage: Usage::Equal };
        prop_assert_eq!(path(&field.name()).unwrap(), names);
    }
}

#[test]
fn negation_is_two_valued() {
    assert_eq!(sql(json!({"a": {"$ne": 1}})).0, "((m @> $3::jsonb) IS NOT TRUE)");
    assert_eq!(sql(json!({"$not": {"a": 1}})).0, "((m @> $3::jsonb) IS NOT TRUE)");
}

#[test]
fn escapes_in_names() {
    let params = sql(json!({"service\\.name": 1})).1;
    assert_eq!(params, [Param::Jsonb(json!({"service.name": 1}))]);
    assert_eq!(sql(json!({"\\$ref": 1})).1, [Param::Jsonb(json!({"$ref": 1}))]);
    assert_eq!(sql(json!({"a\\\\b": 1})).1, [Param::Jsonb(json!({"a\\b": 1}))]);
}

#[test]
fn faults_say_where() {
    let cases = [
        (json!([]), "", "a filter is an object, not an array"),
        (json!({"$and": []}), "/$and", "$and needs at least one filter"),
        (json!({"$or": {"a": 1}}), "/$or", "$or takes an array of filters, not an object"),
        (json!({"$and": [{"a": 1}, 2]}), "/$and/1", "a filter is an object, not a number"),
        (json!({"$gt": 1}), "/$gt", "$gt needs a field"),
        (json!({"a": {"$like": "x"}}), "/a/$like", "unknown operator \"$like\""),
        (json!({"a/b~": {"$in": 1}}), "/a~1b~0/$in", "$in takes an array of values, not a number"),
        (json!({"a": {"$gt": null}}), "/a/$gt", "$gt takes a number or a string, not null"),
        (json!({"a": {"$exists": 1}}), "/a/$exists", "$exists takes true or false, not a number"),
        (json!({"a": {"$or": []}}), "/a/$or", "$or can't stand under a field"),
        (
            json!({"a": {"$gt": 1, "b": 2}}),
            "/a/b",
            "operators and plain names can't be mixed in one object",
        ),
        (json!({"a": {"$not": 1}}), "/a/$not", "$not of a field takes an object of operators"),
        (json!({"a..b": 1}), "/a..b", "the name \"a..b\" has an empty part"),
        (json!({"a\\n": 1}), "/a\\n", "the name \"a\\n\" has a backslash that escapes nothing"),
        (json!({"a": ["x\u{0}"]}), "/a/0", "jsonb can't hold the character NUL"),
    ];
    for (filter, pointer, message) in cases {
        let fault = check(&filter).unwrap_err();
        assert_eq!((fault.pointer.as_str(), fault.message.as_str()), (pointer, message));
    }
}

#[test]
fn limits_hold() {
    let nested = |n| (0..n).fold(json!({"a": 1}), |f, _| json!({ "$not": f }));
    assert!(check(&nested(MAX_DEPTH)).is_ok());
    assert!(check(&nested(MAX_DEPTH + 1)).unwrap_err().message.contains("nested"));
    let under = |n| json!({"a": (0..n).fold(json!({"$gt": 1}), |f, _| json!({ "$not": f }))});
    assert!(check(&under(MAX_DEPTH)).is_ok());
    assert!(check(&under(MAX_DEPTH + 1)).unwrap_err().message.contains("nested"));
    let wide = |n: usize| json!({"a": {"$in": (0..n).collect::<Vec<_>>()}});
    assert!(check(&wide(MAX_CONDITIONS)).is_ok());
    assert!(check(&wide(MAX_CONDITIONS + 1)).unwrap_err().message.contains("conditions"));
    assert!(check(&json!({vec!["a"; MAX_DEPTH + 1].join("."): 1})).is_err());
    let value = (0..MAX_DEPTH + 1).fold(json!(1), |v, _| json!([v]));
    assert!(check(&json!({ "a": value })).is_err());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
        ".{490,520}".prop_map(Value::from),
    ];
    let name = prop_oneof![
        prop::sample::select(vec![
            "$and",
            "$or",
            "$not",
            "$in",
            "$eq",
            "$gt",
            "$lte",
            "$contains",
            "$x",
            "a.b"
        ])
        .prop_map(String::from),
        ".{0,4}",
    ];
    leaf.prop_recursive(5, 64, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(name.clone(), inner, 0..4)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever is sent: a fault that points at something there is, or SQL in which only the
    /// column, constants and as many parameters as there are values appear.
    #[test]
    fn nothing_of_the_user_reaches_the_text(filter in any_json()) {
        match compile(&filter, "m", 1) {
            Err(fault) => {
                prop_assert!(filter.pointer(&fault.pointer).is_some(), "{}", fault.pointer);
            }
            Ok(compiled) => {
                let depth = compiled.sql.chars().fold(0_i64, |d, c| match c {
                    '(' => d + 1,
                    ')' => d - 1,
                    _ => d,
                });
                prop_assert_eq!(depth, 0);
                let mut rest = compiled.sql.clone();
                for n in (1..=compiled.params.len()).rev() {
                    let mark = format!("${n}::");
                    // Twice where a text is longer than what its index holds.
                    prop_assert!(matches!(rest.matches(&mark).count(), 1 | 2));
                    rest = rest.replace(&mark, "");
                }
                rest = rest.replace(&format!(", {}", lake_filter::PREFIX), "");
                for word in [
                    "\"left\"(", "ROW(", ", ", "pg_catalog.", "OPERATOR(", "jsonb_typeof(", "jsonb", "text", "'number'", "'string'",
                    "IS NOT TRUE", "IS NOT NULL", "IS NULL", "COLLATE \"C\"", "::", " AND ", " OR ",
                    "true", "false", "m", "@>", "->>", "->", ">=", "<=", ">", "<", "=",
                ] {
                    rest = rest.replace(word, "");
                }
                prop_assert!(rest.chars().all(|c| matches!(c, '(' | ')' | ' ')), "{rest}");
            }
        }
    }
}
