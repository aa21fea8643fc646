//! Making and adopting stores.

#[cfg(any(test, feature = "pg_test"))]
#[pgrx::pg_schema]
mod tests {
    use crate::vector::tests::{fault, run, value};
    use pgrx::prelude::*;

    #[pg_test]
    fn vector_stores_need_pgvector() {
        let (code, message) = fault("SELECT lake.vector_create('docs', 3)");
        assert_eq!(code, "55000");
        assert_eq!(message, "vector stores need the extension \"vector\"");
    }

    #[pg_test]
    fn vector_works_with_pgvector_in_another_schema_and_a_bare_search_path() {
        run("CREATE SCHEMA ext; CREATE EXTENSION vector SCHEMA ext; CREATE SCHEMA app");
        run("SET search_path = pg_catalog");
        run("SELECT lake.vector_create('app.docs', 2)");
        for _ in 0..2 {
            run("SELECT lake.vector_upsert('app.docs', 'a', '{1,0}')");
        }
        run("SELECT lake.vector_upsert('app.docs', 'b', '{0,1}', '{\"n\": 1}')");
        run("CREATE INDEX ON app.docs USING hnsw (embedding ext.vector_cosine_ops)");
        for mode in ["auto", "exact", "approximate"] {
            let found: Vec<String> = value(&format!(
                "SELECT array_agg(id) FROM lake.vector_search('app.docs', '{{1,0}}', mode => '{mode}')"
            ));
            assert_eq!(found, ["a", "b"], "{mode}");
        }
    }

    #[pg_test]
    fn vector_create_makes_every_kind_of_store() {
        run("CREATE EXTENSION vector");
        let mut n = 0;
        for metric in ["cosine", "l2", "inner_product", "l1"] {
            for storage in ["vector", "halfvec"] {
                for (id_type, id) in [
                    ("text", "a"),
                    ("bigint", "7"),
                    ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
                ] {
                    n += 1;
                    let call = format!(
                        "SELECT lake.vector_create('s{n}', 2, '{metric}', '{storage}', '{id_type}', options => '{{\"index\": \"hnsw\"}}')"
                    );
                    run(&call);
                    run(&format!("SELECT lake.vector_upsert('s{n}', '{id}', '{{1,2}}')"));
                    for mode in ["exact", "approximate"] {
                        let found: String = value(&format!(
                            "SELECT id FROM lake.vector_search('s{n}', '{{2,1}}', mode => '{mode}')"
                        ));
                        assert_eq!(found, id, "{call}");
                    }
                    let path: String = value(&format!(
                        "SELECT path FROM lake.vector_explain('s{n}', '{{2,1}}', mode => 'approximate')"
                    ));
                    assert_eq!(path, "approximate", "{call}");
                }
            }
        }
    }

    #[pg_test]
    fn vector_distances_and_scores_are_those_of_the_metric() {
        run("CREATE EXTENSION vector");
        for (metric, distance, score) in [
            ("cosine", 1.0 - 24.0 / 25.0, 24.0 / 25.0),
            ("l2", 2.0_f64.sqrt(), 1.0 / (1.0 + 2.0_f64.sqrt())),
            ("inner_product", -24.0, 24.0),
            ("l1", 2.0, 1.0 / 3.0),
        ] {
            run(&format!("SELECT lake.vector_create('m_{metric}', 2, '{metric}')"));
            run(&format!("SELECT lake.vector_upsert('m_{metric}', 'a', '{{4,3}}')"));
            let found = Spi::get_two::<f64, f64>(&format!(
                "SELECT distance, score FROM lake.vector_search('m_{metric}', '{{3,4}}')"
            ));
            let (d, s) = found.unwrap();
            assert!((d.unwrap() - distance).abs() < 1e-6, "{metric}");
            assert!((s.unwrap() - score).abs() < 1e-6, "{metric}");
        }
    }

    #[pg_test]
    fn vector_create_refuses_what_it_cannot_make() {
        run("CREATE EXTENSION vector; CREATE TABLE taken ()");
        for (call, code, message) in [
            ("NULL, 3", "22004", "name is null"),
            ("'a', NULL", "22004", "dimensions is null"),
            ("'a', 0", "22023", "dimensions must be between 1 and 16000, not 0"),
            ("'a', 16001", "22023", "dimensions must be between 1 and 16000, not 16001"),
            ("'a', 3, 'euclid'", "22023", "metric can't be \"euclid\""),
            ("'a', 3, storage => 'bit'", "22023", "storage can't be \"bit\""),
            ("'a', 3, id_type => 'int'", "22023", "id_type can't be \"int\""),
            ("'a', 3, options => '{\"x\": 1}'", "22023", "unknown option \"x\""),
            ("'a', 3, options => '[]'", "22023", "options must be an object"),
            (
                "'a', 3, text_config => 'klingon'",
                "42704",
                "text search configuration \"klingon\" does not exist",
            ),
            ("'taken', 3", "42P07", "relation public.taken already exists"),
            ("'nowhere.a', 3", "3F000", "schema \"nowhere\" does not exist"),
            ("'a.b.c', 3", "42602", "\"a.b.c\" is not a table name"),
        ] {
            let found = fault(&format!("SELECT lake.vector_create({call})"));
            assert_eq!((found.0.as_str(), found.1.as_str()), (code, message), "{call}");
        }
    }

    #[pg_test]
    fn vector_store_names_may_be_hostile() {
        run("CREATE EXTENSION vector; CREATE SCHEMA \"we\"\"ird.Schema\"");
        let name = "'\"we\"\"ird.Schema\".\"ta ble;--\"'";
        run(&format!("SELECT lake.vector_create({name}, 2, options => '{{\"index\": \"hnsw\"}}')"));
        run(&format!("SELECT lake.vector_upsert({name}, 'it''s', '{{1,0}}', '{{\"a\": 1}}', 'x')"));
        let found: String = value(&format!(
            "SELECT id FROM lake.vector_search({name}, '{{1,0}}', 1, '{{\"a\": 1}}')"
        ));
        assert_eq!(found, "it's");
        assert_eq!(value::<i64>(&format!("SELECT lake.vector_delete({name}, '{{it''s}}')")), 1);
    }

    #[pg_test]
    fn vector_adopt_takes_tables_as_they_are() {
        run("CREATE EXTENSION vector");
        run(
            "CREATE TABLE t (\"Key\" integer PRIMARY KEY, other int, \"Vec\" vector(2), \"Meta\" jsonb, body varchar(20))",
        );
        run("INSERT INTO t VALUES (1, 1, '[1,0]', '{\"a\": 1}', 'one'), (2, 2, NULL, NULL, NULL)");
        run("SELECT lake.vector_adopt('t', 'Key', 'Vec', 'Meta', 'body', 'l2')");
        let found: String = value(
            "SELECT id || ' ' || metadata || ' ' || content FROM lake.vector_search('t', '{1,0}')",
        );
        assert_eq!(found, "1 {\"a\": 1} one");
        assert_eq!(value::<i64>("SELECT count(*) FROM lake.vector_search('t', '{1,0}')"), 1);
        assert_eq!(
            value::<String>("SELECT lake.vector_upsert('t', 2, '{0,1}', content => 'two')"),
            "updated"
        );
        assert_eq!(
            value::<String>("SELECT lake.vector_upsert('t', '02', '{0,1}', content => 'two')"),
            "unchanged"
        );
        assert_eq!(fault("SELECT lake.vector_upsert('t', 'x', '{0,1}')").0, "22P02");
        assert_eq!(fault("SELECT lake.vector_upsert('t', 3000000000, '{0,1}')").0, "22P02");
        let again = fault("SELECT lake.vector_adopt('t', 'Key', 'Vec', 'Meta', 'body')");
        assert_eq!(again, ("42710".into(), "public.t is a vector store already".into()));
    }

    #[pg_test]
    fn vector_adopt_finds_columns_and_metric_by_itself() {
        run("CREATE EXTENSION vector");
        run("CREATE TABLE t (k uuid PRIMARY KEY, v halfvec(2))");
        run("CREATE INDEX ON t USING hnsw (v halfvec_l1_ops)");
        run("SELECT lake.vector_adopt('t')");
        let options: pgrx::JsonB =
            value("SELECT options FROM lake.stores WHERE store = 't'::regclass");
        assert_eq!(options.0["metric"], "l1");
        assert_eq!(options.0["id_column"], "k");
        assert_eq!(options.0["embedding_column"], "v");
        assert!(options.0["metadata_column"].is_null());
        run("SELECT lake.vector_upsert('t', 'A0EEBC999C0B4EF8BB6D6BB9BD380A11', '{1,2}')");
        let call = "SELECT lake.vector_upsert('t', 'a0eebc999c0b4ef8bb6d6bb9bd380a11', '{1,2}', '{\"a\": 1}')";
        assert_eq!(fault(call).0, "42703");
        assert_eq!(
            fault("SELECT * FROM lake.vector_search('t', '{1,2}', 1, '{\"a\": 1}')").0,
            "42703"
        );
        assert_eq!(
            value::<i64>("SELECT count(*) FROM lake.vector_search('t', '{1,2}', 1, '{}')"),
            1
        );
    }

    #[pg_test]
    fn vector_adopt_refuses_with_a_reason() {
        run("CREATE EXTENSION vector");
        run("CREATE TABLE nokey (id text, embedding vector(2));
             CREATE TABLE novec (id text PRIMARY KEY, embedding text);
             CREATE TABLE badid (id timestamptz PRIMARY KEY, embedding vector(2));
             CREATE TABLE badmeta (id text PRIMARY KEY, embedding vector(2), metadata text);
             CREATE TABLE untyped (id text PRIMARY KEY, embedding vector);
             CREATE VIEW v AS SELECT * FROM nokey");
        for (call, code, message) in [
            ("NULL", "22004", "tbl is null"),
            ("'nokey'", "42P10", "ids in public.nokey.id are not known to be unique"),
            ("'nokey', 'key'", "42703", "public.nokey has no column \"key\""),
            (
                "'novec'",
                "42804",
                "column \"embedding\" of public.novec is of type text, not vector or halfvec",
            ),
            ("'badid'", "42804", "column \"id\" of public.badid is of type timestamptz"),
            (
                "'badmeta'",
                "42804",
                "column \"metadata\" of public.badmeta is of type text, not jsonb",
            ),
            (
                "'untyped'",
                "55000",
                "the dimensions of public.untyped.embedding are not known: its type has no length and it has no rows",
            ),
            ("'v'", "42809", "public.v is not a table"),
        ] {
            let found = fault(&format!("SELECT lake.vector_adopt({call})"));
            assert_eq!((found.0.as_str(), found.1.as_str()), (code, message), "{call}");
        }
        run("SELECT lake.vector_adopt('badmeta', metadata_column => NULL)");
    }

    #[pg_test]
    fn vector_columns_without_a_length_are_searched_in_their_dimensions() {
        run("CREATE EXTENSION vector");
        run("CREATE TABLE u (id text PRIMARY KEY, embedding vector)");
        run("INSERT INTO u VALUES ('a', '[1,0]'), ('b', '[1,0,0]')");
        assert_eq!(fault("SELECT lake.vector_adopt('u')").0, "55000");
        run("SELECT lake.vector_adopt('u', dimensions => 2)");
        assert_eq!(
            value::<Vec<String>>("SELECT array_agg(id) FROM lake.vector_search('u', '{1,0}')"),
            ["a"]
        );
        assert_eq!(fault("SELECT lake.vector_upsert('u', 'c', '{1,0,0}')").0, "22000");
    }

    #[pg_test]
    fn vector_store_survives_rename_and_says_when_a_column_is_gone() {
        run("CREATE EXTENSION vector; SELECT lake.vector_create('docs', 2)");
        run("SELECT lake.vector_upsert('docs', 'a', '{1,0}')");
        run(
            "CREATE SCHEMA elsewhere; ALTER TABLE docs RENAME TO texts; ALTER TABLE texts SET SCHEMA elsewhere",
        );
        assert_eq!(value::<i64>("SELECT lake.vector_count('elsewhere.texts')"), 1);
        run("ALTER TABLE elsewhere.texts RENAME content TO body");
        let (code, message) = fault("SELECT lake.vector_count('elsewhere.texts')");
        assert_eq!(code, "42703");
        assert_eq!(message, "elsewhere.texts has no column \"content\", which the store needs");
    }

    #[pg_test]
    fn vector_indexes_shows_indexes_of_stores_only() {
        run(
            "CREATE EXTENSION vector; SELECT lake.vector_create('docs', 2, options => '{\"index\": \"hnsw\"}')",
        );
        run(
            "CREATE TABLE plain (embedding vector(2)); CREATE INDEX ON plain USING hnsw (embedding vector_l2_ops)",
        );
        let found: String = value(
            "SELECT string_agg(store || ' ' || method || ' ' || opclass || ' ' || state, ',') FROM lake.vector_indexes",
        );
        assert_eq!(found, "docs hnsw vector_cosine_ops ready");
        run(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'docs_embedding_idx'::regclass",
        );
        assert_eq!(value::<String>("SELECT state FROM lake.vector_indexes"), "invalid");
        assert_eq!(
            value::<String>(
                "SELECT path FROM lake.vector_explain('docs', '{1,0}', mode => 'approximate')"
            ),
            "exact"
        );
    }
}
