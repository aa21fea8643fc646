//! Series stores with several sessions at once, with the worker, and through dump and restore.

use lake_server_tests::{Cluster, Options, SOON, failure, installed, poll};
use std::sync::{Barrier, LazyLock};

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::start(Options::preloaded()));

/// A database with both engines, as far as the server has them.
fn database(name: &str) -> Vec<&'static str> {
    let (extensions, engines): (&[&str], Vec<&str>) = if installed("timescaledb") {
        (&["timescaledb", "lake_stores"], vec!["native", "timescaledb"])
    } else {
        (&["lake_stores"], vec!["native"])
    };
    CLUSTER.create_database(name, extensions);
    engines
}

/// Points of twenty series on forty days, every one of them new, the same for each session.
const BATCH: &str = "SELECT accepted, duplicate, rejected FROM lake.series_ingest($1::text::regclass, \
     (SELECT array_agg('2026-01-01 00:00+00'::timestamptz + d * interval '1 day' ORDER BY md5(d::text || s || $2)) \
      FROM generate_series(1, 40) d, generate_series(1, 20) s), \
     array_fill('m'::text, ARRAY[800]), \
     (SELECT array_agg(jsonb_build_object('s', s::text) ORDER BY md5(d::text || s || $2)) \
      FROM generate_series(1, 40) d, generate_series(1, 20) s), \
     array_fill(1.0::float8, ARRAY[800]))";

#[test]
fn many_sessions_make_the_same_chunks_and_series_at_once() {
    for engine in database("concurrent") {
        let table = format!("s_{engine}");
        let mut db = CLUSTER.connect("concurrent", "postgres");
        db.execute("SELECT lake.series_create($1, engine => $2)", &[&table, &engine]).unwrap();
        const SESSIONS: usize = 8;
        let start = Barrier::new(SESSIONS);
        let accepted: i64 = std::thread::scope(|scope| {
            let sessions: Vec<_> = (0..SESSIONS)
                .map(|session| {
                    let (start, table) = (&start, &table);
                    scope.spawn(move || {
                        let mut db = CLUSTER.connect("concurrent", "postgres");
                        start.wait();
                        // Each in an order of its own.
                        let row = db.query_one(BATCH, &[table, &session.to_string()]).unwrap();
                        let (accepted, duplicate, rejected): (i64, i64, i64) =
                            (row.get(0), row.get(1), row.get(2));
                        assert_eq!((accepted + duplicate, rejected), (800, 0));
                        accepted
                    })
                })
                .collect();
            sessions.into_iter().map(|session| session.join().unwrap()).sum()
        });
        assert_eq!(accepted, 800, "{engine}: each point was new for exactly one session");
        let row = db
            .query_one(
                &format!(
                    "SELECT (SELECT count(*) FROM {table}), (SELECT count(*) FROM {table}_series), \
                            (SELECT count(*) FROM lake.chunks WHERE store = '{table}'::regclass \
                             AND range_start < '2026-03-01')"
                ),
                &[],
            )
            .unwrap();
        assert_eq!(
            (row.get::<_, i64>(0), row.get::<_, i64>(1), row.get::<_, i64>(2)),
            (800, 20, 40)
        );
    }
}

#[test]
fn the_worker_drops_what_is_due_and_gives_way_to_readers() {
    for engine in database("retained") {
        let table = format!("s_{engine}");
        let mut db = CLUSTER.connect("retained", "postgres");
        db.batch_execute(&format!(
            "SELECT lake.series_create('{table}', engine => '{engine}');
             SELECT lake.series_ingest('{table}', array_agg(now() - d * interval '1 day'), array_agg('m'::text), NULL,
                    array_agg(1.0::float8)) FROM generate_series(0, 9) d"
        ))
        .unwrap();
        // A reader of the whole table is not interrupted, and nobody queues behind the job for long. Its
        // snapshot goes on showing a chunk whose detach has begun.
        let mut reader = CLUSTER.connect("retained", "postgres");
        let mut reading = reader
            .build_transaction()
            .isolation_level(postgres::IsolationLevel::RepeatableRead)
            .start()
            .unwrap();
        reading.execute(&format!("SELECT count(*) FROM {table}"), &[]).unwrap();
        db.execute("SELECT lake.series_set_retention($1::text::regclass, '3 days')", &[&table])
            .unwrap();
        let runs = |db: &mut postgres::Client, outcome: &str| -> i64 {
            db.query_one(
                "SELECT count(*) FROM lake.job_runs WHERE store = $1::text::regclass AND action = 'retention' AND outcome = $2",
                &[&table, &outcome],
            )
            .unwrap()
            .get(0)
        };
        poll(SOON, "a run that gave way", || runs(&mut db, "failure") > 0);
        let state: String = db
            .query_one("SELECT sqlstate FROM lake.job_runs WHERE store = $1::text::regclass AND outcome = 'failure' LIMIT 1", &[&table])
            .unwrap()
            .get(0);
        assert_eq!(state, "55P03");
        let kept: i64 =
            reading.query_one(&format!("SELECT count(*) FROM {table}"), &[]).unwrap().get(0);
        assert_eq!(kept, 10, "nothing goes while somebody reads it");
        reading.commit().unwrap();
        // Due again at once, rather than after the pause that follows a failure.
        db.execute("SELECT lake.series_set_retention($1::text::regclass, '3 days')", &[&table])
            .unwrap();
        poll(SOON, "a run that dropped", || runs(&mut db, "success") > 0);
        let left: i64 = db.query_one(&format!("SELECT count(*) FROM {table}"), &[]).unwrap().get(0);
        assert_eq!(left, 4);
        let planned: i64 = db
            .query_one(
                "SELECT count(*) FROM lake.series_plan_retention($1::text::regclass)",
                &[&table],
            )
            .unwrap()
            .get(0);
        assert_eq!(planned, 0);
    }
}

#[test]
fn a_detached_chunk_is_not_dropped() {
    database("detached");
    let mut db = CLUSTER.connect("detached", "postgres");
    db.batch_execute(
        "SELECT lake.series_create('s', engine => 'native');
         SELECT lake.series_ingest('s', ARRAY[now() - interval '9 days', now()], ARRAY['m', 'm'], NULL, ARRAY[1, 2])",
    )
    .unwrap();
    let chunk: String = db
        .query_one("SELECT chunk::text FROM lake.chunks ORDER BY range_start LIMIT 1", &[])
        .unwrap()
        .get(0);
    db.batch_execute(&format!("ALTER TABLE s DETACH PARTITION {chunk} CONCURRENTLY")).unwrap();
    db.batch_execute("SELECT lake.series_set_retention('s', '3 days')").unwrap();
    poll(SOON, "a run", || {
        db.query_one(
            "SELECT count(*) FROM lake.job_runs WHERE action = 'retention' AND outcome = 'success'",
            &[],
        )
        .unwrap()
        .get::<_, i64>(0)
            > 0
    });
    let rows: i64 = db.query_one(&format!("SELECT count(*) FROM {chunk}"), &[]).unwrap().get(0);
    assert_eq!(rows, 1);
}

#[test]
fn native_stores_survive_dump_and_restore() {
    database("dumped");
    let mut db = CLUSTER.connect("dumped", "postgres");
    db.batch_execute(
        "SELECT lake.series_create('s', engine => 'native');
         SELECT lake.series_define_metric('s', 'm', max_value => 10);
         SELECT lake.series_ingest('s', ARRAY[now() - interval '9 days', now()], ARRAY['m', 'm'], NULL, ARRAY[1, 2]);
         DROP EXTENSION IF EXISTS timescaledb",
    )
    .unwrap();
    let dump = CLUSTER.run(CLUSTER.tool("pg_dump").arg("dumped"));
    CLUSTER.create_database("restored", &[]);
    let mut restored = CLUSTER.connect("restored", "postgres");
    // psql's own commands (\connect, \restrict) are not SQL.
    let sql: String = dump
        .lines()
        .filter(|line| !line.starts_with('\\'))
        .map(|line| format!("{line}\n"))
        .collect();
    let copies = sql.contains("COPY public.s_");
    assert!(copies, "the data of chunks is dumped");
    let file = std::env::temp_dir().join(format!("lake_series_dump_{}.sql", std::process::id()));
    std::fs::write(&file, &dump).unwrap();
    CLUSTER.run(
        CLUSTER
            .tool("psql")
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", "restored", "-f"])
            .arg(&file),
    );
    std::fs::remove_file(&file).unwrap();
    let row = restored
        .query_one("SELECT count(*), max(value) FROM lake.series_query('s', 'm')", &[])
        .unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, f64>(1)), (2, 2.0));
    let refused = failure(restored.batch_execute(
        r#"SELECT lake.series_ingest('s', '[{"ts": "2026-01-01T00:00:00Z", "metric": "m", "value": 11}]'::jsonb)"#,
    ));
    assert_eq!(refused.code, "22000");
    let more: i64 = restored
        .query_one(
            r#"SELECT accepted FROM lake.series_ingest('s', '[{"ts": "2026-01-01T00:00:00Z", "metric": "m", "value": 9}]'::jsonb)"#,
            &[],
        )
        .unwrap()
        .get(0);
    assert_eq!(more, 1);
    let jobs: i64 = restored.query_one("SELECT count(*) FROM lake.jobs", &[]).unwrap().get(0);
    assert_eq!(jobs, 1);
}
