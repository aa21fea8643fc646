//! Time-series stores under a real worker: chunks are made ahead, old ones dropped.

use lake_server_tests::stores::{make_due, outcomes};
use lake_server_tests::{Cluster, Options, SOON, lacks, poll};
use postgres::Client;
use postgres::fallible_iterator::FallibleIterator;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

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
    delayed("locked", "native");
}

#[test]
fn a_reader_of_a_hypertables_chunk_delays_retention_and_nobody_waits_behind_it() {
    if lacks("timescaledb") {
        return;
    }
    delayed("hyper_locked", "timescaledb");
}

fn delayed(database: &str, engine: &str) {
    let mut db = store(database, engine);
    let mut reader = CLUSTER.connect(database, "postgres");
    let mut reading = reader.transaction().unwrap();
    reading.query("SELECT * FROM app.metrics", &[]).unwrap();
    let before = chunks(&mut db);
    db.batch_execute("LISTEN lake_jobs").unwrap();
    db.batch_execute(
        "SET ROLE alice; SELECT lake.series_set_retention('app.metrics', '10 days'); RESET ROLE",
    )
    .unwrap();
    let retention = job(&mut db, "retention");
    // While it waits for the reader, others read and write; none of them fails or waits for it.
    poll(SOON, "the job to give way", || {
        db.batch_execute(
            "SET lock_timeout = '500ms';
             SELECT count(*) FROM app.metrics;
             INSERT INTO app.metrics SELECT clock_timestamp(), series_id, 1 FROM app.metrics_series",
        )
        .unwrap();
        outcomes(&mut db, retention) == ["failure"]
    });
    let run = db
        .query_one(
            "SELECT sqlstate, lock_wait > interval '5 seconds' FROM lake.job_runs WHERE job_id = $1",
            &[&retention],
        )
        .unwrap();
    assert_eq!(run.get::<_, String>(0), "55P03");
    assert!(run.get::<_, bool>(1), "the wait is on record");

    let heard = db
        .notifications()
        .timeout_iter(SOON)
        .next()
        .unwrap()
        .expect("a notification of the failure");
    assert_eq!(heard.channel(), "lake_jobs");
    let text = heard.payload().to_owned();
    let told: Vec<Option<String>> = {
        let row = db
            .query_one(
                "SELECT p ->> 'job', p ->> 'store', p ->> 'action', p ->> 'sqlstate', p ->> 'message' \
                 FROM (SELECT $1::text::json AS p) p",
                &[&text],
            )
            .unwrap();
        (0..5).map(|i| row.get(i)).collect()
    };
    assert_eq!(told[0].as_deref(), Some(retention.to_string().as_str()));
    assert_eq!(told[1].as_deref(), Some("app.metrics"));
    assert_eq!(told[2].as_deref(), Some("retention"));
    assert_eq!(told[3].as_deref(), Some("55P03"));
    assert!(told[4].as_deref().is_some_and(|m| m.contains("lock timeout")), "{told:?}");

    // A native chunk is on its way out: the next run finishes what this one had to leave.
    let pending = "SELECT count(*) FROM pg_inherits WHERE inhdetachpending";
    let on_its_way = i64::from(engine == "native");
    assert_eq!(db.query_one(pending, &[]).unwrap().get::<_, i64>(0), on_its_way);
    reading.commit().unwrap();
    make_due(&mut db, retention);
    poll(SOON, "a good run", || outcomes(&mut db, retention)[0] == "success");
    assert_eq!(db.query_one(pending, &[]).unwrap().get::<_, i64>(0), 0);
    let steps: i64 = db
        .query_one(
            "SELECT steps FROM lake.job_runs WHERE job_id = $1 ORDER BY run_id DESC LIMIT 1",
            &[&retention],
        )
        .unwrap()
        .get(0);
    assert_eq!(steps, (before.len() - chunks(&mut db).len()) as i64);
    assert!(steps >= 29);
    let left: i64 = db
        .query_one(
            "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname ~ '^(metrics_p|_hyper_.*_chunk)'",
            &[],
        )
        .unwrap()
        .get(0);
    assert_eq!(left, chunks(&mut db).len() as i64, "nothing that was detached is left");
}

/// Ends the threads of a test, also where it fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Readers and writers at work while chunks go one after the other: no statement of theirs fails, and the
/// worker never holds a lock on the table that they would have to wait for.
#[test]
fn chunks_go_under_readers_and_writers() {
    CLUSTER.create_database("busy", &["lake_stores"]);
    let mut db = CLUSTER.connect("busy", "postgres");
    db.batch_execute(
        "SELECT lake.series_create('m', '1 hour', 'native');
         SELECT lake.series_ingest('m', array_agg(now() - n * interval '1 hour'), array_agg('cpu'::text), NULL, array_agg(n::float8))
         FROM generate_series(0, 60) n",
    )
    .unwrap();
    let before = chunks(&mut db).len();
    let stop = AtomicBool::new(false);
    let statements = AtomicU64::new(0);
    let at_work = |sql: &str| {
        let mut client = CLUSTER.connect("busy", "postgres");
        while !stop.load(Ordering::Relaxed) {
            client.batch_execute(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
            statements.fetch_add(1, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        let _ends = Ends(&stop);
        for sql in [
            "SELECT count(*), max(ts) FROM m",
            "SELECT * FROM lake.series_query('m', 'cpu', from_ts => now() - interval '2 hours')",
            "SELECT lake.series_ingest('m', ARRAY[clock_timestamp()], ARRAY['cpu'], NULL, ARRAY[1.0])",
            "INSERT INTO m SELECT clock_timestamp(), series_id, 1 FROM m_series ON CONFLICT DO NOTHING",
        ] {
            scope.spawn(move || at_work(sql));
        }
        db.batch_execute("SELECT lake.series_set_retention('m', '20 hours')").unwrap();
        let retention = job(&mut db, "retention");
        let strong = "SELECT string_agg(DISTINCT l.mode, ' ') FROM pg_locks l \
                      JOIN pg_stat_activity a USING (pid) \
                      WHERE l.relation = 'm'::regclass AND a.backend_type LIKE 'lake_stores%' \
                        AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')";
        poll(SOON * 4, "the chunks to go", || {
            let held: Option<String> = db.query_one(strong, &[]).unwrap().get(0);
            assert_eq!(held, None, "a lock that others wait for");
            let failed = outcomes(&mut db, retention).contains(&"failure".to_owned());
            assert!(!failed, "{}", CLUSTER.log());
            chunks(&mut db).len() <= before - 30
        });
    });
    assert!(statements.load(Ordering::Relaxed) > 100);
}

#[test]
fn the_table_of_chunks_has_statistics() {
    let mut db = store("statistics", "native");
    let make = job(&mut db, "make_chunks");
    make_due(&mut db, make);
    poll(SOON, "statistics of the whole table", || {
        db.query_one("SELECT reltuples FROM pg_class WHERE oid = 'app.metrics'::regclass", &[])
            .unwrap()
            .get::<_, f32>(0)
            >= 41.0
    });
}

/// Readers go on while a plain table is moved into chunks, writers wait, and no row of theirs is lost.
#[test]
fn a_plain_table_is_adopted_under_readers_and_writers() {
    CLUSTER.create_database("plain", &["lake_stores"]);
    let mut db = CLUSTER.connect("plain", "postgres");
    db.batch_execute(
        "CREATE TABLE t (at timestamptz NOT NULL, who int NOT NULL, n int NOT NULL, PRIMARY KEY (who, n, at));
         INSERT INTO t SELECT now() - i * interval '10 minutes', 0, i FROM generate_series(1, 20000) i",
    )
    .unwrap();
    let stop = AtomicBool::new(false);
    let written = AtomicU64::new(0);
    let read = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let _ends = Ends(&stop);
        for who in 1..=2 {
            let (stop, written) = (&stop, &written);
            scope.spawn(move || {
                let mut client = CLUSTER.connect("plain", "postgres");
                let mut n = 0;
                while !stop.load(Ordering::Relaxed) {
                    n += 1;
                    client
                        .execute("INSERT INTO t VALUES (clock_timestamp(), $1, $2)", &[&who, &n])
                        .unwrap();
                    written.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        scope.spawn(|| {
            let mut client = CLUSTER.connect("plain", "postgres");
            let mut before = 0;
            while !stop.load(Ordering::Relaxed) {
                let count: i64 = client.query_one("SELECT count(*) FROM t", &[]).unwrap().get(0);
                assert!(count >= before, "{count} rows, after {before}");
                before = count;
                read.fetch_add(1, Ordering::Relaxed);
            }
        });
        poll(SOON, "writers at work", || written.load(Ordering::Relaxed) > 50);
        let adopted = db.batch_execute(
            "SELECT lake.series_adopt('t', 'at', options => '{\"chunk_interval\": \"7 days\"}')",
        );
        let then = written.load(Ordering::Relaxed);
        poll(SOON, "writers to go on", || written.load(Ordering::Relaxed) > then + 50);
        adopted.unwrap();
    });
    let row = db
        .query_one(
            "SELECT count(*), relkind::text FROM t, pg_class c WHERE c.oid = 't'::regclass GROUP BY 2",
            &[],
        )
        .unwrap();
    assert_eq!(row.get::<_, i64>(0) as u64, 20_000 + written.load(Ordering::Relaxed));
    assert_eq!(row.get::<_, String>(1), "p");
    assert!(read.load(Ordering::Relaxed) > 0);
}
