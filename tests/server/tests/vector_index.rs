//! Indexes built by real workers: concurrently, past crashes, cancels and drops, as owners who can't log in.

use lake_server_tests::stores::{make_due, outcomes};
use lake_server_tests::{Cluster, Options, SOON, failure, poll, poll_value};
use postgres::Client;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// A build of 20,000 rows takes half a minute on a busy machine.
const LONG: Duration = Duration::from_secs(180);

static CLUSTER: LazyLock<Cluster> = LazyLock::new(cluster);

fn cluster() -> Cluster {
    let cluster = Cluster::start(Options::preloaded().preload(&["lake_stores"]));
    let mut db = cluster.connect("postgres", "postgres");
    db.batch_execute(r#"CREATE ROLE "al""ice; --" NOLOGIN; CREATE ROLE bob LOGIN"#).unwrap();
    cluster
}

/// A database with a store of a hostile name, owned by a role that can't log in.
fn database<'a>(cluster: &Cluster, name: &str, dimensions: i32, rows: i32) -> (Client, &'a str) {
    cluster.create_database(name, &["vector", "lake_stores"]);
    let mut db = cluster.connect(name, "postgres");
    let store = r#"app."My ""Docs; --""#;
    db.batch_execute(&format!(
        r#"CREATE SCHEMA app AUTHORIZATION "al""ice; --";
           SET ROLE "al""ice; --";
           SELECT lake.vector_create('{store}', {dimensions}, options => '{{"index": "none"}}');
           RESET ROLE;"#
    ))
    .unwrap();
    fill(&mut db, store, "r", dimensions, rows);
    db.batch_execute(&format!("ANALYZE {store}")).unwrap();
    (db, store)
}

fn fill(db: &mut Client, store: &str, prefix: &str, dimensions: i32, rows: i32) {
    db.batch_execute(&format!(
        "INSERT INTO {store} SELECT '{prefix}' || i, \
             (SELECT array_agg(random() - 0.5) FROM generate_series(1, {dimensions}) g WHERE g + i > 0)::real[]::vector \
         FROM generate_series(1, {rows}) i"
    ))
    .unwrap();
}

fn build(db: &mut Client, store: &str, options: &str) -> i64 {
    let sql = format!("SELECT lake.vector_build_index('{store}'{options})");
    db.query_one(&sql, &[]).unwrap_or_else(|e| panic!("{sql}: {e}")).get(0)
}

/// State, index and definition of the indexes.
fn indexes(db: &mut Client) -> Vec<(String, String, String)> {
    db.query(
        "SELECT state, index::text, definition FROM lake.vector_indexes ORDER BY index::oid",
        &[],
    )
    .unwrap()
    .iter()
    .map(|row| (row.get(0), row.get(1), row.get(2)))
    .collect()
}

fn states(db: &mut Client) -> Vec<String> {
    indexes(db).into_iter().map(|(state, ..)| state).collect()
}

fn wait_until_building(db: &mut Client) -> i32 {
    poll_value(SOON, "a build", || {
        db.query_opt(
            "SELECT p.pid FROM pg_stat_progress_create_index p \
             WHERE p.datname = current_database() AND p.tuples_done > 100",
            &[],
        )
        .unwrap()
        .map(|row| row.get(0))
    })
    .0
}

#[track_caller]
fn wait_for(db: &mut Client, job: i64, outcome: &str) {
    poll(LONG, outcome, || outcomes(db, job).first().is_some_and(|last| last == outcome));
}

#[test]
fn writers_go_on_while_an_index_is_built() {
    let (mut db, store) = database(&CLUSTER, "writers", 64, 8_000);
    let job = build(&mut db, store, "");
    wait_until_building(&mut db);
    let mut slowest = Duration::ZERO;
    let mut written = 0;
    while states(&mut db) == ["building"] {
        let start = Instant::now();
        fill(&mut db, store, &format!("w{written}_"), 64, 1);
        slowest = slowest.max(start.elapsed());
        written += 1;
    }
    assert!(written > 5, "only {written} rows were written meanwhile");
    assert!(slowest < Duration::from_secs(3), "a writer waited {slowest:?}");
    wait_for(&mut db, job, "success");
    assert_eq!(states(&mut db), ["ready"]);
    let row = db
        .query_one(
            r#"SELECT pg_get_userbyid(c.relowner)::text, x.rows_at_build, x.built_at IS NOT NULL
               FROM lake.vector_indexes x JOIN pg_class c ON c.oid = x.index"#,
            &[],
        )
        .unwrap();
    assert_eq!(row.get::<_, String>(0), r#"al"ice; --"#);
    assert!(row.get::<_, i64>(1) >= 8_000);
    assert!(row.get::<_, bool>(2));
    let gone = db.query_one("SELECT count(*) FROM lake.jobs WHERE action = 'build_index'", &[]);
    assert_eq!(gone.unwrap().get::<_, i64>(0), 0, "a build that is done leaves no job");

    let found = db
        .query_one(
            &format!("SELECT recall_mean, recall_worst FROM lake.vector_measure_recall('{store}', samples => 30)"),
            &[],
        )
        .unwrap();
    assert!(found.get::<_, f64>(0) > 0.8);
    assert!(found.get::<_, f64>(1) <= found.get::<_, f64>(0));
    let tuned = db
        .query_one(
            &format!("SELECT ef_search, reached, recall_mean FROM lake.vector_tune('{store}', 0.9, samples => 30)"),
            &[],
        )
        .unwrap();
    assert!(tuned.get::<_, bool>(1), "0.9 can be reached");
    assert!(tuned.get::<_, f64>(2) >= 0.9);
    let kept = db.query_one("SELECT (options->>'ef_search')::int FROM _lake.store", &[]).unwrap();
    assert_eq!(kept.get::<_, i32>(0), tuned.get::<_, i32>(0));
}

#[test]
fn a_killed_build_is_taken_up_again() {
    let cluster = cluster();
    let (mut db, store) = database(&cluster, "killed", 64, 8_000);
    let job = build(&mut db, store, "");
    let pid = wait_until_building(&mut db);
    cluster.signal("KILL", pid);
    poll(SOON, "the server again", || {
        cluster
            .try_connect("killed", "postgres")
            .is_ok_and(|mut c| c.simple_query("SELECT 1").is_ok())
    });
    let mut db = cluster.connect("killed", "postgres");
    wait_for(&mut db, job, "crash");
    assert_eq!(states(&mut db), ["invalid"], "what the crash left behind");
    make_due(&mut db, job);
    wait_for(&mut db, job, "success");
    assert_eq!(states(&mut db), ["ready"], "the leftover is gone");
}

#[test]
fn a_terminated_build_is_taken_up_again() {
    let (mut db, store) = database(&CLUSTER, "terminated", 64, 8_000);
    let job = build(&mut db, store, "");
    let pid = wait_until_building(&mut db);
    CLUSTER.signal("TERM", pid);
    wait_for(&mut db, job, "failure");
    let code = db.query_one("SELECT sqlstate FROM lake.job_runs", &[]).unwrap();
    assert_eq!(code.get::<_, String>(0), "57P01");
    make_due(&mut db, job);
    wait_for(&mut db, job, "success");
    assert_eq!(states(&mut db), ["ready"]);
}

#[test]
fn a_cancelled_build_leaves_nothing() {
    let (mut db, store) = database(&CLUSTER, "cancelled", 64, 8_000);
    let job = build(&mut db, store, "");
    wait_until_building(&mut db);
    let mut bob = CLUSTER.connect("cancelled", "bob");
    bob.batch_execute("SELECT 1").unwrap();
    let refused = failure(bob.simple_query(&format!(
        "SELECT lake.vector_cancel_build({}::oid::regclass)",
        db.query_one("SELECT relid::oid::int8 FROM _lake.store", &[]).unwrap().get::<_, i64>(0)
    )));
    assert_eq!(refused.code, "42501");
    let sql = format!("SELECT lake.vector_cancel_build('{store}')");
    assert!(db.query_one(&sql, &[]).unwrap().get::<_, bool>(0));
    wait_for(&mut db, job, "failure");
    poll(SOON, "nothing left", || indexes(&mut db).is_empty());
    let jobs = db.query_one("SELECT count(*) FROM lake.jobs", &[]).unwrap();
    assert_eq!(jobs.get::<_, i64>(0), 0);
    assert!(!db.query_one(&sql, &[]).unwrap().get::<_, bool>(0), "there is none any more");
}

#[test]
fn a_database_can_be_dropped_while_an_index_is_built() {
    let (mut db, store) = database(&CLUSTER, "doomed", 64, 8_000);
    build(&mut db, store, "");
    wait_until_building(&mut db);
    drop(db);
    let mut db = CLUSTER.connect("postgres", "postgres");
    let start = Instant::now();
    db.batch_execute("DROP DATABASE doomed").unwrap();
    assert!(start.elapsed() < Duration::from_secs(5), "it took {:?}", start.elapsed());
}

#[test]
fn the_extension_can_be_dropped_while_an_index_is_built() {
    let (mut db, store) = database(&CLUSTER, "without", 64, 8_000);
    build(&mut db, store, "");
    let pid = wait_until_building(&mut db);
    let start = Instant::now();
    db.batch_execute("DROP EXTENSION lake_stores").unwrap();
    assert!(start.elapsed() < Duration::from_secs(5), "it took {:?}", start.elapsed());
    poll(LONG, "the end of the builder", || {
        db.query_opt("SELECT FROM pg_stat_activity WHERE pid = $1", &[&pid]).unwrap().is_none()
    });
    let valid = db
        .query_one(
            "SELECT i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
             JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'hnsw'",
            &[],
        )
        .unwrap();
    assert!(valid.get::<_, bool>(0), "the index stays, and is good");
}

#[test]
fn an_index_is_replaced_under_running_searches() {
    let (mut db, store) = database(&CLUSTER, "replaced", 32, 3_000);
    let first = build(&mut db, store, "");
    wait_for(&mut db, first, "success");
    let old = indexes(&mut db)[0].1.clone();
    let again = failure(db.simple_query(&format!("SELECT lake.vector_build_index('{store}')")));
    assert_eq!(again.code, "42710");
    assert!(again.hint.unwrap().contains("replace"));

    let job = build(&mut db, store, ", m => 8, replace => true");
    let search = format!(
        "SELECT count(*) FROM lake.vector_search('{store}', \
             (SELECT embedding::real[] FROM {store} LIMIT 1), mode => 'approximate')"
    );
    let path = format!(
        "SELECT path FROM lake.vector_explain('{store}', \
             (SELECT embedding::real[] FROM {store} LIMIT 1), mode => 'approximate')"
    );
    while outcomes(&mut db, job).first().is_none_or(|last| last == "running") {
        assert_eq!(db.query_one(&search, &[]).unwrap().get::<_, i64>(0), 10);
        assert_eq!(db.query_one(&path, &[]).unwrap().get::<_, String>(0), "approximate");
    }
    assert_eq!(outcomes(&mut db, job), ["success"]);
    let now = indexes(&mut db);
    assert_eq!(now.len(), 1, "{now:?}");
    assert_ne!(now[0].1, old);
    assert!(now[0].2.contains("m='8'"), "{now:?}");
}

#[test]
fn wide_vectors_are_indexed_by_halves_and_bits() {
    for (name, dimensions, options, expected) in [
        ("narrow_half", 384, ", quantization => 'halfvec'", "halfvec(384)) halfvec_cosine_ops"),
        ("narrow_bits", 384, ", quantization => 'binary'", "bit(384)) bit_hamming_ops"),
        ("wide_half", 2_001, "", "halfvec(2001)) halfvec_cosine_ops"),
        ("wide_bits", 4_001, "", "bit(4001)) bit_hamming_ops"),
    ] {
        let (mut db, store) = database(&CLUSTER, name, dimensions, 300);
        let job = build(&mut db, store, options);
        wait_for(&mut db, job, "success");
        let built = indexes(&mut db);
        assert_eq!(built.len(), 1, "{name}: {built:?}");
        assert_eq!(built[0].0, "ready", "{name}");
        assert!(built[0].2.contains(expected), "{name}: {}", built[0].2);
        let checked = db.query_one("SELECT recall FROM _lake.vector_index", &[]).unwrap();
        assert!(checked.get::<_, f64>(0) > 0.7, "{name}: {:?}", checked.get::<_, f64>(0));
    }
}

#[test]
fn a_useless_index_is_refused_and_removed() {
    let (mut db, store) = database(&CLUSTER, "useless", 16, 500);
    // Signs of numbers that are all positive say nothing.
    db.batch_execute(&format!(
        "UPDATE {store} SET embedding = (SELECT array_agg(abs(v)) FROM unnest(embedding::real[]) v)::vector"
    ))
    .unwrap();
    let job = build(&mut db, store, ", quantization => 'binary'");
    wait_for(&mut db, job, "failure");
    let run = db.query_one("SELECT sqlstate, message FROM lake.job_runs", &[]).unwrap();
    assert_eq!(run.get::<_, String>(0), "55000");
    assert!(run.get::<_, String>(1).contains("candidates"), "{}", run.get::<_, String>(1));
    assert!(indexes(&mut db).is_empty());
}

#[test]
fn a_store_that_has_grown_gets_its_index() {
    let (mut db, store) = database(&CLUSTER, "grown", 8, 2_000);
    db.batch_execute(&format!("SELECT lake.vector_set_index_policy('{store}', min_rows => 1000)"))
        .unwrap();
    let look = db
        .query_one("SELECT job_id FROM lake.jobs WHERE action = 'auto_index'", &[])
        .unwrap()
        .get(0);
    // The first look can't know whether the store is still growing, and statistics come late.
    let mut looks = 0;
    poll(LONG, "a look that asks for an index", || {
        make_due(&mut db, look);
        looks += 1;
        poll(SOON, "a look", || {
            outcomes(&mut db, look).iter().filter(|o| *o == "success").count() >= looks
        });
        let asked = "SELECT EXISTS (SELECT FROM lake.job_runs WHERE action = 'build_index') \
                         OR EXISTS (SELECT FROM lake.jobs WHERE action = 'build_index')";
        db.query_one(asked, &[]).unwrap().get(0)
    });
    assert!(looks >= 2, "asked for at the first look");
    poll(LONG, "an index", || states(&mut db) == ["ready"]);
    poll(LONG, "a measurement", || {
        db.query_one("SELECT count(*) FROM lake.vector_recall", &[]).unwrap().get::<_, i64>(0) > 0
    });
}

#[test]
fn a_partitioned_table_gets_its_index_while_writers_go_on() {
    CLUSTER.create_database("parts", &["vector", "lake_stores"]);
    let mut db = CLUSTER.connect("parts", "postgres");
    db.batch_execute(
        "CREATE TABLE docs (id text PRIMARY KEY, embedding vector(64)) PARTITION BY HASH (id); \
         CREATE TABLE docs_0 PARTITION OF docs FOR VALUES WITH (MODULUS 2, REMAINDER 0); \
         CREATE TABLE docs_1 PARTITION OF docs FOR VALUES WITH (MODULUS 2, REMAINDER 1); \
         SELECT lake.vector_adopt('docs')",
    )
    .unwrap();
    fill(&mut db, "docs", "r", 64, 8_000);
    db.batch_execute("ANALYZE docs").unwrap();
    // Cancelled, it leaves nothing.
    let hnsw =
        "SELECT count(*) FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'hnsw'";
    let count = |db: &mut Client| db.query_one(hnsw, &[]).unwrap().get::<_, i64>(0);
    build(&mut db, "docs", "");
    wait_until_building(&mut db);
    assert_eq!(states(&mut db), ["building"]);
    db.batch_execute("SELECT lake.vector_cancel_build('docs')").unwrap();
    poll(LONG, "nothing left", || count(&mut db) == 0);
    // Killed in the middle, it is taken up where it was.
    let job = build(&mut db, "docs", "");
    let pid = wait_until_building(&mut db);
    fill(&mut db, "docs", "meanwhile", 64, 1);
    assert_eq!(states(&mut db), ["building"], "the writer waited");
    db.execute("SELECT pg_terminate_backend($1)", &[&pid]).unwrap();
    poll(LONG, "the index", || states(&mut db) == ["ready"]);
    wait_for(&mut db, job, "success");
    assert_eq!(count(&mut db), 3);
}

#[test]
fn the_worker_makes_the_indexes_of_a_load_again_while_writers_go_on() {
    let (mut db, store) = database(&CLUSTER, "loaded", 64, 8_000);
    db.batch_execute(&format!(
        "CREATE INDEX \"One \"\"x\" ON {store} USING hnsw (embedding vector_cosine_ops) WITH (m = 8); \
         CREATE INDEX two ON {store} USING ivfflat (embedding vector_cosine_ops) WITH (lists = 9); \
         SELECT lake.vector_begin_load('{store}')"
    ))
    .unwrap();
    assert!(indexes(&mut db).is_empty());
    let made: i32 =
        db.query_one(&format!("SELECT lake.vector_end_load('{store}')"), &[]).unwrap().get(0);
    assert_eq!(made, 2);
    let pid = wait_until_building(&mut db);
    fill(&mut db, store, "meanwhile", 64, 1);
    assert_eq!(states(&mut db), ["building"], "the writer waited");
    // A crash in the middle is made good by the next run.
    db.execute("SELECT pg_terminate_backend($1)", &[&pid]).unwrap();
    poll(LONG, "both indexes", || states(&mut db) == ["ready", "ready"]);
    let names: Vec<String> = indexes(&mut db).into_iter().map(|(_, name, _)| name).collect();
    assert_eq!(names, ["app.\"One \"\"x\"", "app.two"]);
    poll(LONG, "the end of the job", || {
        let jobs = "SELECT count(*) FROM lake.jobs WHERE action = 'build_index'";
        db.query_one(jobs, &[]).unwrap().get::<_, i64>(0) == 0
    });
}

#[test]
fn filters_of_ended_sessions_count_and_begin_anew_with_the_server() {
    let cluster = cluster();
    let (mut db, store) = database(&cluster, "counted", 2, 10);
    let used = |db: &mut Client| -> i64 {
        let sql =
            "SELECT coalesce(sum(uses), 0)::bigint FROM lake.vector_filter_keys WHERE key = 'year'";
        db.query_one(sql, &[]).unwrap().get(0)
    };
    for _ in 0..3 {
        let mut session = cluster.connect("counted", "postgres");
        for _ in 0..5 {
            session
                .execute(&format!("SELECT lake.vector_count('{store}', '{{\"year\": 1}}')"), &[])
                .unwrap();
        }
    }
    poll(SOON, "the counts of the sessions", || used(&mut db) == 15);
    // Another database has its own.
    let (mut other, _) = database(&cluster, "others", 2, 10);
    assert_eq!(used(&mut other), 0);
    drop((db, other));
    cluster.restart();
    assert_eq!(used(&mut cluster.connect("counted", "postgres")), 0);
}

#[test]
fn health_sees_a_graph_that_is_older_than_its_rows() {
    let (mut db, store) = database(&CLUSTER, "stale", 3, 300);
    let job = build(&mut db, store, ", concurrently => false");
    assert!(job > 0);
    let stale =
        "SELECT finding FROM lake.health() WHERE finding LIKE '% changes since the index %'";
    assert!(db.query_opt(stale, &[]).unwrap().is_none());
    db.batch_execute(&format!(
        "UPDATE {store} SET metadata = '{{\"a\": 1}}'; DELETE FROM {store} WHERE id <> 'r1'"
    ))
    .unwrap();
    for _ in 0..10_500 / 300 {
        fill(&mut db, store, "n", 3, 300);
        db.batch_execute(&format!("DELETE FROM {store} WHERE id <> 'r1'")).unwrap();
    }
    poll(SOON, "the finding", || db.query_opt(stale, &[]).unwrap().is_some());
    // Nearly all of it is dead, which an index walks past.
    let dead = "SELECT finding FROM lake.health() WHERE finding LIKE '% rows are dead%'";
    db.batch_execute(&format!("ALTER TABLE {store} SET (autovacuum_enabled = off)")).unwrap();
    poll(SOON, "the dead rows", || {
        fill(&mut db, store, "d", 3, 3_000);
        db.batch_execute(&format!("DELETE FROM {store} WHERE id <> 'r1'")).unwrap();
        db.query_opt(dead, &[]).unwrap().is_some()
    });
    db.batch_execute(&format!("VACUUM {store}")).unwrap();
    poll(SOON, "no dead rows", || db.query_opt(dead, &[]).unwrap().is_none());
}

#[test]
fn a_standby_searches_and_writes_nothing() {
    let cluster = cluster();
    let (mut primary, store) = database(&cluster, "streamed", 8, 300);
    primary
        .batch_execute(&format!("CREATE INDEX ON {store} USING hnsw (embedding vector_cosine_ops)"))
        .unwrap();
    let standby = cluster.standby();
    let mut db = standby.connect("streamed", "postgres");
    let nearest = |db: &mut Client, mode: &str| -> String {
        let sql = format!(
            "SELECT string_agg(id, ',' ORDER BY distance, id) FROM lake.vector_search('{store}', \
                 (SELECT embedding::real[] FROM {store} WHERE id = 'r7'), 5, mode => '{mode}')"
        );
        db.query_one(&sql, &[]).unwrap_or_else(|e| panic!("{sql}: {e}")).get(0)
    };
    for mode in ["exact", "approximate", "auto"] {
        assert_eq!(nearest(&mut db, mode), nearest(&mut primary, mode), "{mode}");
    }
    // A session there remembers the store, and hears of what changes on the primary.
    primary
        .batch_execute(&format!(
            "SELECT lake.vector_upsert('{store}', 'twin', (SELECT embedding::real[] FROM {store} WHERE id = 'r7')); \
             DROP INDEX app.\"My \"\"Docs; --_embedding_idx\""
        ))
        .unwrap();
    poll(SOON, "the new row", || nearest(&mut db, "auto").starts_with("r7,twin,"));
    // What is filtered by is counted there too, and found by the same views.
    let filtered = format!("SELECT lake.vector_count('{store}', '{{\"year\": 1}}')");
    db.execute(&filtered, &[]).unwrap();
    let used = "SELECT uses FROM lake.vector_filter_keys WHERE key = 'year'";
    assert_eq!(db.query_one(used, &[]).unwrap().get::<_, i64>(0), 1);
    for call in [
        format!("lake.vector_build_index('{store}')"),
        format!("lake.vector_upsert('{store}', 'x', array_fill(1, ARRAY[8])::real[])"),
        format!("lake.vector_tune('{store}')"),
    ] {
        let refused = failure(db.simple_query(&format!("SELECT {call}")));
        assert!(["25006", "55000"].contains(&refused.code.as_str()), "{call}: {refused:?}");
    }
}
