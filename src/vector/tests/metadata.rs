//! Keys of the metadata: how often they are asked for, what is suggested, long and hostile texts under an
//! index.

#[cfg(any(test, feature = "pg_test"))]
#[pgrx::pg_schema]
mod tests {
    use crate::vector::tests::{fault, run, value, value_with};
    use pgrx::prelude::*;
    use serde_json::{Value, json};

    fn create() {
        run("CREATE EXTENSION vector; SELECT lake.vector_create('docs', 1, 'l2')");
    }

    /// Usage, calls and whether it is served, of a key.
    fn used(key: &str) -> Vec<String> {
        value_with(
            "SELECT COALESCE(array_agg(concat_ws(' ', usage, uses, served) ORDER BY usage), '{}') \
             FROM lake.vector_filter_keys WHERE store = 'docs'::regclass AND key = $1",
            &[key.into()],
        )
    }

    #[pg_test]
    fn vector_filters_are_counted() {
        create();
        run("SELECT lake.vector_upsert('docs', 'a', '{1}', '{\"year\": 2024, \"lang\": \"en\"}')");
        run("SET transaction_read_only = on");
        for _ in 0..3 {
            run(
                "SELECT lake.vector_search('docs', '{1}', filter => '{\"year\": {\"$gte\": 2000, \"$lt\": 2025}}')",
            );
        }
        run(
            "SELECT lake.vector_count('docs', '{\"year\": {\"$gt\": \"2000\"}, \"lang\": \"en\", \"a\\\\.b\": {\"$exists\": true}}')",
        );
        run("SELECT lake.vector_search('docs', '{1}')");
        assert_eq!(used("year"), ["number 3 f", "text 1 f"]);
        assert_eq!(used("lang"), ["equal 1 t"]);
        assert_eq!(used("a\\.b"), ["exists 1 f"]);
        // What names no field of the filter language isn't counted, nor is a name that is too long.
        let long = "k".repeat(129);
        run(&format!("SELECT lake.vector_count('docs', '{{\"{long}\": 1}}')"));
        assert!(used(&long).is_empty());
    }

    #[pg_test]
    fn vector_filter_counts_are_the_owners() {
        create();
        run("SELECT lake.vector_count('docs', '{\"secret\": 1}');
             CREATE ROLE lake_test_reader; GRANT ALL ON docs TO lake_test_reader; SET ROLE lake_test_reader");
        assert!(used("secret").is_empty());
        run("SELECT lake.vector_count('docs', '{\"secret\": 1}'); RESET ROLE");
        assert_eq!(used("secret"), ["equal 2 t"]);
    }

    #[pg_test]
    fn vector_measurements_are_not_counted() {
        create();
        run("INSERT INTO docs (id, embedding, metadata) SELECT n, array[n]::real[]::vector, '{\"a\": 1}' FROM generate_series(1, 50) n;
             CREATE INDEX ON docs USING hnsw (embedding vector_l2_ops);
             SELECT lake.vector_measure_recall('docs', 2, 10, '{\"a\": 1}')");
        assert!(used("a").is_empty());
    }

    /// What health says of keys, as remedies.
    fn remedies() -> Vec<String> {
        value(
            "SELECT COALESCE(array_agg(remedy ORDER BY remedy), '{}') FROM lake.health() \
             WHERE finding LIKE 'filters have%'",
        )
    }

    #[pg_test]
    fn vector_health_suggests_indexes_for_keys_that_are_often_filtered_by() {
        create();
        run(
            "INSERT INTO docs (id, embedding, metadata) SELECT n, '[1]', jsonb_build_object('it''s', n, 'day', 'd' || n) \
                 FROM generate_series(1, 20000) n; ANALYZE docs",
        );
        let filter = json!({"it's": {"$gte": 19_999}, "day": {"$lt": "d1"}, "lang": "en"});
        for _ in 0..100 {
            // Whatever is asked for, the filter counts.
            Spi::run_with_args(
                "SELECT lake.vector_get('docs', '{1}', $1)",
                &[pgrx::JsonB(filter.clone()).into()],
            )
            .unwrap();
        }
        let wanted = [
            "SELECT lake.vector_index_metadata('public.docs', 'day', 'text');",
            "SELECT lake.vector_index_metadata('public.docs', 'it''s', 'number');",
        ];
        assert_eq!(remedies(), wanted);
        run(wanted[1]);
        assert_eq!(remedies(), wanted[..1]);
        run(wanted[0]);
        assert!(remedies().is_empty());
        assert_eq!(used("it's"), ["number 100 t"]);
        // Without the index that the library makes, equality is slow too.
        let gin: String = value(
            "SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
             JOIN pg_am a ON a.oid = c.relam WHERE i.indrelid = 'docs'::regclass AND a.amname = 'gin'",
        );
        run(&format!("DROP INDEX {gin}"));
        let gin = "CREATE INDEX CONCURRENTLY ON public.docs USING gin (metadata jsonb_path_ops);";
        assert_eq!(remedies(), [gin]);
        run(&gin.replace("CONCURRENTLY ", ""));
        assert!(remedies().is_empty());
    }

    #[pg_test]
    fn vector_searches_use_the_index_of_a_key() {
        create();
        run(
            "INSERT INTO docs (id, embedding, metadata) SELECT n, array[n]::real[]::vector, jsonb_build_object('n', n) \
                 FROM generate_series(1, 30000) n; CREATE INDEX ON docs USING hnsw (embedding vector_l2_ops)",
        );
        let index: String = value("SELECT lake.vector_index_metadata('docs', 'n')::text");
        let scans =
            || value::<i64>(&format!("SELECT pg_stat_get_xact_numscans('{index}'::regclass)"));
        let before = scans();
        let search = "lake.vector_search('docs', '{1}', filter => '{\"n\": {\"$gt\": 29900}}')";
        assert_eq!(value::<String>(&format!("SELECT min(id) FROM {search}")), "29901");
        assert!(scans() > before, "no scan of {index}");
    }

    /// Whom a filter finds, by the functions.
    fn found(filter: &Value) -> Vec<String> {
        value_with(
            "SELECT COALESCE(array_agg(id ORDER BY id COLLATE \"C\"), '{}') \
             FROM lake.vector_get('docs', filter => $1)",
            &[pgrx::JsonB(filter.clone()).into()],
        )
    }

    #[pg_test]
    fn vector_texts_of_any_length_are_compared_alike_with_and_without_an_index() {
        create();
        let texts: Vec<String> = [0, 1, 499, 500, 501, 700, 50_000]
            .into_iter()
            .flat_map(|n| ["", "a", "b", "\u{1f40d}"].map(|end| format!("{}{end}", "é".repeat(n))))
            .chain(
                [
                    "'; DROP TABLE docs; --",
                    "\\",
                    "\"",
                    "$1",
                    "%s",
                    "\u{1}",
                    "null",
                    "1",
                    "\u{202e}x",
                    "\u{fffd}",
                ]
                .map(str::to_owned),
            )
            .collect();
        for (n, text) in texts.iter().enumerate() {
            Spi::run_with_args(
                "SELECT lake.vector_upsert('docs', $1, '{1}', $2)",
                &[format!("{n:03}").into(), pgrx::JsonB(json!({ "t": text })).into()],
            )
            .unwrap();
        }
        let index: String = value("SELECT lake.vector_index_metadata('docs', 't')::text");
        // What doesn't compress either; it was an error of the insert once.
        let noise: String =
            value("SELECT string_agg(md5(n::text), '') FROM generate_series(1, 1000) n");
        Spi::run_with_args(
            "SELECT lake.vector_upsert('docs', 'noise', '{1}', $1)",
            &[pgrx::JsonB(json!({ "t": noise })).into()],
        )
        .unwrap();
        run("ANALYZE docs");
        for bound in texts.iter().chain([&noise]) {
            for operator in ["$gt", "$gte", "$lt", "$lte"] {
                let filter = json!({ "t": { operator: bound } });
                let wanted: Vec<String> = texts
                    .iter()
                    .enumerate()
                    .map(|(n, text)| (format!("{n:03}"), text))
                    .chain([("noise".to_owned(), &noise)])
                    .filter(|(_, text)| {
                        lake_filter::reference::matches(&filter, &json!({ "t": text }))
                    })
                    .map(|(id, _)| id)
                    .collect();
                for seqscan in ["on", "off"] {
                    run(&format!("SET enable_seqscan = {seqscan}"));
                    assert_eq!(found(&filter), wanted, "{operator} {} bytes", bound.len());
                }
                let compiled = crate::filter::compile(&filter, "t.metadata", 1).unwrap();
                let args: Vec<_> = crate::filter::bind(&compiled.params).collect();
                let plan: pgrx::Json = value_with(
                    &format!("EXPLAIN (FORMAT JSON) SELECT FROM docs t WHERE {}", compiled.sql),
                    &args,
                );
                assert!(plan.0.to_string().contains(&index), "{}", plan.0);
            }
        }
    }

    #[pg_test]
    fn vector_what_an_index_of_the_users_cannot_hold_is_a_reject() {
        create();
        run("CREATE INDEX ON docs (content)");
        let noise = "(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 1000) n)";
        let call = |on_error: &str| {
            format!(
                "SELECT concat_ws(' ', inserted, rejected) FROM lake.vector_upsert_many('docs', \
                     jsonb_build_array(jsonb_build_object('id', 'a', 'embedding', '[1]'::jsonb, 'content', 'x'), \
                         jsonb_build_object('id', 'b', 'embedding', '[1]'::jsonb, 'content', {noise}), \
                         jsonb_build_object('id', 'c', 'embedding', '[1]'::jsonb)), on_error => '{on_error}')"
            )
        };
        assert_eq!(fault(&call("raise")).0, "54000");
        assert_eq!(value::<String>(&call("reject")), "2 1");
        assert_eq!(
            value::<String>(
                "SELECT ordinal || ' ' || code FROM lake.rejects WHERE store = 'docs'::regclass"
            ),
            "2 54000"
        );
    }
    #[pg_test]
    fn vector_filters_nested_ten_thousand_levels_are_refused() {
        create();
        run("SELECT lake.vector_upsert('docs', 'a', '{1}', '{\"a\": 1}')");
        const LEVELS: usize = 10_000;
        let nested = |open: &str, inner: &str, close: &str| {
            format!("{}{inner}{}", open.repeat(LEVELS), close.repeat(LEVELS))
        };
        let filters = [
            nested(r#"{"$and": ["#, r#"{"a": 1}"#, "]}"),
            nested(r#"{"$or": ["#, r#"{"a": 1}"#, "]}"),
            nested(r#"{"$not": "#, r#"{"a": 1}"#, "}"),
            format!(r#"{{"a": {}}}"#, nested(r#"{"$not": "#, r#"{"$gt": 1}"#, "}")),
            format!(r#"{{"a": {}}}"#, nested(r#"{"b": "#, "1", "}")),
            format!(r#"{{"a": {}}}"#, nested("[", "", "]")),
            format!(r#"{{"a": {{"$contains": {}}}}}"#, nested("[", "", "]")),
            format!(r#"{{"{}": 1}}"#, vec!["a"; LEVELS].join(".")),
        ];
        for filter in &filters {
            for call in [
                format!("lake.vector_search('docs', '{{1}}', filter => '{filter}')"),
                format!("lake.vector_count('docs', '{filter}')"),
                format!("lake.vector_facet('docs', 'a', '{filter}')"),
                format!("lake.vector_scroll('docs', filter => '{filter}')"),
                format!("lake.vector_delete('docs', filter => '{filter}')"),
            ] {
                let (code, message) = fault(&format!("SELECT {call}"));
                // jsonb itself may be the first to refuse it: "stack depth limit exceeded".
                assert!(["22023", "54001"].contains(&code.as_str()), "{code} {message}");
                assert!(message.len() < 200_000, "{code}: {} bytes", message.len());
                assert!(
                    ["filter", "stack depth"].iter().any(|word| message.contains(word)),
                    "{message}"
                );
            }
        }
        assert_eq!(value::<i64>("SELECT lake.vector_count('docs')"), 1);
    }

    #[pg_test]
    fn vector_metadata_of_any_depth_is_kept_and_passed_by() {
        create();
        let deep = format!("{}1{}", "[".repeat(3_000), "]".repeat(3_000));
        run(&format!(
            "SELECT lake.vector_upsert('docs', 'deep', '{{1}}', '{{\"a\": {deep}, \"n\": 7}}')"
        ));
        assert_eq!(found(&json!({"n": {"$gt": 6}})), ["deep"]);
        assert_eq!(found(&json!({"a": {"$gt": 6}})), Vec::<String>::new());
        assert_eq!(found(&json!({"a": {"$exists": true}})), ["deep"]);
        assert_eq!(
            value::<String>("SELECT (metadata->'a')::text FROM lake.vector_get('docs', '{deep}')")
                .replace(' ', ""),
            deep
        );
        assert_eq!(value::<i64>("SELECT count(*) FROM lake.vector_facet('docs', 'a')"), 1);
    }
}
