//! Loading without indexes.

#[cfg(any(test, feature = "pg_test"))]
#[pgrx::pg_schema]
mod tests {
    use crate::vector::tests::{fault, run, value};
    use pgrx::prelude::*;

    fn definitions() -> Vec<String> {
        value(
            "SELECT coalesce(array_agg(definition ORDER BY definition), '{}') \
             FROM (SELECT pg_get_indexdef(i.indexrelid) || coalesce(obj_description(i.indexrelid), '') AS definition \
             FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam \
             JOIN lake.stores s ON s.store = i.indrelid WHERE a.amname IN ('hnsw', 'ivfflat')) d",
        )
    }

    #[pg_test]
    fn vector_load_makes_the_indexes_again_as_they_were() {
        run("CREATE SCHEMA ext; CREATE EXTENSION vector SCHEMA ext; CREATE SCHEMA \"a USING b\";
             SET search_path = public, ext;
             SELECT lake.vector_create('\"a USING b\".\"t\"\"x\"', 3);
             CREATE INDEX \"i USING \"\"x\" ON \"a USING b\".\"t\"\"x\" USING hnsw (embedding vector_cosine_ops) WITH (m = 8);
             COMMENT ON INDEX \"a USING b\".\"i USING \"\"x\" IS 'it''s mine';
             CREATE INDEX ON \"a USING b\".\"t\"\"x\" USING hnsw ((embedding::halfvec(3)) halfvec_l2_ops) WHERE id <> 'x'");
        let before = definitions();
        assert_eq!(before.len(), 2);
        let store = "'\"a USING b\".\"t\"\"x\"'";
        assert_eq!(value::<i32>(&format!("SELECT lake.vector_begin_load({store})")), 2);
        assert!(definitions().is_empty());
        let gin: i64 =
            value(&format!("SELECT count(*) FROM pg_index WHERE indrelid = {store}::regclass"));
        assert_eq!(gin, 2, "the key and the metadata's index stay");
        assert_eq!(fault(&format!("SELECT lake.vector_begin_load({store})")).0, "55000");
        run(&format!("SELECT lake.vector_upsert({store}, 'a', '{{1,0,0}}')"));
        assert_eq!(
            value::<String>(&format!(
                "SELECT path FROM lake.vector_explain({store}, '{{1,0,0}}', mode => 'approximate')"
            )),
            "exact"
        );
        let finding: String = value(
            "SELECT severity || ' ' || remedy FROM lake.health() WHERE finding LIKE 'a load began%'",
        );
        assert!(finding.starts_with("info SELECT lake.vector_end_load("), "{finding}");
        run("UPDATE _lake.vector_load SET begun_at = now() - interval '2 hours'");
        let finding: String =
            value("SELECT severity FROM lake.health() WHERE finding LIKE 'a load began%'");
        assert_eq!(finding, "warning");
        assert_eq!(
            value::<i32>(&format!("SELECT lake.vector_end_load({store}, concurrently => false)")),
            2
        );
        assert_eq!(definitions(), before);
        assert_eq!(
            value::<i64>("SELECT count(*) FROM lake.health() WHERE finding LIKE 'a load began%'"),
            0
        );
        assert_eq!(fault(&format!("SELECT lake.vector_end_load({store})")).0, "55000");
    }

    #[pg_test]
    fn vector_load_and_builds_keep_out_of_each_other() {
        run("CREATE EXTENSION vector; SELECT lake.vector_create('docs', 3);
             INSERT INTO docs SELECT i::text, ARRAY[sin(i), cos(7 * i), sin(13 * i)]::real[]::vector FROM generate_series(1, 200) i;
             CREATE INDEX docs_embedding_hnsw ON docs USING hnsw (embedding vector_cosine_ops);
             SELECT lake.vector_set_index_policy('docs', min_rows => 1);
             SELECT lake.vector_begin_load('docs')");
        let build = "SELECT lake.vector_build_index('docs', concurrently => false)";
        assert_eq!(fault(build).0, "55000");
        // Neither does the policy, which would take the name of the index that comes back.
        let look = "SELECT lake.run_job(job_id) FROM _lake.job WHERE action = 'auto_index' LIMIT 1";
        for _ in 0..5 {
            run(look);
        }
        assert_eq!(value::<i64>("SELECT count(*) FROM _lake.job WHERE action = 'build_index'"), 0);
        assert!(definitions().is_empty());
        assert_eq!(value::<i32>("SELECT lake.vector_end_load('docs', concurrently => false)"), 1);
        run("DROP INDEX docs_embedding_hnsw; SELECT lake.vector_build_index('docs')");
        assert_eq!(fault("SELECT lake.vector_begin_load('docs')").0, "55006");
        run("SELECT lake.vector_cancel_build('docs'); SELECT lake.vector_begin_load('docs')");
    }

    #[pg_test]
    fn vector_load_leaves_the_indexes_to_the_job_that_builds() {
        run("CREATE EXTENSION vector; SELECT lake.vector_create('docs', 3);
             ALTER TABLE docs ADD COLUMN other vector(2);
             INSERT INTO docs SELECT i::text, ARRAY[sin(i), cos(7 * i), sin(13 * i)]::real[]::vector FROM generate_series(1, 200) i;
             CREATE INDEX \"a \"\"b\" ON docs USING hnsw (embedding vector_cosine_ops) WITH (m = 8);
             COMMENT ON INDEX \"a \"\"b\" IS 'it''s mine';
             CREATE INDEX part ON docs USING ivfflat (other vector_l2_ops) WITH (lists = 1) WHERE id <> 'x'");
        let before = definitions();
        assert_eq!(value::<i32>("SELECT lake.vector_begin_load('docs')"), 2);
        assert_eq!(value::<i32>("SELECT lake.vector_end_load('docs')"), 2);
        assert!(definitions().is_empty());
        // It is a build as any other: nothing else begins meanwhile.
        assert_eq!(fault("SELECT lake.vector_begin_load('docs')").0, "55006");
        run("SELECT lake.run_job(job_id) FROM lake.jobs WHERE action = 'build_index'");
        assert_eq!(definitions(), before);
        assert_eq!(value::<i64>("SELECT count(*) FROM lake.jobs WHERE action = 'build_index'"), 0);
        let built: i64 =
            value("SELECT count(*) FROM lake.vector_indexes WHERE built_at IS NOT NULL");
        assert_eq!(built, 2);
        run("SELECT lake.vector_begin_load('docs'); SELECT lake.vector_end_load('docs')");
        assert!(value::<bool>("SELECT lake.vector_cancel_build('docs')"));
        assert!(definitions().is_empty());
    }

    #[pg_test]
    fn vector_load_survives_a_rename_and_may_be_forgotten() {
        run("CREATE EXTENSION vector; CREATE SCHEMA s;
             SELECT lake.vector_create('docs', 2, options => '{\"index\": \"hnsw\"}');
             SELECT lake.vector_begin_load('docs');
             ALTER TABLE docs SET SCHEMA s; ALTER TABLE s.docs RENAME TO texts;
             SELECT lake.vector_end_load('s.texts', concurrently => false)");
        assert_eq!(
            definitions(),
            ["CREATE INDEX docs_embedding_idx ON s.texts USING hnsw (embedding vector_cosine_ops)"]
        );
        run("SELECT lake.vector_begin_load('s.texts'); ALTER TABLE s.texts RENAME embedding TO e");
        run("SELECT lake.drop_store('s.texts', keep_table => true)");
        assert_eq!(value::<i64>("SELECT count(*) FROM _lake.vector_load"), 0);
        run("SELECT lake.vector_adopt('s.texts', embedding_column => 'e');
             CREATE INDEX ON s.texts USING hnsw (e vector_cosine_ops); SELECT lake.vector_begin_load('s.texts')");
        assert_eq!(value::<i32>("SELECT lake.vector_end_load('s.texts', rebuild => false)"), 0);
        assert!(definitions().is_empty());
    }

    #[pg_test]
    fn vector_load_works_on_partitioned_tables_and_is_the_owners() {
        run("CREATE EXTENSION vector;
             CREATE TABLE p (id bigint PRIMARY KEY, embedding vector(2)) PARTITION BY RANGE (id);
             CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
             CREATE INDEX p_vec ON p USING hnsw (embedding vector_cosine_ops);
             SELECT lake.vector_adopt('p')");
        assert_eq!(value::<i32>("SELECT lake.vector_begin_load('p')"), 1);
        assert_eq!(value::<i32>("SELECT lake.vector_end_load('p')"), 1);
        let valid: bool =
            value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'p_vec'::regclass");
        assert!(valid);
        run(
            "CREATE ROLE lake_test_writer; GRANT ALL ON p TO lake_test_writer; SET ROLE lake_test_writer",
        );
        assert_eq!(fault("SELECT lake.vector_begin_load('p')").0, "42501");
        assert_eq!(fault("SELECT lake.vector_end_load('p')").0, "42501");
    }
}
