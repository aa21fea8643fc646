//! Tuning, and the check of a new index.

#[cfg(any(test, feature = "pg_test"))]
#[pgrx::pg_schema]
mod tests {
    use crate::vector::tests::{Random, fault, run, value};
    use pgrx::prelude::*;

    fn random_rows(rows: usize) {
        run("CREATE EXTENSION vector; SELECT lake.vector_create('docs', 8)");
        let mut random = Random(11);
        for n in 0..rows {
            let vector: Vec<f32> = (0..8).map(|_| random.unit()).collect();
            run(&format!(
                "INSERT INTO docs (id, embedding) VALUES ('r{n:04}', ARRAY{vector:?}::real[]::vector)"
            ));
        }
    }

    const PROBES: &str = "SELECT (options->'probes'->>'probes')::int FROM _lake.store";

    #[pg_test]
    fn vector_tune_finds_the_lists_that_are_worth_searching() {
        random_rows(1_500);
        run(
            "CREATE INDEX by_lists ON docs USING ivfflat (embedding vector_cosine_ops) WITH (lists = 40)",
        );
        let measure = "SELECT recall_mean FROM lake.vector_measure_recall('docs')";
        assert_eq!(value::<i32>("SELECT probes FROM lake.vector_measure_recall('docs')"), 6);
        run(
            "CREATE TEMP TABLE tuned AS SELECT * FROM lake.vector_tune('docs', target => 0.99, samples => 60)",
        );
        assert!(value::<bool>(
            "SELECT reached AND recall_mean >= 0.99 AND ef_search IS NULL FROM tuned"
        ));
        let tuned: i32 = value("SELECT probes FROM tuned");
        assert!((7..=40).contains(&tuned), "{tuned}");
        assert_eq!(value::<i32>(PROBES), tuned);
        // Searches heed it, and so do measurements.
        assert_eq!(value::<i32>("SELECT probes FROM lake.vector_measure_recall('docs')"), tuned);
        assert!(value::<f64>(measure) >= 0.97);
        let kept: Vec<Option<i32>> = value(
            "SELECT array_agg(probes ORDER BY measured_at) FROM lake.vector_recall WHERE ef_search IS NULL",
        );
        assert_eq!(kept.len(), 4);
        // All lists find all there is.
        assert!(value::<bool>(
            "SELECT recall_mean = 1 FROM lake.vector_tune('docs', target => 1, worst => 1)"
        ));
        // Of another number of lists nothing is known.
        run(
            "DROP INDEX by_lists; CREATE INDEX by_lists ON docs USING ivfflat (embedding vector_cosine_ops) WITH (lists = 9)",
        );
        assert_eq!(value::<i32>("SELECT probes FROM lake.vector_measure_recall('docs')"), 3);
        run(
            "CREATE ROLE lake_test_reader; GRANT ALL ON docs TO lake_test_reader; SET ROLE lake_test_reader",
        );
        assert_eq!(fault("SELECT lake.vector_tune('docs')").0, "42501");
    }

    #[pg_test]
    fn vector_an_index_over_copies_is_good() {
        run("CREATE EXTENSION vector; SELECT lake.vector_create('docs', 3);
             INSERT INTO docs (id, embedding) SELECT n, ARRAY[n % 3 + 1, 1, 1]::real[]::vector FROM generate_series(1, 1500) n;
             SELECT lake.vector_build_index('docs', concurrently => false)");
        assert_eq!(value::<f64>("SELECT recall FROM _lake.vector_index"), 1.0);
    }
}
