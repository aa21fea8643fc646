//! The filter language in the executor, against the evaluator that reads the filter itself.

#[cfg(any(test, feature = "pg_test"))]
#[pgrx::pg_schema]
mod tests {
    use crate::vector::tests::{Random, run, value, value_with};
    use pgrx::prelude::*;
    use serde_json::{Map, Value, json};

    fn pick<T: Clone>(random: &mut Random, of: &[T]) -> T {
        of[random.below(of.len() as u64) as usize].clone()
    }

    fn scalar(random: &mut Random) -> Value {
        pick(
            random,
            &[
                json!(null),
                json!(true),
                json!(0),
                json!(1),
                json!(1.0),
                json!(1.5),
                json!(-2),
                json!("a"),
                json!("ä"),
                json!("B"),
                json!("1"),
                json!(""),
            ],
        )
    }

    fn any_value(random: &mut Random, depth: u64) -> Value {
        match random.below(if depth == 0 { 3 } else { 5 }) {
            0..=2 => scalar(random),
            3 => (0..random.below(3)).map(|_| any_value(random, depth - 1)).collect(),
            _ => document(random, depth - 1),
        }
    }

    fn document(random: &mut Random, depth: u64) -> Value {
        let mut members = Map::new();
        for _ in 0..random.below(4) {
            members.insert(pick(random, &["a", "b", "c.d"]).into(), any_value(random, depth));
        }
        Value::Object(members)
    }

    fn filter(random: &mut Random, depth: u64) -> Value {
        if depth > 0 && random.below(3) == 0 {
            let list: Vec<Value> =
                (0..=random.below(2)).map(|_| filter(random, depth - 1)).collect();
            return match random.below(3) {
                0 => json!({ "$and": list }),
                1 => json!({ "$or": list }),
                _ => json!({ "$not": list[0] }),
            };
        }
        let name = pick(random, &["a", "b", "c\\.d", "a.b", "a.c\\.d"]);
        let operator = pick(
            random,
            &["$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$contains"],
        );
        let operand = match operator {
            "$eq" | "$ne" | "$contains" => any_value(random, 2),
            "$in" | "$nin" => (0..random.below(3)).map(|_| any_value(random, 1)).collect(),
            "$exists" => json!(random.below(2) == 0),
            _ => pick(random, &[json!(0), json!(1), json!(1.5), json!("a"), json!("B"), json!("")]),
        };
        json!({ name: { operator: operand } })
    }

    #[pg_test]
    fn vector_filters_mean_what_they_say() {
        run("CREATE TABLE d (n int, doc jsonb); CREATE INDEX ON d USING gin (doc jsonb_path_ops)");
        // As lake.vector_index_metadata makes them.
        for key in ["a", "b", "c.d", "a.b"] {
            run(&format!(
                "CREATE INDEX ON d ((doc -> '{key}')) WHERE jsonb_typeof(doc -> '{key}') = 'number';
                 CREATE INDEX ON d ((doc ->> '{key}') COLLATE \"C\") WHERE jsonb_typeof(doc -> '{key}') = 'string'"
            ));
        }
        let mut random = Random(7);
        let docs: Vec<Value> = (0..300).map(|_| document(&mut random, 2)).collect();
        for (n, doc) in docs.iter().enumerate() {
            Spi::run_with_args(
                "INSERT INTO d VALUES ($1, $2)",
                &[(n as i32).into(), pgrx::JsonB(doc.clone()).into()],
            )
            .unwrap();
        }
        run("INSERT INTO d VALUES (300, NULL); ANALYZE d; SET jit = off");
        let mut mixed = 0;
        for round in 0..500 {
            let filter = filter(&mut random, 3);
            let compiled = crate::filter::compile(&filter, "t.doc", 1).unwrap();
            let args: Vec<_> = crate::filter::bind(&compiled.params).collect();
            // both by the index and without it
            run(if round % 2 == 0 {
                "SET enable_seqscan = off"
            } else {
                "SET enable_seqscan = on"
            });
            let sql = format!(
                "SELECT COALESCE(array_agg(n ORDER BY n), '{{}}') FROM d t WHERE {}",
                compiled.sql
            );
            let found: Vec<i32> = value_with(&sql, &args);
            let mut wanted: Vec<i32> = (0..300)
                .filter(|n| lake_filter::reference::matches(&filter, &docs[*n as usize]))
                .collect();
            if lake_filter::reference::matches(&filter, &json!({})) {
                wanted.push(300);
            }
            assert_eq!(found, wanted, "{filter}");
            mixed += usize::from(!found.is_empty() && found.len() < 301);
        }
        assert!(mixed > 200, "only {mixed} filters told documents apart");
    }

    #[pg_test]
    fn vector_filters_use_the_gin_index() {
        run("CREATE TABLE d (doc jsonb); CREATE INDEX d_doc ON d USING gin (doc jsonb_path_ops);
             INSERT INTO d SELECT jsonb_build_object('a', n) FROM generate_series(1, 5000) n; ANALYZE d; SET enable_seqscan = off");
        for filter in
            [json!({"a": 5}), json!({"a": {"$in": [5, 6]}}), json!({"a": 5, "b": {"$gt": 1}})]
        {
            let compiled = crate::filter::compile(&filter, "t.doc", 1).unwrap();
            let args: Vec<_> = crate::filter::bind(&compiled.params).collect();
            let plan: pgrx::Json = value_with(
                &format!("EXPLAIN (FORMAT JSON) SELECT FROM d t WHERE {}", compiled.sql),
                &args,
            );
            assert!(plan.0.to_string().contains("d_doc"), "{}", plan.0);
        }
    }

    #[pg_test]
    fn vector_index_metadata_serves_comparisons() {
        run("CREATE EXTENSION vector; SELECT lake.vector_create('docs', 1);
             CREATE TABLE plain (id int PRIMARY KEY, embedding vector(1), metadata json); SELECT lake.vector_adopt('plain')");
        for store in ["docs", "plain"] {
            run(&format!(
                "INSERT INTO {store} (id, embedding, metadata) SELECT n, '[1]', jsonb_build_object( \
                     'n', n, 'day', date '2000-01-01' + n, 'a', jsonb_build_object('it''s', n), \
                     'mixed', CASE WHEN n % 2 = 0 THEN to_jsonb(n) ELSE to_jsonb(n::text) END, 'list', '[]'::jsonb) \
                 FROM generate_series(1, 3000) n"
            ));
            for (key, kind, bound) in [
                ("n", "auto", json!(2990)),
                ("day", "auto", json!("2008-03-01")),
                ("a.it's", "auto", json!(2990)),
                ("mixed", "number", json!(2990)),
            ] {
                let quoted = key.replace('\'', "''");
                let call = format!(
                    "SELECT lake.vector_index_metadata('{store}', '{quoted}', '{kind}')::text"
                );
                let index: String = value(&call);
                assert_eq!(value::<String>(&call), index, "made once");
                let column =
                    if store == "docs" { "t.metadata" } else { "(t.metadata::pg_catalog.jsonb)" };
                let compiled =
                    crate::filter::compile(&json!({ key: {"$gt": bound} }), column, 1).unwrap();
                let args: Vec<_> = crate::filter::bind(&compiled.params).collect();
                let plan: pgrx::Json = value_with(
                    &format!("EXPLAIN (FORMAT JSON) SELECT FROM {store} t WHERE {}", compiled.sql),
                    &args,
                );
                assert!(plan.0.to_string().contains(&index), "{key}: {}", plan.0);
            }
            // Odd data under an indexed key is no fault.
            run(&format!(
                "INSERT INTO {store} (id, embedding, metadata) SELECT 5000, '[1]', \
                     jsonb_build_object('n', (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 1000) n), 'day', 7)"
            ));
            for (args, code) in [
                ("'mixed'", "22023"),
                ("'nothing'", "22023"),
                ("'list'", "22023"),
                ("NULL", "22004"),
                ("'n', 'boolean'", "22023"),
                ("'n', NULL", "22004"),
                ("'a..b'", "22023"),
            ] {
                let call = format!("SELECT lake.vector_index_metadata('{store}', {args})");
                assert_eq!(crate::vector::tests::fault(&call).0, code, "{args}");
            }
        }
        run(
            "CREATE ROLE lake_test_reader; GRANT ALL ON docs TO lake_test_reader; SET ROLE lake_test_reader",
        );
        assert_eq!(
            crate::vector::tests::fault("SELECT lake.vector_index_metadata('docs', 'n')").0,
            "42501"
        );
    }
}
