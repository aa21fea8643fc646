//! Writing rows: forms, faults, modes, duplicates, replay.

#[cfg(any(test, feature = "pg_test"))]
#[pgrx::pg_schema]
mod tests {
    use crate::testing::lacks_icu;
    use crate::vector::tests::{fault, run, value, value_with};
    use pgrx::prelude::*;

    fn docs() {
        run("CREATE EXTENSION vector; SELECT lake.vector_create('docs', 3)");
    }

    /// inserted,updated,unchanged,rejected
    fn many(args: &str) -> String {
        value(&format!(
            "SELECT concat_ws(',', inserted, updated, unchanged, rejected) FROM lake.vector_upsert_many('docs', {args})"
        ))
    }

    #[pg_test]
    fn vector_upsert_says_what_it_did() {
        docs();
        let upsert =
            |args: &str| value::<String>(&format!("SELECT lake.vector_upsert('docs', {args})"));
        assert_eq!(upsert("'a', '{1,0,0}', mode => 'update_only'"), "unchanged");
        assert_eq!(upsert("'a', '{1,0,0}'"), "inserted");
        let before: String = value("SELECT ctid::text || xmin::text FROM docs");
        assert_eq!(upsert("'a', '{1,0,0}'"), "unchanged");
        assert_eq!(before, value::<String>("SELECT ctid::text || xmin::text FROM docs"));
        assert_eq!(upsert("'a', '{1,0,0}', '{\"n\": 1}'"), "updated");
        assert_eq!(upsert("'a', '{1,0,0}', '{\"n\": 1}', 'text'"), "updated");
        assert_eq!(upsert("'a', '{2,0,0}', '{\"n\": 1}', 'text'"), "updated");
        assert_eq!(upsert("'a', '{3,0,0}', mode => 'insert_only'"), "unchanged");
        assert_eq!(upsert("'b', '{3,0,0}', mode => 'insert_only'"), "inserted");
        assert_eq!(upsert("'b', '{3,0,0}', mode => 'update_only'"), "unchanged");
        assert_eq!(upsert("'b', '{3,0,0}', '{}', 'x', 'update_only'"), "updated");
        // a row is written as a whole
        assert_eq!(upsert("'a', '{2,0,0}'"), "updated");
        assert_eq!(value::<String>("SELECT metadata::text FROM docs WHERE id = 'a'"), "{}");
    }

    #[pg_test]
    fn vector_upsert_takes_pgvectors_own_type_and_untyped_parameters() {
        docs();
        run("SELECT lake.vector_upsert('docs', 'a', '[1,2,3]'::vector)");
        run(
            "PREPARE p AS SELECT lake.vector_upsert($1, $2, $3); EXECUTE p('docs', '5', '{1,2,3}')",
        );
        run(
            "PREPARE q AS SELECT lake.vector_upsert($1, $2, $3, $4, $5, $6); EXECUTE q('docs', '6', '{1,2,3}', '{}', NULL, 'upsert')",
        );
        run(
            "PREPARE r AS SELECT * FROM lake.vector_upsert_many($1, $2, $3); EXECUTE r('docs', '[{\"id\": 7, \"embedding\": [1,2,3]}]', 'raise')",
        );
        run(
            "PREPARE s AS SELECT * FROM lake.vector_search($1, $2, $3, $4, $5, $6); EXECUTE s('docs', '{1,2,3}', '3', '{}', NULL, 'auto')",
        );
        run("PREPARE t AS SELECT * FROM lake.vector_get($1, $2); EXECUTE t('docs', '{a,5}')");
        run("PREPARE u AS SELECT lake.vector_delete($1, $2); EXECUTE u('docs', '{a,5}')");
        assert_eq!(value::<Vec<String>>("SELECT array_agg(id ORDER BY id) FROM docs"), ["6", "7"]);
        run("SELECT lake.vector_upsert('docs', 8, '{1,2,3}')");
        run("SELECT lake.vector_upsert('docs', gen_random_uuid(), ARRAY[1, 2.5, 3])");
    }

    #[pg_test]
    fn vector_upsert_many_takes_every_form() {
        docs();
        assert_eq!(many("'{a,b}'::text[], '{1,2,3,4,5,6}'::real[]"), "2,0,0,0");
        assert_eq!(many("'{a,b}'::text[], '{{1,2,3},{4,5,6}}'::real[]"), "0,0,2,0");
        let bytes: Vec<u8> =
            [1.0_f32, 2.0, 3.0, 4.0, 5.0, 7.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let counts: String = value_with(
            "SELECT concat_ws(',', inserted, updated, unchanged, rejected) \
             FROM lake.vector_upsert_many('docs', '{a,b}'::text[], $1, metadatas => NULL)",
            &[bytes.into()],
        );
        assert_eq!(counts, "0,1,1,0");
        let items = r#"[{"id": "a", "embedding": [1,2,3], "metadata": {"n": 1.00000000000000000001}, "content": "x"}, {"embedding": [7,8,9], "id": "c"}]"#;
        assert_eq!(many(&format!("'{items}'::jsonb")), "1,1,0,0");
        assert_eq!(many(&format!("'{items}'")), "0,0,2,0");
        assert_eq!(
            many("'{a}'::text[], '{1,2,3}'::real[], ARRAY['{\"n\": 1}'::jsonb], '{y}'"),
            "0,1,0,0"
        );
        assert_eq!(many("'{}'::text[], '{}'::real[]"), "0,0,0,0");
        assert_eq!(many("'[]'"), "0,0,0,0");
        assert_eq!(
            many("'{a,z}'::text[], '{9,9,9,9,9,9}'::real[], mode => 'update_only'"),
            "0,1,1,0"
        );
        assert_eq!(
            many("'{a,z}'::text[], '{1,1,1,1,1,1}'::real[], mode => 'insert_only'"),
            "1,0,1,0"
        );
        assert_eq!(value::<String>("SELECT embedding::text FROM docs WHERE id = 'a'"), "[9,9,9]");
        let all: String = value("SELECT metadata::text FROM docs WHERE id = 'c'");
        assert_eq!(all, "{}");
    }

    #[pg_test]
    fn vector_metadata_keeps_every_digit() {
        docs();
        let digits = "{\"n\": 12345678901234567890.1234567890123456789}";
        run(&format!("SELECT lake.vector_upsert('docs', 'a', '{{1,2,3}}', '{digits}')"));
        assert_eq!(
            value::<String>("SELECT metadata::text FROM lake.vector_search('docs', '{1,2,3}')"),
            digits
        );
        assert_eq!(
            value::<String>("SELECT metadata::text FROM lake.vector_get('docs', '{a}')"),
            digits
        );
    }

    #[pg_test]
    fn vector_faults_raise_with_row_id_and_code_and_nothing_is_written() {
        docs();
        run("SELECT lake.vector_create('half', 2, storage => 'halfvec')");
        for (call, code, message) in [
            (
                "'docs', '{a,NULL}'::text[], '{1,2,3,4,5,6}'::real[]",
                "22004",
                "row 2 of public.docs: id is null",
            ),
            (
                "'docs', '{a,b}'::text[], '{1,2,3,4,NULL,6}'::real[]",
                "22004",
                "row 2 (id \"b\") of public.docs: element 2 of embedding is null",
            ),
            (
                "'docs', '{a,b}'::text[], '{1,2,3,4,NaN,6}'::real[]",
                "22003",
                "row 2 (id \"b\") of public.docs: element 2 of embedding is NaN",
            ),
            (
                "'docs', '{a,b}'::text[], '{1,2,3,4,5,-Infinity}'::real[]",
                "22003",
                "row 2 (id \"b\") of public.docs: element 3 of embedding is infinite",
            ),
            (
                "'docs', '{a,b}'::text[], '{1,2,3,0,0,0}'::real[]",
                "22000",
                "row 2 (id \"b\") of public.docs: embedding has length zero, for which there is no cosine",
            ),
            (
                "'docs', '{a,b}'::text[], '{{1,2},{3,4}}'::real[]",
                "22000",
                "row 1 (id \"a\") of public.docs: embedding has 2 dimensions, not 3",
            ),
            (
                "'half', '{a,b}'::text[], '{1,2,1,1e5}'::real[]",
                "22003",
                "row 2 (id \"b\") of public.half: element 2 of embedding is 100000, out of range for halfvec (65504)",
            ),
            (
                "'docs', '{a}'::text[], '{1,2,3}'::real[], ARRAY['[]'::jsonb]",
                "22023",
                "row 1 (id \"a\") of public.docs: metadata must be an object, not an array",
            ),
            (
                "'docs', '[{\"id\": \"a\"}]'",
                "22004",
                "row 1 (id \"a\") of public.docs: embedding is null",
            ),
            (
                "'docs', '[{\"id\": \"a\", \"embedding\": [1, \"x\"]}]'",
                "22023",
                "row 1 (id \"a\") of public.docs: element 2 of embedding is not a number",
            ),
            (
                "'docs', '[{\"id\": \"a\", \"embedding\": [1,2,3], \"metadata\": {\"a\": \"\\u0000\"}}]'",
                "22021",
                "row 1 (id \"a\") of public.docs: metadata holds the character NUL, which Postgres can''t store",
            ),
            (
                "'docs', '[{\"id\": \"a\", \"embedding\": [1,2,3], \"content\": \"\\u0000\"}]'",
                "22021",
                "row 1 (id \"a\") of public.docs: content holds the character NUL, which Postgres can''t store",
            ),
            (
                "'docs', '{a,b}'::text[], '{1,2,3}'::real[]",
                "2202E",
                "embeddings has 3 numbers; 2 ids of 3 dimensions need 6",
            ),
            (
                "'docs', '{a,b}'::text[], '{{1,2,3}}'::real[]",
                "2202E",
                "embeddings has 1 rows for 2 ids",
            ),
            (
                "'docs', '{a}'::text[], '{{{1,2,3}}}'::real[]",
                "2202E",
                "embeddings has 3 dimensions; it can have one or two",
            ),
            (
                "'docs', '{a}'::text[], '{1,2,3}'::real[], contents => '{}'",
                "2202E",
                "contents has 0 entries for 1 ids",
            ),
            (
                "'docs', '{a}'::text[], '\\x000000'::bytea",
                "22023",
                "embeddings has 3 bytes, which is not a multiple of 4",
            ),
            ("'docs', NULL::text[], '{1,2,3}'::real[]", "22004", "ids is null"),
            ("'docs', '{a}'::text[], NULL::real[]", "22004", "embeddings is null"),
            ("'docs', NULL::jsonb", "22004", "items is null"),
            ("'docs', '{}'::jsonb", "22023", "items must be an array of objects"),
            (
                "'docs', '[1'",
                "22P02",
                "items is not JSON: EOF while parsing a list at line 1 column 2",
            ),
            ("'docs', '[]', 'skip'", "22023", "on_error can''t be \"skip\""),
            ("'docs', '[]', mode => 'merge'", "22023", "mode can''t be \"merge\""),
        ] {
            let found = fault(&format!("SELECT lake.vector_upsert_many({call})"));
            assert_eq!(
                (found.0.as_str(), found.1.as_str()),
                (code, message.replace("''", "'").as_str()),
                "{call}"
            );
        }
        assert_eq!(value::<i64>("SELECT count(*) FROM docs"), 0);
        run("SET lake_stores.max_batch_rows = 1");
        assert_eq!(fault("SELECT lake.vector_upsert_many('docs', '[1, 2]')").0, "54000");
    }

    #[pg_test]
    fn vector_rejects_keep_the_good_rows_and_can_be_replayed() {
        docs();
        let counts = many(
            r#"'[{"id": "a", "embedding": [1,2,3]}, {"id": "b", "embedding": [1,2]}, 7, {"id": "c", "embedding": [0,0,0]}, {"id": "a", "embedding": [3,2,1]}]', 'reject'"#,
        );
        assert_eq!(counts, "1,0,0,4");
        let all: String = value(
            "SELECT string_agg(concat_ws(' ', ordinal, id, code, pointer), ', ' ORDER BY ordinal) FROM lake.rejects WHERE store = 'docs'::regclass",
        );
        assert_eq!(
            all,
            "1 a duplicate_id /id, 2 b dimension /embedding, 3 item_type , 4 c zero_norm /embedding"
        );
        assert_eq!(value::<String>("SELECT embedding::text FROM docs"), "[3,2,1]");
        // The metric was wrong, not the rows: zero has an L2 distance. What was superseded stays so.
        run("UPDATE _lake.store SET options = jsonb_set(options, '{metric}', '\"l2\"')");
        run("ALTER TABLE docs DROP CONSTRAINT docs_embedding_check");
        run(
            "SELECT lake.replay_rejects('docs', batch) FROM (SELECT DISTINCT batch FROM lake.rejects) b",
        );
        assert_eq!(
            value::<Vec<String>>("SELECT array_agg(id || embedding ORDER BY id) FROM docs"),
            ["a[3,2,1]", "c[0,0,0]"]
        );
    }

    #[pg_test]
    fn vector_batches_of_only_bad_rows_still_need_the_right_to_write() {
        docs();
        run(
            "CREATE ROLE lake_test_reader; GRANT SELECT ON docs TO lake_test_reader; SET ROLE lake_test_reader",
        );
        let (code, _) = fault("SELECT lake.vector_upsert_many('docs', '[1]', 'reject')");
        assert_eq!(code, "42501");
        assert_eq!(fault("SELECT lake.vector_upsert('docs', 'a', '{1,2,3}')").0, "42501");
        run(
            "RESET ROLE; GRANT INSERT, UPDATE ON docs TO lake_test_reader; SET ROLE lake_test_reader",
        );
        assert_eq!(many("'[1]', 'reject'"), "0,0,0,1");
        assert_eq!(many("'{a}'::text[], '{1,2,3}'::real[]"), "1,0,0,0");
    }

    #[pg_test]
    fn vector_upsert_works_on_partitioned_tables() {
        run("CREATE EXTENSION vector");
        run("CREATE TABLE p (id bigint PRIMARY KEY, embedding vector(2) NOT NULL) PARTITION BY RANGE (id);
             CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
             CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20);
             CREATE INDEX ON p USING hnsw (embedding vector_cosine_ops);
             SELECT lake.vector_adopt('p')");
        let upsert =
            |args: &str| value::<String>(&format!("SELECT lake.vector_upsert('p', {args})"));
        assert_eq!(upsert("5, '{1,0}'"), "inserted");
        assert_eq!(upsert("15, '{0,1}'"), "inserted");
        assert_eq!(upsert("15, '{0,1}'"), "unchanged");
        assert_eq!(upsert("15, '{1,1}'"), "updated");
        for mode in ["exact", "approximate"] {
            let found: Vec<String> = value(&format!(
                "SELECT array_agg(id) FROM lake.vector_search('p', '{{1,0}}', mode => '{mode}')"
            ));
            assert_eq!(found, ["5", "15"]);
        }
    }

    #[pg_test]
    fn vector_values_are_written_as_pgvector_itself_would() {
        run("CREATE EXTENSION vector");
        let mut random = crate::vector::tests::Random(11);
        for storage in ["vector", "halfvec"] {
            // Odd numbers of dimensions leave gaps between the elements of the array.
            for dimensions in [1, 2, 7, 1_001] {
                let store = format!("{storage}_{dimensions}");
                run(&format!(
                    "SELECT lake.vector_create('{store}', {dimensions}, 'l2', '{storage}')"
                ));
                let values: Vec<f32> = (0..3 * dimensions)
                    .map(|_| random.unit() * 10_f32.powi(random.below(12) as i32 - 8))
                    .collect();
                run(&format!("CREATE TABLE {store}_sent (id text, v real[])"));
                for (id, row) in values.chunks(dimensions).enumerate() {
                    Spi::run_with_args(
                        &format!("INSERT INTO {store}_sent VALUES ($1::text, $2)"),
                        &[(id as i32).into(), row.to_vec().into()],
                    )
                    .unwrap();
                }
                let counts: String = value_with(
                    &format!(
                        "SELECT lake.vector_upsert_many('{store}', '{{0,1,2}}'::text[], $1::real[])::text"
                    ),
                    &[values.into()],
                );
                assert_eq!(counts, "(3,0,0,0)");
                let differ: i64 = value(&format!(
                    "SELECT count(*) FROM {store} FULL JOIN {store}_sent s USING (id) \
                     WHERE (embedding = v::{storage}({dimensions})) IS NOT TRUE OR pg_column_size(embedding) = 0 \
                        OR embedding::text <> v::{storage}::text"
                ));
                assert_eq!(differ, 0, "{store}");
            }
        }
    }

    #[pg_test]
    fn vector_rows_that_the_table_refuses_are_rejected_alone() {
        docs();
        run("CREATE DOMAIN short AS text CHECK (length(VALUE) < 5);
             ALTER TABLE docs ADD CHECK (content <> 'check'), ADD UNIQUE (content), ADD level int;
             CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF NEW.content = 'raise' THEN RAISE 'not this one'; END IF;
                 IF NEW.content = 'rights' THEN RAISE insufficient_privilege; END IF;
                 NEW.level := NEW.content::short::text::int;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER guard BEFORE INSERT ON docs FOR EACH ROW EXECUTE FUNCTION guard()");
        let rows = |bad: &str, on_error: &str| {
            format!(
                "lake.vector_upsert_many('docs', \
                     (SELECT array_agg('r' || n) FROM generate_series(1, 500) n), \
                     (SELECT array_agg(n::real) FROM generate_series(1, 1500) n), \
                     contents => (SELECT array_agg(COALESCE(('{bad}'::jsonb)->>(n::text), n::text)) \
                                  FROM generate_series(1, 500) n), on_error => '{on_error}')"
            )
        };
        let bad = r#"{"1": "check", "2": "raise", "77": "78", "250": "longer", "500": "check"}"#;
        assert_eq!(
            value::<String>(&format!("SELECT {}::text", rows(bad, "reject"))),
            "(495,0,0,5)"
        );
        let found: String = value(
            "SELECT string_agg(concat_ws(' ', ordinal, id, code), ', ' ORDER BY ordinal) FROM lake.rejects",
        );
        // The rows are written in the order of their ids, so r78 comes after r77.
        assert_eq!(found, "1 r1 23514, 2 r2 P0001, 78 r78 23505, 250 r250 23514, 500 r500 23514");
        let (code, message) = fault(&format!("SELECT {}", rows(r#"{"9": "raise"}"#, "raise")));
        assert_eq!((code.as_str(), message.as_str()), ("P0001", "not this one"));
        // Rights are no fault of a row.
        run("DELETE FROM docs");
        let (code, _) = fault(&format!("SELECT {}", rows(r#"{"9": "rights"}"#, "reject")));
        assert_eq!(code, "42501");
        assert_eq!(value::<i64>("SELECT count(*) FROM docs"), 0);
    }

    #[pg_test]
    fn vector_ids_that_differ_as_texts_only_are_one_row() {
        if lacks_icu() {
            return;
        }
        run("CREATE EXTENSION vector;
             CREATE COLLATION fold (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
             CREATE TABLE folded (id text COLLATE fold PRIMARY KEY, embedding vector(1));
             SELECT lake.vector_adopt('folded')");
        assert_eq!(outcome("folded", "{a,A,b}"), "(2,1,0,0)");
    }

    #[pg_test]
    fn vector_ids_that_are_too_long_are_rejected() {
        run("CREATE EXTENSION vector;
             CREATE TABLE cut (id varchar(2) PRIMARY KEY, embedding vector(1));
             SELECT lake.vector_adopt('cut')");
        assert_eq!(outcome("cut", "{a,bc,bcd}"), "(2,0,0,1)");
    }

    /// What becomes of three rows with these ids.
    fn outcome(store: &str, ids: &str) -> String {
        value(&format!(
            "SELECT lake.vector_upsert_many('{store}', '{ids}'::text[], '{{1,2,3}}'::real[], on_error => 'reject')::text"
        ))
    }
}
