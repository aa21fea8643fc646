//! Vector stores through dump and restore: a load that goes on, what was measured, what was tuned.

use lake_server_tests::{Cluster, Options};
use postgres::Client;

const STORE: &str = r#"app."My ""Docs; --""#;

fn text(db: &mut Client, sql: &str) -> String {
    db.query_one(sql, &[]).unwrap_or_else(|e| panic!("{sql}: {e}")).get(0)
}

fn source(cluster: &Cluster) -> Client {
    cluster.create_database("source", &["vector", "lake_stores"]);
    let mut db = cluster.connect("source", "postgres");
    db.batch_execute(&format!(
        r#"ALTER DATABASE source SET lake_stores.jobs = off; SET lake_stores.jobs = off;
           CREATE ROLE ada; CREATE SCHEMA app AUTHORIZATION ada; SET ROLE ada;
           SELECT lake.vector_create('{STORE}', 3);
           INSERT INTO {STORE} SELECT i, ARRAY[sin(i), cos(i), sin(2 * i)]::real[]::vector FROM generate_series(1, 1500) i;
           CREATE INDEX "By ""way" ON {STORE} USING hnsw (embedding vector_cosine_ops) WITH (m = 8);
           COMMENT ON INDEX app."By ""way" IS 'it''s mine';
           SELECT lake.vector_measure_recall('{STORE}', samples => 20);
           SELECT lake.vector_tune('{STORE}', 0.5, samples => 20);
           SELECT lake.vector_begin_load('{STORE}');
           SELECT lake.vector_upsert('{STORE}', 'late', '{{1,0,0}}'); RESET ROLE"#
    ))
    .unwrap_or_else(|e| panic!("{e}"));
    db
}

fn summary(db: &mut Client) -> Vec<String> {
    [
        "SELECT string_agg(concat_ws('|', store, index, k, samples, ef_search, recall_mean, exact_ms, rows, measured_at), ';' ORDER BY measured_at) FROM lake.vector_recall",
        "SELECT string_agg(concat_ws('|', relid, begun_by, indexes), ';') FROM _lake.vector_load",
        "SELECT string_agg(concat_ws('|', store, options), ';') FROM lake.stores",
        "SELECT string_agg(concat_ws('|', store, action), ';' ORDER BY action) FROM lake.jobs",
        "SELECT finding FROM lake.health() WHERE finding LIKE 'a load began%'",
    ]
    .map(|sql| text(db, sql))
    .to_vec()
}

#[test]
fn a_load_and_what_was_measured_survive() {
    let cluster = Cluster::start(Options::preloaded().preload(&["lake_stores"]));
    let mut db = source(&cluster);
    let before = summary(&mut db);
    let file = cluster.host().join("source.dump");
    cluster.run(
        cluster
            .tool("pg_dump")
            .args(["-U", "postgres", "-F", "c", "-d", "source", "-f"])
            .arg(&file),
    );
    cluster.create_database("copy", &[]);
    cluster
        .connect("postgres", "postgres")
        .batch_execute("ALTER DATABASE copy SET lake_stores.jobs = off")
        .unwrap();
    cluster.run(cluster.tool("pg_restore").args(["-e", "-j", "2", "-d", "copy"]).arg(&file));
    let mut copy = cluster.connect("copy", "postgres");
    assert_eq!(summary(&mut copy), before);

    // It is alive: the load ends, measuring goes on, and what was tuned is heeded.
    let ended = format!("SELECT lake.vector_end_load('{STORE}', concurrently => false)::text");
    assert_eq!(text(&mut copy, &ended), "1");
    let index = "SELECT indexdef || ' ' || obj_description('app.\"By \"\"way\"'::regclass) FROM pg_indexes WHERE indexname = 'By \"way'";
    let definition = text(&mut copy, index);
    assert!(definition.contains("hnsw (embedding vector_cosine_ops) WITH (m='8')"), "{definition}");
    assert!(definition.ends_with("it's mine"), "{definition}");
    let explained = format!(
        "SELECT path || ' ' || ef_search FROM lake.vector_explain('{STORE}', '{{1,0,0}}', mode => 'approximate', k => 5)"
    );
    let tuned = text(&mut copy, "SELECT options->>'ef_search' FROM lake.stores");
    assert_eq!(text(&mut copy, &explained), format!("approximate {tuned}"));
    copy.execute(&format!("SELECT lake.vector_measure_recall('{STORE}', samples => 5)"), &[])
        .unwrap();
    let ids = "SELECT (max(measurement_id) > min(measurement_id) AND count(*) = count(DISTINCT measurement_id))::text || count(*) FROM _lake.vector_recall";
    assert_eq!(text(&mut copy, ids), "true3");
}
