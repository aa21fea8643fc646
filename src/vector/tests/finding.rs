//! Many queries, diversity, groups, recommendation, hybrid search; quantised indexes; what a session
//! remembers; measured costs.

#[cfg(any(test, feature = "pg_test"))]
#[pgrx::pg_schema]
mod tests {
    use crate::vector::tests::{Random, fault, run, value};
    use pgrx::prelude::*;

    const DIMENSIONS: usize = 16;

    /// `rows` random rows `r0000…`, with `n` and `group` (n mod 7) in the metadata.
    fn random_rows(rows: usize, create: &str) {
        run("CREATE EXTENSION vector");
        run(create);
        let mut random = Random(7);
        for n in 0..rows {
            let vector: Vec<f32> = (0..DIMENSIONS).map(|_| random.unit()).collect();
            run(&format!(
                "SELECT lake.vector_upsert('docs', 'r{n:04}', ARRAY{vector:?}::real[], \
                 '{{\"n\": {n}, \"group\": {}}}', 'word{} common')",
                n % 7,
                n % 10
            ));
        }
    }

    fn create() -> String {
        format!("SELECT lake.vector_create('docs', {DIMENSIONS})")
    }

    /// A literal near one axis.
    fn axis(n: usize) -> String {
        let values: Vec<f32> = (0..DIMENSIONS).map(|i| if i == n { 1.0 } else { 0.01 }).collect();
        format!("ARRAY{values:?}::real[]")
    }

    fn ids(from: &str) -> Vec<String> {
        value(&format!("SELECT COALESCE(array_agg(id), '{{}}') FROM {from}"))
    }

    fn path() -> String {
        value(&format!(
            "SELECT path || COALESCE(' ' || index, '') FROM lake.vector_explain('docs', {}, mode => 'approximate')",
            axis(0)
        ))
    }

    #[pg_test]
    fn vector_quantised_indexes_are_found_and_ranked_again() {
        random_rows(400, &create());
        let search = |mode: &str| {
            value::<Vec<f64>>(&format!(
                "SELECT array_agg(distance) FROM lake.vector_search('docs', {}, 20, mode => '{mode}')",
                axis(2)
            ))
        };
        let exact = search("exact");
        for (definition, least) in [
            ("hnsw ((embedding::halfvec(16)) halfvec_cosine_ops)", 20),
            ("hnsw ((binary_quantize(embedding)::bit(16)) bit_hamming_ops)", 20),
            ("ivfflat ((embedding::halfvec(16)) halfvec_cosine_ops) WITH (lists = 1)", 20),
        ] {
            run(&format!("CREATE INDEX quant ON docs USING {definition}"));
            assert_eq!(path(), "approximate public.quant", "{definition}");
            let found = search("approximate");
            assert!(found.is_sorted());
            let same =
                found.iter().filter(|d| exact.iter().any(|e| (*d - e).abs() < 1e-12)).count();
            assert!(same >= least, "{definition}: {same} of 20");
            run("DROP INDEX quant");
            assert_eq!(path(), "exact");
        }
        // a query that half-precision floats can't hold
        run("CREATE INDEX quant ON docs USING hnsw ((embedding::halfvec(16)) halfvec_cosine_ops)");
        let huge =
            "lake.vector_search('docs', array_fill(1e9::real, ARRAY[16]), mode => 'approximate')";
        assert_eq!(ids(huge).len(), 10);
        run("DROP INDEX quant");
        // not these: another length, another metric, part of the rows
        for definition in [
            "hnsw ((embedding::halfvec(16)) halfvec_l2_ops)",
            "hnsw ((subvector(embedding, 1, 8)::vector(8)) vector_cosine_ops)",
            "hnsw (embedding vector_cosine_ops) WHERE id > 'r0100'",
            "hnsw ((binary_quantize(embedding)::bit(16)) bit_jaccard_ops)",
        ] {
            run(&format!("CREATE INDEX quant ON docs USING {definition}"));
            assert_eq!(path(), "exact", "{definition}");
            run("DROP INDEX quant");
        }
    }

    #[pg_test]
    fn vector_other_access_methods_are_known_by_name() {
        random_rows(200, &create());
        // pgvector's own under another name stands in for an extension that isn't here
        run("CREATE ACCESS METHOD vchordrq TYPE INDEX HANDLER hnswhandler;
             CREATE OPERATOR CLASS vector_cosine_ops FOR TYPE vector USING vchordrq AS
                 OPERATOR 1 <=> (vector, vector) FOR ORDER BY float_ops,
                 FUNCTION 1 vector_negative_inner_product(vector, vector), FUNCTION 2 vector_norm(vector);
             CREATE INDEX other ON docs USING vchordrq (embedding vector_cosine_ops)");
        assert_eq!(path(), "approximate public.other");
        let from = |mode| format!("lake.vector_search('docs', {}, mode => '{mode}')", axis(1));
        assert_eq!(ids(&from("approximate")), ids(&from("exact")));
        run("CREATE INDEX plain ON docs USING hnsw (embedding vector_cosine_ops)");
        assert_eq!(path(), "approximate public.plain");
    }

    #[pg_test]
    fn vector_sessions_forget_what_has_changed() {
        random_rows(50, &create());
        let found = || ids(&format!("lake.vector_search('docs', {}, 3)", axis(3)));
        let first = found();
        run("CREATE INDEX i ON docs USING hnsw (embedding vector_cosine_ops)");
        assert_eq!(path(), "approximate public.i");
        run("ALTER INDEX i RENAME TO j");
        assert_eq!(path(), "approximate public.j");
        run("DROP INDEX j");
        assert_eq!(path(), "exact");
        run("CREATE SCHEMA s; ALTER TABLE docs SET SCHEMA s; ALTER TABLE s.docs RENAME TO other");
        let moved = ids(&format!("lake.vector_search('s.other', {}, 3)", axis(3)));
        assert_eq!(moved, first);
        run("ALTER SCHEMA s RENAME TO \"S 2\"");
        let moved = ids(&format!("lake.vector_search('\"S 2\".other', {}, 3)", axis(3)));
        assert_eq!(moved, first);
        run("ALTER TABLE \"S 2\".other SET SCHEMA public; ALTER TABLE other RENAME TO docs");
        run("CREATE SCHEMA x; ALTER EXTENSION vector SET SCHEMA x; SET search_path = public, x");
        assert_eq!(found(), first);
        run("ALTER TABLE docs RENAME COLUMN content TO body");
        assert_eq!(fault(&format!("SELECT lake.vector_search('docs', {})", axis(3))).0, "42703");
        run("ALTER TABLE docs RENAME COLUMN body TO content");
        assert_eq!(found(), first);
        run("SELECT lake.drop_store('docs', keep_table => true)");
        assert_eq!(fault(&format!("SELECT lake.vector_search('docs', {})", axis(3))).0, "42809");
        run("SELECT lake.vector_adopt('docs', metric => 'l2')");
        let l2: f64 =
            value(&format!("SELECT distance FROM lake.vector_search('docs', {}, 1)", axis(3)));
        assert!(l2 > 0.0 && found().len() == 3);
        run("ALTER TABLE docs ADD COLUMN extra int; ALTER TABLE docs DROP COLUMN extra");
        assert_eq!(found().len(), 3);
    }

    #[pg_test]
    fn vector_costs_are_measured_and_used() {
        random_rows(300, &create());
        run("CREATE INDEX ON docs USING hnsw (embedding vector_cosine_ops); ANALYZE docs");
        let explain = |what: &str| {
            value::<String>(&format!("SELECT {what} FROM lake.vector_explain('docs', {})", axis(0)))
        };
        assert!(explain("reason").ends_with("; not measured yet"));
        assert_eq!(explain("path"), "exact");
        run("SELECT * FROM lake.vector_calibrate('docs')");
        assert!(!explain("reason").ends_with("; not measured yet"));
        assert!(value::<bool>(
            "SELECT exact_row_us > 0 AND visit_us > 0 AND rows = 300 FROM _lake.vector_cost"
        ));
        // a table of which each row is dear, as if it were a hundred times as wide
        run("UPDATE _lake.vector_cost SET exact_row_us = 1000, visit_us = 1;
             SELECT lake.vector_calibrate('docs') WHERE false");
        run("ALTER TABLE docs SET (fillfactor = 90)");
        assert_eq!(explain("path"), "approximate");
        run(
            "CREATE ROLE lake_test_other; GRANT SELECT ON docs TO lake_test_other; SET ROLE lake_test_other",
        );
        assert_eq!(fault("SELECT lake.vector_calibrate('docs')").0, "42501");
        assert_eq!(explain("path"), "approximate");
        run("RESET ROLE; DROP TABLE docs");
        assert_eq!(value::<i64>("SELECT count(*) FROM _lake.vector_cost"), 0);
    }

    #[pg_test]
    fn vector_many_queries_are_answered_as_one_by_one() {
        random_rows(100, &create());
        for (index, filter) in ["{}", r#"{"group": 3}"#].iter().enumerate() {
            let many = ids(&format!(
                "lake.vector_search_many('docs', ARRAY[{}, {}], 5, '{filter}')",
                axis(4),
                axis(5)
            ));
            let single =
                |n| ids(&format!("lake.vector_search('docs', {}, 5, '{filter}')", axis(n)));
            assert_eq!(many, [single(4), single(5)].concat(), "{index}");
        }
        assert_eq!(
            value::<Vec<i64>>(&format!(
                "SELECT array_agg(ordinal) FROM lake.vector_search_many('docs', {} || {}, 2)",
                axis(0),
                axis(1)
            )),
            [1, 1, 2, 2]
        );
        let bytes = "decode(repeat('0000803f', 16), 'hex')";
        assert_eq!(ids(&format!("lake.vector_search_many('docs', {bytes}, 4)")).len(), 4);
        for (queries, code) in [
            ("NULL::real[]", "22004"),
            ("'{1,2,3}'::real[]", "2202E"),
            ("'{{1,2},{3,4}}'::real[]", "22000"),
            ("array_fill(NULL::real, ARRAY[16])", "22004"),
            ("array_fill('NaN'::real, ARRAY[16])", "22003"),
            ("array_fill(0::real, ARRAY[2, 16])", "22000"),
            ("array_fill(1::real, ARRAY[1, 2, 16])", "2202E"),
            ("array_fill(1::real, ARRAY[200, 16]), 10000", "54000"),
            ("'\\x00'::bytea", "22023"),
            ("'\\x00000000'::bytea", "2202E"),
        ] {
            let sql = format!("SELECT lake.vector_search_many('docs', {queries})");
            assert_eq!(fault(&sql).0, code, "{queries}");
        }
        assert_eq!(ids("lake.vector_search_many('docs', '{}'::real[])").len(), 0);
    }

    #[pg_test]
    fn vector_results_can_be_diverse_or_grouped() {
        random_rows(300, &create());
        let search =
            |more: &str| ids(&format!("lake.vector_search('docs', {}, 10{more})", axis(6)));
        let plain = search("");
        assert_eq!(search(", diversity => 0"), plain);
        let diverse = search(", diversity => 0.8");
        assert_eq!((diverse.len(), &diverse[0]), (10, &plain[0]));
        assert_ne!(diverse, plain);
        assert!(value::<bool>(&format!(
            "SELECT bool_and(embedding IS NULL) FROM lake.vector_search('docs', {}, diversity => 1)",
            axis(6)
        )));
        for size in 1..=3 {
            let most: i64 = value(&format!(
                "SELECT max(c) FROM (SELECT count(*) c FROM lake.vector_search('docs', {}, 20, \
                 group_by => 'group', group_size => {size}) GROUP BY metadata -> 'group') s",
                axis(6)
            ));
            let rows = ids(&format!(
                "lake.vector_search('docs', {}, 20, group_by => 'group', group_size => {size})",
                axis(6)
            ));
            assert_eq!((most, rows.len()), (size, 20.min(7 * size as usize)));
            assert_eq!(rows[0], plain[0]);
        }
        // the groups beyond the first candidates are found too
        run("UPDATE docs SET metadata = '{\"a\": {\"b.c\": \"same\"}}' WHERE id <> 'r0000'");
        let rows = search(r", group_by => 'a.b\.c'");
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0] == plain[0], rows.contains(&"r0000".into())), (true, true));
        for (more, code) in [
            ("diversity => 1.5", "22023"),
            ("diversity => 'NaN'", "22023"),
            ("diversity => 0.5, group_by => 'x'", "22023"),
            ("group_by => ''", "22023"),
            ("group_by => 'a..b'", "22023"),
            ("group_by => 'x', group_size => 0", "22023"),
            ("group_by => 'x', group_size => NULL", "22004"),
            ("max_distance => 'NaN'", "22023"),
        ] {
            let sql = format!("SELECT lake.vector_search('docs', {}, {more})", axis(6));
            assert_eq!(fault(&sql).0, code, "{more}");
        }
        assert_eq!(search(", group_by => '''; DROP TABLE docs; --'").len(), 1);
    }

    #[pg_test]
    fn vector_recommendations_leave_the_examples_out() {
        random_rows(100, &create());
        let like = ids("lake.vector_recommend('docs', '{r0001,r0002}', k => 5)");
        assert_eq!(like.len(), 5);
        assert!(!like.contains(&"r0001".into()) && !like.contains(&"r0002".into()));
        let unlike = ids("lake.vector_recommend('docs', '{r0001}', '{r0002}', 99)");
        assert_eq!(unlike.len(), 98);
        let place = |rows: &[String], id: &String| rows.iter().position(|r| r == id).unwrap_or(99);
        let near_negative = ids(
            "lake.vector_search('docs', (SELECT embedding::real[] FROM docs WHERE id = 'r0002'), 3)",
        );
        assert!(place(&unlike, &near_negative[1]) > place(&like, &near_negative[1]).min(40));
        assert_eq!(
            ids("lake.vector_recommend('docs', '{r0001}', filter => '{\"group\": 2}', k => 50)")
                .len(),
            14
        );
        for (args, code) in [
            ("NULL", "22004"),
            ("'{}'", "22023"),
            ("'{nobody}'", "22023"),
            ("'{NULL}'", "22004"),
            ("'{r0001}', k => 0", "22023"),
        ] {
            assert_eq!(
                fault(&format!("SELECT lake.vector_recommend('docs', {args})")).0,
                code,
                "{args}"
            );
        }
    }

    #[pg_test]
    fn vector_hybrid_search_fuses_both_rankings() {
        random_rows(100, "SELECT lake.vector_create('docs', 16, text_config => 'english')");
        run("UPDATE docs SET content = 'The foxes were jumping' WHERE id = 'r0042'");
        let hybrid = |text: &str, more: &str| {
            ids(&format!("lake.vector_hybrid_search('docs', {}, '{text}'{more})", axis(7)))
        };
        let vectors = ids(&format!("lake.vector_search('docs', {})", axis(7)));
        assert!(hybrid("fox jump", "").contains(&"r0042".into()));
        assert_eq!(hybrid("fox", ", vector_weight => 0"), ["r0042"]);
        assert_eq!(hybrid("fox", ", text_weight => 0"), vectors);
        assert_eq!(hybrid("fox", ", text_weight => 100")[0], "r0042");
        let first: f64 = value(&format!(
            "SELECT score FROM lake.vector_hybrid_search('docs', {}, 'zebra', rrf_k => 9)",
            axis(7)
        ));
        assert!((first - 0.1).abs() < 1e-12);
        assert_eq!(hybrid("fox", ", vector_weight => 0, filter => '{\"n\": 41}'").len(), 0);
        // web syntax, never an error
        for text in ["", "\"", "a & | ! (", "''; DROP TABLE docs; --", "-fox", "the"] {
            assert_eq!(hybrid(&text.replace('\'', "''"), "").len(), 10, "{text}");
        }
        let plan: Vec<String> = Spi::connect(|client| {
            client.select("SET LOCAL enable_seqscan = off", None, &[]).unwrap();
            client
                .select(
                    "EXPLAIN SELECT FROM docs t WHERE to_tsvector('pg_catalog.english'::regconfig, \
                     COALESCE(t.content::text, ''::text)) @@ websearch_to_tsquery('pg_catalog.english', 'fox')",
                    None,
                    &[],
                )
                .unwrap()
                .map(|row| row.get::<String>(1).unwrap().unwrap())
                .collect()
        });
        assert!(plan.iter().any(|line| line.contains("docs_to_tsvector_idx")), "{plan:?}");
        for (args, code) in [
            ("NULL", "22004"),
            ("'x', vector_weight => -1", "22023"),
            ("'x', text_weight => 'Infinity'", "22023"),
            ("'x', vector_weight => 0, text_weight => 0", "22023"),
            ("'x', rrf_k => 0", "22023"),
            ("'x', k => 0", "22023"),
        ] {
            let sql = format!("SELECT lake.vector_hybrid_search('docs', {}, {args})", axis(7));
            assert_eq!(fault(&sql).0, code, "{args}");
        }
    }

    #[pg_test]
    fn vector_searches_work_where_nothing_may_be_written() {
        random_rows(100, &create());
        run("CREATE INDEX ON docs USING hnsw (embedding vector_cosine_ops)");
        run("SET transaction_read_only = on");
        for mode in ["auto", "exact", "approximate"] {
            let from = format!("lake.vector_search('docs', {}, mode => '{mode}')", axis(0));
            assert_eq!(ids(&from).len(), 10);
        }
        assert_eq!(fault_read_only("SELECT lake.vector_calibrate('docs')"), "25006");
    }

    /// The SQLSTATE of a statement in a transaction that may not create a function for it.
    fn fault_read_only(sql: &str) -> String {
        run(&format!(
            "DO $$ BEGIN {}; EXCEPTION WHEN OTHERS THEN PERFORM set_config('lake_test.code', SQLSTATE, true); END $$",
            sql.replacen("SELECT", "PERFORM", 1)
        ));
        value("SELECT current_setting('lake_test.code')")
    }

    #[pg_test]
    fn vector_hostile_filters_are_refused_or_harmless() {
        random_rows(20, &create());
        let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
        let nested = format!("{}{{}}{}", r#"{"$not": "#.repeat(5_000), "}".repeat(5_000));
        for filter in [format!(r#"{{"a": {deep}}}"#), nested] {
            let sql =
                format!("SELECT lake.vector_search('docs', {}, filter => '{filter}')", axis(0));
            assert_eq!(fault(&sql).0, "22023");
        }
        for key in ["''; DROP TABLE docs; --", "\\\"", "\\\\$x", "\u{1f40d}", " ", "t.id", "$1"] {
            let sql = format!(
                "SELECT count(*) FROM lake.vector_search('docs', {}, filter => '{{\"{key}\": 1}}')",
                axis(0)
            );
            if key == "$1" {
                assert_eq!(fault(&sql).0, "22023");
            } else {
                assert_eq!(value::<i64>(&sql), 0, "{key}");
            }
        }
        assert_eq!(value::<i64>("SELECT count(*) FROM docs"), 20);
    }
}
