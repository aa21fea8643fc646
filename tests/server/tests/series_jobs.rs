//! Time-series stores under a real worker: chunks are made ahead, old ones dropped.

use lake_server_tests::stores::{make_due, outcomes};
use lake_server_tests::{Cluster, Options, SOON, lacks, poll};
use postgres::Client;
use std::sync::LazyLock;

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    let cluster = Cluster::start(Options::preloaded());
    let mut db = cluster.connect("postgres", "postgres");
    db.batch_execute("CREATE ROLE alice NOLOGIN; CREATE ROLE bob LOGIN").unwrap();
    cluster
});

fn chunks(db: &mut Client) -> Vec<String> {
    db.query("SELECT chunk::text FROM lake.chunks ORDER BY range_start", &[])
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect()
}

fn job(db: &mut Client, action: &str) -> i64 {
    db.query_one("SELECT job_id FROM lake.jobs WHERE action = $1", &[&action]).unwrap().get(0)
}

/// A store of alice's, who can't log in, with points of forty days and retention of ten.
fn store(database: &str, engine: &str) -> Client {
    let extensions: &[&str] =
        if engine == "timescaledb" { &["timescaledb", "lake_stores"] } else { &["lake_stores"] };
    CLUSTER.create_database(database, extensions);
    let mut db = CLUSTER.connect(database, "postgres");
    db.batch_execute(&format!(
        "CREATE SCHEMA app AUTHORIZATION alice;
         SET ROLE alice;
         SELECT lake.series_create('app.metrics', chunk_interval => '1 day', engine => '{engine}');
         SELECT lake.series_ingest('app.metrics',
             array_agg(now() - n * interval '1 day'), array_agg('cpu'::text), array_agg('{{}}'::jsonb),
             array_agg(n::float8))
         FROM generate_series(0, 40) n;
         RESET ROLE"
    ))
    .unwrap_or_else(|e| panic!("{e}"));
    db
}

fn retention(database: &str, engine: &str) {
    let mut db = store(database, engine);
    let before = chunks(&mut db);
    assert!(before.len() >= 41, "{before:?}");
    db.batch_execute(
        "SET ROLE alice; SELECT lake.series_set_retention('app.metrics', '10 days'); RESET ROLE",
    )
    .unwrap();
    let retention = job(&mut db, "retention");
    poll(SOON, "the run", || {
        let seen = outcomes(&mut db, retention);
        assert!(!seen.contains(&"failure".to_owned()), "{}", CLUSTER.log());
        seen.first().is_some_and(|o| o == "success")
    });
    let run = db
        .query_one(
            "SELECT steps, bytes_before > 0, jsonb_array_length(detail->'subjects')::int8 \
             FROM lake.job_runs WHERE job_id = $1 AND steps > 0",
            &[&retention],
        )
        .unwrap();
    let dropped = (before.len() - chunks(&mut db).len()) as i64;
    assert!((29..=31).contains(&dropped), "{dropped} chunks dropped");
    assert_eq!(run.get::<_, i64>(0), dropped, "a step for each chunk");
    assert!(run.get::<_, bool>(1));
    assert_eq!(run.get::<_, i64>(2), dropped);
    let oldest: bool = db
        .query_one(
            "SELECT min(ts) > now() - interval '12 days' AND count(*) >= 10 FROM app.metrics",
            &[],
        )
        .unwrap()
        .get(0);
    assert!(oldest, "what is to be kept is there");
    let owner: bool = db
        .query_one(
            "SELECT bool_and(pg_get_userbyid(c.relowner) = 'alice') FROM pg_class c \
             JOIN pg_inherits i ON i.inhrelid = c.oid",
            &[],
        )
        .unwrap()
        .get(0);
    assert!(owner, "chunks belong to the store's owner");
}

#[test]
fn retention_on_native_partitions() {
    retention("native", "native");
}

#[test]
fn retention_on_a_hypertable() {
    if lacks("timescaledb") {
        return;
    }
    retention("hyper", "timescaledb");
}

#[test]
fn chunks_are_made_ahead_and_come_back_when_lost() {
    let mut db = store("ahead", "native");
    let make = job(&mut db, "make_chunks");
    poll(SOON, "the run", || outcomes(&mut db, make).first().is_some_and(|o| o == "success"));
    let ahead = "SELECT count(*) FROM lake.chunks WHERE range_start > now()";
    let count: i64 = db.query_one(ahead, &[]).unwrap().get(0);
    assert!(count > 0, "there are chunks for the days to come");
    let last = chunks(&mut db).pop().unwrap();
    db.batch_execute(&format!("DROP TABLE {last}")).unwrap();
    make_due(&mut db, make);
    poll(SOON, "the chunk to come back", || {
        db.query_one(ahead, &[]).unwrap().get::<_, i64>(0) == count
    });
}

#[test]
fn a_reader_of_an_old_chunk_delays_retention_and_nobody_waits_behind_it() {
    let mut db = store("locked", "native");
    let mut reader = CLUSTER.connect("locked", "postgres");
    let mut reading = reader.transaction().unwrap();
    reading.query("SELECT * FROM app.metrics", &[]).unwrap();
    db.batch_execute(
        "SET ROLE alice; SELECT lake.series_set_retention('app.metrics', '10 days'); RESET ROLE",
    )
    .unwrap();
    let retention = job(&mut db, "retention");
    poll(SOON, "the job to give way", || outcomes(&mut db, retention) == ["failure"]);
    let code: String = db
        .query_one("SELECT sqlstate FROM lake.job_runs WHERE job_id = $1", &[&retention])
        .unwrap()
        .get(0);
    assert_eq!(code, "55P03");
    reading.commit().unwrap();
    make_due(&mut db, retention);
    poll(SOON, "a good run", || outcomes(&mut db, retention)[0] == "success");
}
