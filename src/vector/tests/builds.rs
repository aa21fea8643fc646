//! Indexes on tables that others have made: columns without a length, partitioned tables.

#[cfg(any(test, feature = "pg_test"))]
#[pgrx::pg_schema]
mod tests {
    use crate::vector::tests::{fault, run, value};
    use pgrx::prelude::*;

    /// Path and index of a search, and whether it finds what an exact one finds.
    fn searched(store: &str) -> (String, bool) {
        let query = "ARRAY[sin(7), cos(7), sin(14)]::real[]";
        let path = value(&format!(
            "SELECT path || ' ' || index FROM lake.vector_explain('{store}', {query}, mode => 'approximate')"
        ));
        let found = |mode: &str| {
            value::<Vec<String>>(&format!(
                "SELECT array_agg(id) FROM lake.vector_search('{store}', {query}, mode => '{mode}')"
            ))
        };
        (path, found("approximate") == found("exact"))
    }

    const ROWS: &str = "SELECT i, ARRAY[sin(i), cos(i), sin(2 * i)]::real[]::vector FROM generate_series(1, 1500) i";

    #[pg_test]
    fn vector_columns_without_length_get_an_index_of_the_rows_that_fit() {
        run(&format!(
            "CREATE EXTENSION vector; CREATE TABLE docs (id int PRIMARY KEY, embedding vector);
             INSERT INTO docs {ROWS}; SELECT lake.vector_adopt('docs');
             INSERT INTO docs VALUES (9000, '[1,2]'), (9001, NULL), (9002, '[1,2,3,4]')"
        ));
        for (kind, name) in [
            ("", "public.docs_embedding_hnsw"),
            (", quantization => 'halfvec'", "public.docs_embedding_hnsw_halfvec"),
            (", quantization => 'binary'", "public.docs_embedding_hnsw_binary"),
            (", method => 'ivfflat', lists => 5", "public.docs_embedding_ivfflat"),
        ] {
            // The signs of three numbers tell next to nothing.
            let build = format!(
                "SELECT lake.vector_build_index('docs', replace => true, concurrently => false{kind})"
            );
            if kind.contains("binary") {
                assert_eq!(fault(&build).0, "55000");
                continue;
            }
            run(&build);
            let (path, same) = searched("docs");
            assert_eq!(path, format!("approximate {name}"));
            assert!(same, "{kind}");
            assert_eq!(
                value::<Vec<String>>(
                    "SELECT array_agg(index || ' ' || state) FROM lake.vector_indexes"
                ),
                [format!("{} ready", name.trim_start_matches("public."))]
            );
        }
        // Rows of other lengths come and go as before.
        run(
            "INSERT INTO docs VALUES (9003, '[1]'); UPDATE docs SET embedding = '[5]' WHERE id = 3; DELETE FROM docs WHERE id = 9000",
        );
        assert!(
            value::<f64>(
                "SELECT recall_mean FROM lake.vector_measure_recall('docs', samples => 20)"
            ) > 0.7
        );
        // Of other rows, or of other conditions, no search can use one.
        run("DROP INDEX docs_embedding_ivfflat;
             CREATE INDEX other ON docs USING hnsw ((embedding::vector(2)) vector_cosine_ops) WHERE vector_dims(embedding) = 2;
             CREATE INDEX part ON docs USING hnsw ((embedding::vector(3)) vector_cosine_ops) WHERE vector_dims(embedding) = 3 AND id > 5");
        assert_eq!(
            value::<String>(
                "SELECT path FROM lake.vector_explain('docs', '{1,2,3}', mode => 'approximate')"
            ),
            "exact"
        );
    }

    /// A table of two levels, one partition empty.
    fn partitioned() {
        run(&format!(
            "CREATE EXTENSION vector; CREATE SCHEMA \"Other \"\"x\";
             CREATE TABLE docs (id int PRIMARY KEY, embedding vector(3)) PARTITION BY RANGE (id);
             CREATE TABLE docs_1 PARTITION OF docs FOR VALUES FROM (0) TO (700);
             CREATE TABLE \"Other \"\"x\".\"docs 2\" PARTITION OF docs FOR VALUES FROM (700) TO (5000) PARTITION BY RANGE (id);
             CREATE TABLE docs_2a PARTITION OF \"Other \"\"x\".\"docs 2\" FOR VALUES FROM (700) TO (1400);
             CREATE TABLE docs_2b PARTITION OF \"Other \"\"x\".\"docs 2\" FOR VALUES FROM (1400) TO (5000);
             CREATE TABLE docs_3 PARTITION OF docs FOR VALUES FROM (5000) TO (6000);
             INSERT INTO docs {ROWS}; ANALYZE docs; SELECT lake.vector_adopt('docs')"
        ));
    }

    const INDEXES: &str = "SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
                           JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'hnsw'";

    #[pg_test]
    fn vector_partitioned_tables_get_an_index_part_by_part() {
        partitioned();
        run("SELECT lake.vector_build_index('docs', concurrently => false)");
        let (path, same) = searched("docs");
        assert_eq!(path, "approximate public.docs_embedding_hnsw");
        assert!(same);
        assert_eq!(value::<i64>(INDEXES), 6);
        assert!(value::<bool>(
            "SELECT state = 'ready' AND bytes > 100000 AND built_at IS NOT NULL FROM lake.vector_indexes"
        ));
        let steps: String =
            value("SELECT detail->>'subjects' FROM _lake.job_run ORDER BY run_id DESC LIMIT 1");
        assert!(steps.contains("x\\\".docs_embedding_hnsw_"), "{steps}");
        // A partition that comes later has it too; another build takes its place.
        run("CREATE TABLE docs_4 PARTITION OF docs FOR VALUES FROM (6000) TO (7000);
             SELECT lake.vector_build_index('docs', m => 8, replace => true, concurrently => false)");
        assert_eq!(value::<i64>(INDEXES), 7);
        assert_eq!(searched("docs").0, "approximate public.docs_embedding_hnsw_1");
        assert_eq!(fault("SELECT lake.vector_build_index('docs')").0, "42710");
    }

    #[pg_test]
    fn vector_a_broken_build_of_parts_is_taken_up_again_or_removed() {
        partitioned();
        run("SELECT lake.vector_build_index('docs');
             CREATE INDEX docs_embedding_hnsw ON ONLY docs USING hnsw (embedding vector_cosine_ops);
             INSERT INTO _lake.vector_index (relid, index, kind, begun_at, changes) VALUES ('docs', 'docs_embedding_hnsw', 'hnsw', now(), 0)");
        run(
            "DO $$ BEGIN EXECUTE format('CREATE INDEX docs_embedding_hnsw_%s ON docs_1 USING hnsw (embedding vector_cosine_ops)', \
                 'docs_1'::regclass::oid); END $$",
        );
        assert_eq!(value::<String>("SELECT state FROM lake.vector_indexes"), "building");
        run("SELECT lake.run_job(job_id) FROM lake.jobs WHERE action = 'build_index'");
        assert_eq!(value::<i64>(INDEXES), 6);
        assert_eq!(searched("docs").0, "approximate public.docs_embedding_hnsw");
        // What another build has left behind goes first.
        run("CREATE INDEX gone ON ONLY docs USING hnsw (embedding vector_cosine_ops);
             INSERT INTO _lake.vector_index (relid, index, kind, begun_at, changes) VALUES ('docs', 'gone', 'hnsw', now(), 0);
             SELECT lake.vector_build_index('docs', replace => true, concurrently => false)");
        assert_eq!(value::<i64>(INDEXES), 6);
        assert_eq!(
            value::<Vec<String>>("SELECT array_agg(index::text) FROM lake.vector_indexes"),
            ["docs_embedding_hnsw_1"]
        );
    }

    #[pg_test]
    fn vector_partitions_elsewhere_have_no_index() {
        run("CREATE EXTENSION vector; CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER far FOREIGN DATA WRAPPER nowhere;
             CREATE TABLE docs (id int, embedding vector(3)) PARTITION BY RANGE (id);
             CREATE FOREIGN TABLE docs_1 PARTITION OF docs FOR VALUES FROM (0) TO (9) SERVER far;
             CREATE TABLE near PARTITION OF docs FOR VALUES FROM (9) TO (99);
             INSERT INTO _lake.store (relid, kind, engine, options) VALUES ('docs', 'vector', 'vector', \
                 '{\"id_column\": \"id\", \"embedding_column\": \"embedding\", \"metric\": \"l2\"}')");
        let (code, message) = fault("SELECT lake.vector_build_index('docs')");
        assert_eq!(code, "0A000", "{message}");
        assert!(message.contains("docs_1"), "{message}");
    }
}
