//! Finding rows: paths, recall, number of rows, settings, row security.

#[cfg(any(test, feature = "pg_test"))]
#[pgrx::pg_schema]
mod tests {
    use crate::vector::tests::{Random, fault, run, value, value_with};
    use pgrx::prelude::*;
    use std::collections::HashSet;

    const DIMENSIONS: usize = 32;
    const ROWS: usize = 12_000;
    const FEW: usize = 3_000;

    /// Rows around 60 centres, with metadata of several selectivities, uncorrelated (`n`) and
    /// correlated with the position (`centre`).
    fn clustered(rows: usize) -> Random {
        run("CREATE EXTENSION vector");
        run(&format!("SELECT lake.vector_create('docs', {DIMENSIONS})"));
        let mut random = Random(42);
        let centres: Vec<Vec<f32>> =
            (0..60).map(|_| (0..DIMENSIONS).map(|_| random.unit()).collect()).collect();
        let mut bytes = Vec::with_capacity(rows * DIMENSIONS * 4);
        let mut metadatas = vec![];
        for n in 0..rows {
            let centre = random.below(60) as usize;
            for value in &centres[centre] {
                bytes.extend((value + 0.4 * random.unit()).to_le_bytes());
            }
            metadatas.push(pgrx::JsonB(serde_json::json!({
                "n": n, "percent": n % 100, "tenth": n % 10, "centre": centre
            })));
        }
        let ids: Vec<String> = (0..rows).map(|n| format!("{n:05}")).collect();
        let inserted: i64 = value_with(
            "SELECT inserted FROM lake.vector_upsert_many('docs', $1, $2, $3)",
            &[ids.into(), bytes.into(), metadatas.into()],
        );
        assert_eq!(inserted, rows as i64);
        run("CREATE INDEX ON docs USING hnsw (embedding vector_cosine_ops); ANALYZE docs");
        random
    }

    /// Near a row, as questions are.
    fn query(random: &mut Random) -> Vec<f32> {
        let row: Vec<f32> = value_with(
            "SELECT embedding::real[] FROM docs WHERE id = $1",
            &[format!("{:05}", random.below(FEW as u64)).into()],
        );
        row.iter().map(|value| value + 0.2 * random.unit()).collect()
    }

    fn search(query: &[f32], k: i32, filter: &str, mode: &str) -> Vec<String> {
        value_with(
            "SELECT COALESCE(array_agg(id), '{}') FROM lake.vector_search('docs', $1, $2, $3::jsonb, mode => $4)",
            &[query.to_vec().into(), k.into(), filter.into(), mode.into()],
        )
    }

    /// By hand, without an index.
    fn truth(query: &[f32], k: i32, condition: &str) -> Vec<String> {
        value_with(
            &format!(
                "SELECT COALESCE(array_agg(id), '{{}}') FROM (SELECT id FROM docs WHERE {condition} \
                 ORDER BY (embedding <=> $1::real[]::vector) + 0, id LIMIT $2) s"
            ),
            &[query.to_vec().into(), k.into()],
        )
    }

    fn path(filter: &str, k: i32) -> String {
        value_with(
            "SELECT path FROM lake.vector_explain('docs', $1, $2, $3::jsonb)",
            &[vec![1.0_f32; DIMENSIONS].into(), k.into(), filter.into()],
        )
    }

    #[pg_test]
    fn vector_recall_is_high_at_every_selectivity() {
        let mut random = clustered(ROWS);
        let mut paths = HashSet::new();
        for (filter, condition) in [
            ("{}", "true"),
            (r#"{"tenth": {"$ne": 3}}"#, "metadata->>'tenth' <> '3'"),
            (r#"{"tenth": {"$in": [1, 2, 3]}}"#, "(metadata->>'tenth')::int IN (1, 2, 3)"),
            (r#"{"n": {"$gte": 1200}}"#, "(metadata->>'n')::int >= 1200"),
            (r#"{"tenth": 7}"#, "metadata->>'tenth' = '7'"),
            (r#"{"percent": 7}"#, "metadata->>'percent' = '7'"),
            (r#"{"centre": 5}"#, "metadata->>'centre' = '5'"),
            (
                r#"{"$or": [{"centre": 5}, {"percent": {"$lt": 50}}]}"#,
                "metadata->>'centre' = '5' OR (metadata->>'percent')::int < 50",
            ),
            (r#"{"n": {"$lt": 3}}"#, "(metadata->>'n')::int < 3"),
            (r#"{"n": -1}"#, "false"),
        ] {
            let matching: i64 = value(&format!("SELECT count(*) FROM docs WHERE {condition}"));
            let (mut found, mut wanted) = (0, 0);
            for _ in 0..20 {
                let query = query(&mut random);
                let truth = truth(&query, 10, condition);
                let exact = search(&query, 10, filter, "exact");
                assert_eq!(exact, truth, "{filter}");
                let auto = search(&query, 10, filter, "auto");
                assert_eq!(auto.len() as i64, matching.min(10), "{filter}");
                let set: HashSet<&String> = truth.iter().collect();
                found += auto.iter().filter(|id| set.contains(id)).count();
                wanted += truth.len();
                let approximate = search(&query, 10, filter, "approximate");
                assert_eq!(approximate.len() as i64, matching.min(10), "{filter}");
            }
            paths.insert(path(filter, 10));
            assert!(found * 100 >= wanted * 95, "{filter}: {found} of {wanted}");
        }
        assert_eq!(paths.len(), 2, "both paths were taken");
    }

    #[pg_test]
    fn vector_search_returns_k_rows_where_there_are_k_whatever_k() {
        let mut random = clustered(FEW);
        let query = query(&mut random);
        run("SET lake_stores.exact_cutoff = 0");
        for k in [1, 39, 41, 500, 1_001, 2_999, 10_000] {
            for mode in ["auto", "approximate", "exact"] {
                let found = search(&query, k, "{}", mode);
                assert_eq!(found.len(), (k as usize).min(FEW), "{k} {mode}");
                assert_eq!(found.iter().collect::<HashSet<_>>().len(), found.len());
            }
        }
    }

    #[pg_test]
    fn vector_search_finds_all_after_most_rows_were_deleted() {
        let mut random = clustered(FEW);
        run("SET lake_stores.exact_cutoff = 0");
        let query = query(&mut random);
        run("DELETE FROM docs WHERE (metadata->>'n')::int >= 40");
        for mode in ["auto", "approximate"] {
            assert_eq!(search(&query, 100, "{}", mode).len(), 40, "{mode}");
        }
    }

    #[pg_test]
    fn vector_search_is_complete_under_row_security() {
        let mut random = clustered(FEW);
        run("CREATE ROLE lake_test_tenant; GRANT SELECT ON docs TO lake_test_tenant;
             ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
             CREATE POLICY own ON docs USING (metadata @> '{\"percent\": 7}')");
        let query = query(&mut random);
        run("SET ROLE lake_test_tenant");
        for mode in ["auto", "approximate", "exact"] {
            let found = search(&query, 10, "{}", mode);
            assert_eq!(found, truth(&query, 10, "true"), "{mode}");
            assert_eq!(found.len(), 10);
            assert!(found.iter().all(|id| id.ends_with("07")), "{found:?}");
        }
        assert_eq!(path("{}", 10), "exact");
        assert_eq!(value::<i64>("SELECT lake.vector_count('docs')"), 30);
    }

    #[pg_test]
    fn vector_search_leaves_settings_alone() {
        let mut random = clustered(FEW);
        run("SET hnsw.ef_search = 55; SET enable_seqscan = on; SET jit = off");
        let query = query(&mut random);
        search(&query, 10, "{}", "approximate");
        for (name, expected) in [
            ("hnsw.ef_search", "55"),
            ("hnsw.iterative_scan", "off"),
            ("enable_seqscan", "on"),
            ("enable_sort", "on"),
            ("enable_bitmapscan", "on"),
        ] {
            assert_eq!(value::<String>(&format!("SELECT current_setting('{name}')")), expected);
        }
        // also where the search fails
        run("CREATE FUNCTION boom(text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE 'boom'; END $$;
             CREATE ROLE lake_test_boom; GRANT SELECT ON docs TO lake_test_boom;
             ALTER TABLE docs ENABLE ROW LEVEL SECURITY; CREATE POLICY boom ON docs USING (boom(id))");
        run("SET ROLE lake_test_boom");
        let sql = format!(
            "SELECT lake.vector_search('docs', ARRAY{query:?}::real[], mode => 'approximate')"
        );
        assert_eq!(fault(&sql).1, "boom");
        assert_eq!(value::<String>("SELECT current_setting('enable_sort')"), "on");
        assert_eq!(value::<String>("SELECT current_setting('hnsw.ef_search')"), "55");
    }

    #[pg_test]
    fn vector_search_chooses_by_selectivity_and_the_cutoff_can_be_set() {
        clustered(ROWS);
        assert_eq!(path("{}", 10), "approximate");
        assert_eq!(path(r#"{"percent": 7}"#, 10), "exact");
        assert_eq!(path(r#"{"tenth": {"$ne": 3}}"#, 10), "approximate");
        run("SET lake_stores.exact_cutoff = 0");
        assert_eq!(path(r#"{"percent": 7}"#, 10), "approximate");
        run("SET lake_stores.exact_cutoff = 1000000");
        assert_eq!(path("{}", 10), "exact");
        let width = |arguments: &str| -> i32 {
            value_with(
                &format!(
                    "SELECT ef_search FROM lake.vector_explain('docs', $1, mode => 'approximate', {arguments})"
                ),
                &[vec![1.0_f32; DIMENSIONS].into()],
            )
        };
        assert_eq!(width("k => 300, ef_search => 20"), 300);
        assert_eq!(width("k => 10"), 200);
        // What was measured for the store counts, unless the session asks for more.
        run(
            "UPDATE _lake.store SET options = options || '{\"ef_search\": 25}'; ALTER TABLE docs SET (fillfactor = 90)",
        );
        assert_eq!(width("k => 10"), 25);
        run("SET hnsw.ef_search = 60");
        assert_eq!(width("k => 10"), 60);
        run("RESET hnsw.ef_search");
        run("DROP INDEX docs_embedding_idx");
        run("SET lake_stores.exact_cutoff = 0");
        assert_eq!(path("{}", 10), "exact");
    }

    #[pg_test]
    fn vector_search_works_with_ivfflat() {
        let mut random = clustered(FEW);
        run(
            "DROP INDEX docs_embedding_idx; CREATE INDEX ON docs USING ivfflat (embedding vector_cosine_ops) WITH (lists = 50)",
        );
        run("SET lake_stores.exact_cutoff = 0");
        assert_eq!(path("{}", 10), "approximate");
        let query = query(&mut random);
        for filter in ["{}", r#"{"percent": 7}"#] {
            assert_eq!(search(&query, 10, filter, "approximate").len(), 10);
        }
    }

    #[pg_test]
    fn vector_max_distance_cuts_what_was_found() {
        let mut random = clustered(FEW);
        let query = query(&mut random);
        let all: Vec<f64> = value_with(
            "SELECT array_agg(distance) FROM lake.vector_search('docs', $1, 50, mode => 'exact')",
            &[query.clone().into()],
        );
        assert!(all.is_sorted());
        for mode in ["auto", "exact", "approximate"] {
            let near: i64 = value_with(
                "SELECT count(*) FROM lake.vector_search('docs', $1, 50, max_distance => $2, mode => $3)",
                &[query.clone().into(), all[19].into(), mode.into()],
            );
            assert_eq!(near, 20, "{mode}");
        }
        let none: i64 = value_with(
            "SELECT count(*) FROM lake.vector_search('docs', $1, max_distance => -1)",
            &[query.into()],
        );
        assert_eq!(none, 0);
    }

    #[pg_test]
    fn vector_ties_come_by_id() {
        run("CREATE EXTENSION vector; SELECT lake.vector_create('docs', 2)");
        run("SELECT lake.vector_upsert('docs', id, '{1,1}') FROM unnest('{d,b,a,c,e}'::text[]) id");
        let found: Vec<String> =
            value("SELECT array_agg(id) FROM lake.vector_search('docs', '{1,1}', 3)");
        assert_eq!(found, ["a", "b", "c"]);
    }

    #[pg_test]
    fn vector_order_of_an_index_is_trusted_until_rows_tie() {
        let mut random = clustered(FEW);
        let statement = || -> String {
            value(
                "SELECT sql FROM lake.vector_explain('docs', (SELECT embedding::real[] FROM docs WHERE id = '00007'), mode => 'approximate')",
            )
        };
        assert!(!statement().contains("s.distance"), "{}", statement());
        let first = |k: i32| -> Vec<String> {
            value(&format!(
                "SELECT array_agg(id) FROM lake.vector_search('docs', \
                 (SELECT embedding::real[] FROM docs WHERE id = '00007'), {k}, mode => 'approximate', ef_search => 400)"
            ))
        };
        for _ in 0..20 {
            let query = query(&mut random);
            let found = search(&query, 10, "{}", "approximate");
            let exact = search(&query, 10, "{}", "exact");
            // What is found is in the order of the truth.
            let places: Vec<_> =
                found.iter().filter_map(|id| exact.iter().position(|e| e == id)).collect();
            assert!(places.is_sorted() && places.len() >= 7, "{found:?} {exact:?}");
        }
        assert_eq!(first(1), ["00007"]);
        run(
            "INSERT INTO docs (id, embedding) SELECT twin, d.embedding FROM docs d, unnest('{00000-z,00000-a}'::text[]) twin WHERE d.id = '00007'",
        );
        assert_eq!(first(1), ["00000-a"]);
        assert_eq!(first(2), ["00000-a", "00000-z"]);
        assert_eq!(first(4)[..3], ["00000-a", "00000-z", "00007"]);
        assert!(statement().contains("s.distance"), "{}", statement());
    }

    #[pg_test]
    fn vector_rows_that_are_gone_hide_no_others() {
        let mut random = clustered(FEW);
        let query = query(&mut random);
        // More than the index looks at: all that it finds first is dead.
        run(&format!(
            "DELETE FROM docs WHERE id = ANY ('{{{}}}')",
            search(&query, 100, "{}", "exact").join(",")
        ));
        let found: Vec<String> = value_with(
            "SELECT array_agg(id) FROM lake.vector_search('docs', $1, 10, mode => 'approximate', ef_search => 20)",
            &[query.clone().into()],
        );
        assert_eq!(found.len(), 10);
        let exact = search(&query, 10, "{}", "exact");
        assert!(found.iter().filter(|id| exact.contains(id)).count() >= 7, "{found:?} {exact:?}");
    }

    #[pg_test]
    fn vector_embeddings_come_on_request() {
        run("CREATE EXTENSION vector; SELECT lake.vector_create('docs', 2, storage => 'halfvec')");
        run("SELECT lake.vector_upsert('docs', 'a', '{1,0.5}')");
        let with: Vec<f32> = value(
            "SELECT embedding FROM lake.vector_search('docs', '{1,1}', with_embedding => true)",
        );
        assert_eq!(with, [1.0, 0.5]);
        assert!(value::<bool>("SELECT embedding IS NULL FROM lake.vector_search('docs', '{1,1}')"));
        assert_eq!(
            value::<Vec<f32>>("SELECT embedding FROM lake.vector_get('docs', '{a}')"),
            [1.0, 0.5]
        );
        assert!(value::<bool>(
            "SELECT embedding IS NULL FROM lake.vector_get('docs', '{a}', with_embedding => false)"
        ));
    }

    #[pg_test]
    fn vector_searches_are_refused_with_a_reason() {
        run("CREATE EXTENSION vector; SELECT lake.vector_create('docs', 2); CREATE TABLE t ()");
        for (call, code, message) in [
            ("NULL, '{1,1}'", "22004", "store is null"),
            ("'t', '{1,1}'", "42809", "public.t is not a vector store"),
            ("'docs', NULL", "22004", "query is null"),
            ("'docs', '{1,NULL}'", "22004", "query holds a null element"),
            ("'docs', '{}'", "22000", "search of public.docs: query has 0 dimensions, not 2"),
            ("'docs', '{1,2,3}'", "22000", "search of public.docs: query has 3 dimensions, not 2"),
            ("'docs', '{1,NaN}'", "22003", "search of public.docs: element 2 of query is NaN"),
            (
                "'docs', '{0,0}'",
                "22000",
                "search of public.docs: query has length zero, for which there is no cosine",
            ),
            ("'docs', '{1,1}', NULL", "22004", "k is null"),
            ("'docs', '{1,1}', 0", "22023", "k must be between 1 and 10000, not 0"),
            ("'docs', '{1,1}', -1", "22023", "k must be between 1 and 10000, not -1"),
            ("'docs', '{1,1}', 10001", "22023", "k must be between 1 and 10000, not 10001"),
            ("'docs', '{1,1}', mode => 'fast'", "22023", "mode can't be \"fast\""),
            (
                "'docs', '{1,1}', ef_search => 1001",
                "22023",
                "ef_search must be between 1 and 1000, not 1001",
            ),
            (
                "'docs', '{1,1}', filter => '[]'",
                "22023",
                "bad filter: a filter is an object, not an array",
            ),
            (
                "'docs', '{1,1}', filter => '{\"a\": {\"$gt\": []}}'",
                "22023",
                "bad filter: $gt takes a number or a string, not an array",
            ),
        ] {
            let found = fault(&format!(
                "SELECT * FROM lake.vector_search({})",
                call.replace("can't", "can''t")
            ));
            assert_eq!((found.0.as_str(), found.1.as_str()), (code, message), "{call}");
        }
    }

    #[pg_test]
    fn vector_get_delete_count_by_ids_and_filter() {
        run("CREATE EXTENSION vector; SELECT lake.vector_create('docs', 2, id_type => 'bigint')");
        run(
            "SELECT lake.vector_upsert('docs', n, ARRAY[n, 1], jsonb_build_object('even', n % 2 = 0)) FROM generate_series(1, 10) n",
        );
        let ids = |sql: &str| {
            value::<Vec<String>>(&format!(
                "SELECT COALESCE(array_agg(id), '{{}}') FROM lake.vector_get('docs', {sql})"
            ))
        };
        assert_eq!(ids("'{7,3,99,007,5}'"), ["7", "3", "5"]);
        assert_eq!(ids("'{7,4,5}', '{\"even\": true}'"), ["4"]);
        assert_eq!(ids("filter => '{\"even\": true}', max_rows => 2"), ["2", "4"]);
        assert_eq!(ids("'{7,4,5}', max_rows => 2"), ["7", "4"]);
        assert_eq!(ids("'{}'"), Vec::<String>::new());
        let count = |args: &str| value::<i64>(&format!("SELECT lake.vector_count('docs'{args})"));
        assert_eq!(count(""), 10);
        assert_eq!(count(", '{\"even\": true}'"), 5);
        assert_eq!(count(", ids => '{1,2,77}'"), 2);
        assert_eq!(fault("SELECT lake.vector_get('docs', '{x}')").0, "22P02");
        assert_eq!(fault("SELECT lake.vector_get('docs', '{NULL}')").0, "22004");
        assert_eq!(fault("SELECT lake.vector_get('docs')").0, "22004");
        assert_eq!(fault("SELECT lake.vector_delete('docs')").0, "22004");
        let delete =
            |args: &str| value::<i64>(&format!("SELECT lake.vector_delete('docs', {args})"));
        assert_eq!(delete("'{1,2,77}'"), 2);
        assert_eq!(delete("'{4,5}', '{\"even\": true}'"), 1);
        assert_eq!(delete("filter => '{}'"), 7);
        assert_eq!(count(""), 0);
    }
}
