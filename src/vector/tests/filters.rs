//! The filter language in the executor, against the evaluator that reads the filter itself.

#[cfg(any(test, feature = "pg_test"))]
#[pgrx::pg_schema]
mod tests {
    use crate::vector::tests::{Random, run, value_with};
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
}
