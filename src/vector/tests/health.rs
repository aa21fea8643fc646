//! What `lake.health()` finds in vector stores, and the policy that goes by latency.

#[cfg(any(test, feature = "pg_test"))]
#[pgrx::pg_schema]
mod tests {
    use crate::vector::tests::{Random, run, value};
    use pgrx::prelude::*;

    /// Severity and finding of what is said about something.
    fn findings(like: &str) -> Vec<String> {
        value(&format!(
            "SELECT COALESCE(array_agg(severity || ': ' || subject || ': ' || finding ORDER BY severity, subject, finding), '{{}}') \
             FROM lake.health() WHERE finding LIKE '{like}'"
        ))
    }

    /// Random rows, whose first element is moved by `shift`.
    fn rows(prefix: &str, count: usize, shift: f32) {
        let mut random = Random(5);
        for n in 0..count {
            let mut vector: Vec<f32> = (0..16).map(|_| random.unit()).collect();
            vector[0] += shift;
            run(&format!(
                "INSERT INTO docs (id, embedding) VALUES ('{prefix}{n}', ARRAY{vector:?}::real[]::vector)"
            ));
        }
    }

    fn job(action: &str) {
        run(&format!("SELECT lake.run_job(job_id) FROM lake.jobs WHERE action = '{action}'"));
    }

    #[pg_test]
    fn vector_health_sees_an_index_for_another_metric() {
        run("CREATE EXTENSION vector; SELECT lake.vector_create('docs', 2);
             CREATE INDEX wrong ON docs USING hnsw (embedding vector_l2_ops)");
        let of_metric = "the index % is for another metric%";
        assert_eq!(
            findings(of_metric),
            [
                "warning: public.docs: the index public.wrong is for another metric than cosine, so searches can't use it"
            ]
        );
        run("DROP INDEX wrong; CREATE INDEX right_ ON docs USING hnsw (embedding vector_cosine_ops);
             CREATE INDEX signs ON docs USING hnsw ((binary_quantize(embedding)::bit(2)) bit_hamming_ops)");
        assert!(findings(of_metric).is_empty());
    }

    #[pg_test]
    fn vector_health_sees_rows_that_lie_elsewhere() {
        run("CREATE EXTENSION vector; SELECT lake.vector_create('docs', 16, 'l2')");
        rows("a", 1_200, 0.0);
        run("ANALYZE docs; SELECT lake.vector_build_index('docs', concurrently => false)");
        rows("b", 600, 0.0);
        job("measure_recall");
        let of_drift = "new rows lie%";
        assert!(findings(of_drift).is_empty());
        rows("c", 1_800, 12.0);
        // A measurement is due once a tenth has changed, which is told outside of transactions only.
        run("DELETE FROM _lake.vector_recall");
        job("measure_recall");
        let found = findings(of_drift);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("warning: public.docs: new rows lie"), "{found:?}");
    }

    #[pg_test]
    fn vector_health_sees_lengths_of_several_models() {
        run("CREATE EXTENSION vector; SELECT lake.vector_create('docs', 16, 'l2')");
        rows("a", 1_200, 0.0);
        run("UPDATE docs SET embedding = l2_normalize(embedding) WHERE id LIKE '%3'; ANALYZE docs;
             SELECT lake.vector_build_index('docs', concurrently => false)");
        job("measure_recall");
        let of_lengths = "% of its embeddings have length 1 and the others don''t%";
        assert_eq!(findings(of_lengths).len(), 1);
        // It goes once it isn't so any more, and is the owner's.
        run("CREATE ROLE lake_test_reader; SET ROLE lake_test_reader");
        assert!(findings(of_lengths).is_empty());
        run(
            "RESET ROLE; UPDATE docs SET embedding = l2_normalize(embedding); DELETE FROM _lake.vector_recall",
        );
        job("measure_recall");
        assert!(findings(of_lengths).is_empty());
    }

    #[pg_test]
    fn vector_health_sees_poor_recall() {
        run("CREATE EXTENSION vector; SELECT lake.vector_create('docs', 16)");
        rows("a", 1_500, 0.0);
        run("CREATE INDEX thin ON docs USING hnsw (embedding vector_cosine_ops) WITH (m = 2, ef_construction = 4);
             SELECT lake.vector_measure_recall('docs', ef_search => 1)");
        let of_recall = "the index public.thin finds%";
        assert_eq!(findings(of_recall).len(), 1);
        run("DROP INDEX thin");
        assert!(findings(of_recall).is_empty());
    }

    #[pg_test]
    fn vector_health_knows_bad_versions() {
        run("CREATE EXTENSION vector; SELECT lake.vector_create('docs', 2);
             UPDATE pg_extension SET extversion = '0.8.1' WHERE extname = 'vector'");
        let of_versions = "vacuum can damage HNSW%";
        assert_eq!(findings(of_versions).len(), 1);
        assert!(findings(of_versions)[0].starts_with("warning: vector 0.8.1: "));
        run("CREATE INDEX ON docs USING hnsw (embedding vector_cosine_ops)");
        assert!(findings(of_versions)[0].starts_with("error: vector 0.8.1: "));
        run("UPDATE pg_extension SET extversion = '99.0' WHERE extname = 'vector'");
        assert!(findings(of_versions).is_empty());
    }

    #[pg_test]
    fn vector_health_sees_large_stores_without_index() {
        run("CREATE EXTENSION vector; CREATE TABLE docs (id int PRIMARY KEY, embedding vector(1)); SELECT lake.vector_adopt('docs');
             INSERT INTO docs SELECT n, ARRAY[n]::real[]::vector FROM generate_series(1, 50000) n; ANALYZE docs");
        let of_none = "the store has about % rows and no index%";
        assert_eq!(
            findings(of_none),
            [
                "warning: public.docs: the store has about 50000 rows and no index, so every search reads all of them"
            ]
        );
        run("SELECT lake.vector_set_index_policy('docs')");
        assert!(findings(of_none).is_empty());
    }

    #[pg_test]
    fn vector_policy_goes_by_latency_too() {
        run("CREATE EXTENSION vector; SELECT lake.vector_create('docs', 1, 'l2')");
        let builds = || value::<i64>("SELECT count(*) FROM lake.jobs WHERE action = 'build_index'");
        let policy = |max_ms: &str| {
            run(&format!(
                "SELECT lake.vector_set_index_policy('docs', min_rows => 1000000, max_exact_ms => {max_ms})"
            ));
            // The first look can't know whether the store is still growing.
            for _ in 0..3 {
                job("auto_index");
            }
        };
        run(
            "INSERT INTO docs (id, embedding) SELECT n, ARRAY[n]::real[]::vector FROM generate_series(1, 4000) n; ANALYZE docs",
        );
        policy("0.000001");
        assert_eq!(builds(), 0, "of few rows nothing is measured");
        run(
            "INSERT INTO docs (id, embedding) SELECT n, ARRAY[n]::real[]::vector FROM generate_series(4001, 6000) n; ANALYZE docs",
        );
        policy("1e9");
        assert_eq!(builds(), 0);
        policy("0.000001");
        assert_eq!(builds(), 1);
    }
}
